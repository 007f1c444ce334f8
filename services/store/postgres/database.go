package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/canopychat/canopy/services/store/relational"
)

const (
	tries      = 5                     // of a change that the server gave up for the sake of another
	tryPause   = 20 * time.Millisecond // before the next one, at most; it grows with each
	rollBudget = time.Second           // for giving up a transaction; its connection goes after that
)

// database is a server with the Directory's tables.
type database struct {
	server
	pool  *sql.DB // asks and writes
	holds *sql.DB // each connection in use holds something
}

var (
	_ relational.Database = (*database)(nil)
	_ relational.Dialect  = server{}
)

// Source implements relational.Database.
func (d *database) Source() relational.Source { return relational.SourceOf(d.pool, d.server) }

// Change implements relational.Database. A deadlock, which the order of the locks leaves to rare cases, ends one of those in
// it, which runs again: nothing of it was kept.
func (d *database) Change(ctx context.Context, op, what string, do func(c relational.Change) error) error {
	for try := 1; ; try++ {
		err := d.try(ctx, do)
		if !gaveWay(err) || try == tries || !pause(ctx, time.Duration(try)*rand.N(tryPause)) {
			return relational.Failed(err, op, what, meaning)
		}
	}
}

// try runs do in a transaction. Each statement has its own time, so that a change of thousands of rows has as much as it
// needs. When the answer to its commit is lost nobody can say whether it is kept.
func (d *database) try(ctx context.Context, do func(c relational.Change) error) error {
	conn, err := d.begin(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // gives it back to the pool, which does not fail, and does not take one in a transaction
	if err = do(relational.Change{Source: relational.SourceOf(conn, d.server), Ctx: ctx}); err == nil {
		err = d.commit(ctx, conn)
	} else {
		rollback(conn)
	}
	if isStandby(err) {
		drop(conn) // another server is the one that writes by now: the next connection finds it
	}
	return err
}

func (d *database) begin(ctx context.Context) (*sql.Conn, error) {
	ctx, end := d.Within(ctx)
	defer end()
	conn, err := d.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
		drop(conn)
		return nil, err
	}
	return conn, nil
}

// commit asks the driver itself, which hears what the server did: a transaction in which a statement failed, and nobody
// looked, is rolled back by it without an error.
func (d *database) commit(ctx context.Context, conn *sql.Conn) error {
	ctx, end := d.Within(ctx)
	defer end()
	return conn.Raw(func(c any) error {
		did, err := c.(*stdlib.Conn).Conn().Exec(ctx, "COMMIT")
		if err == nil && did.String() != "COMMIT" {
			err = fmt.Errorf("a commit became a %s", did)
		}
		return err
	})
}

// rollback ends a transaction whatever became of the one who asked for it, if need be with its connection.
func rollback(conn *sql.Conn) {
	ctx, end := context.WithTimeout(context.Background(), rollBudget)
	defer end()
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		drop(conn)
	}
}

// drop closes a connection instead of giving it back. Raw hands its own argument's error back, which is no news.
func drop(conn *sql.Conn) { _ = conn.Raw(func(any) error { return driver.ErrBadConn }) }

// pause waits, and reports whether ctx lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// hold locks the rows of workspaces that nobody else has locked, in the order of the list.
const hold = `SELECT c.workspace_id FROM jsonb_array_elements_text($1) WITH ORDINALITY AS n (name, place)
	JOIN outbox_claims AS c ON c.workspace_id = n.name ORDER BY n.place LIMIT $2 FOR UPDATE OF c SKIP LOCKED`

// Hold implements relational.Database for the outboxes of workspaces. They are held by a transaction: the server ends it with
// the connection, or when a process has been stopped for idleHold.
func (d *database) Hold(ctx context.Context, names []string, most int) (relational.Held, error) {
	list, err := relational.ListOf(names)
	if err != nil {
		return relational.Held{}, err
	}
	ctx, end := d.Within(ctx)
	defer end()
	conn, err := d.holds.Conn(ctx)
	if err != nil {
		return relational.Held{}, d.Source().Failed(err, "hold", "workspace")
	}
	release := sync.OnceFunc(func() { d.release(conn) })
	// The transaction outlives ctx.
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		release()
		return relational.Held{}, d.Source().Failed(err, "hold", "workspace")
	}
	rows, err := conn.QueryContext(ctx, hold, list, most)
	held, err := relational.Collect(rows, err, relational.Scalar[string])
	if err != nil || len(held) == 0 {
		release()
		return relational.Held{Release: release}, d.Source().Failed(err, "hold", "workspace")
	}
	return relational.Held{Names: held, Release: release}, nil
}

// release ends the transaction that holds.
func (d *database) release(conn *sql.Conn) {
	rollback(conn)
	if err := conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		d.cfg.Logger.Debug("a connection that held workspaces did not end well", "err", err)
	}
}
