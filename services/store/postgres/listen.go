package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	quiet       = 30 * time.Second       // without a word from the server it is asked whether it is there
	againFirst  = 100 * time.Millisecond // the pause before listening again doubles …
	againAtMost = 5 * time.Second
)

// Listen implements relational.Database: it calls wake when somebody wrote into the outbox. When its connection is lost it
// makes another one, and calls then too, for what it missed.
func (d *database) Listen(ctx context.Context, wake func()) error {
	for again := againFirst; ctx.Err() == nil; again = min(2*again, againAtMost) {
		heard, err := d.listen(ctx, wake)
		if ctx.Err() != nil {
			break
		}
		if heard {
			again = againFirst
		}
		wait := again/2 + rand.N(again/2)
		d.cfg.Logger.Warn("the database does not tell of changes: they are looked for instead", "err", err, "pause", wait)
		pause(ctx, wait)
	}
	return nil
}

// listen listens on one connection until it is lost. It reports whether it ever did.
func (d *database) listen(ctx context.Context, wake func()) (heard bool, err error) {
	conn, err := d.listener(ctx)
	if err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	defer func() {
		ctx, end := context.WithTimeout(context.WithoutCancel(ctx), rollBudget)
		defer end()
		_ = conn.Close(ctx) // it is lost, or nobody wants it any more
	}()
	for {
		wake()
		for {
			wait, end := context.WithTimeout(ctx, quiet)
			_, err := conn.WaitForNotification(wait)
			end()
			if err == nil {
				break
			}
			if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
				return true, fmt.Errorf("listen: %w", err)
			}
			if err := d.ask(ctx, conn); err != nil {
				return true, fmt.Errorf("listen: %w", err)
			}
		}
	}
}

// listener makes a connection that is told.
func (d *database) listener(ctx context.Context) (*pgx.Conn, error) {
	ctx, end := d.Within(ctx)
	defer end()
	conn, err := pgx.ConnectConfig(ctx, d.settings(d.cfg.StatementTimeout, idleChange))
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN canopy_outbox"); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// ask finds out whether the server is there. A network that swallows everything looks like one where nobody writes.
func (d *database) ask(ctx context.Context, conn *pgx.Conn) error {
	ctx, end := d.Within(ctx)
	defer end()
	return conn.Ping(ctx)
}
