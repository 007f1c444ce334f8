package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Directory is a file with the users, workspaces, channels, memberships, keys and the outbox.
type Directory struct {
	db *database
}

var _ store.Directory = (*Directory)(nil)

// OpenDirectory opens the file at path, or makes it, for its owner only, and brings its tables up to date. The
// error is a *NewerSchemaError when a newer version of Canopy wrote it.
func OpenDirectory(ctx context.Context, path string) (*Directory, error) {
	db, err := open(ctx, path, ddl.SQLiteDirectory())
	if err != nil {
		return nil, err
	}
	return &Directory{db: db}, nil
}

// Close ends all connections.
func (d *Directory) Close() error { return d.db.Close() }

// change is a write of the Directory: one transaction, with the events that tell it.
type change struct {
	tx  *sql.Tx
	ctx context.Context
	now time.Time // of the outbox rows
}

// write runs do in one transaction; op and what are for failed.
func (d *Directory) write(ctx context.Context, op, what string, do func(c change) error) error {
	err := d.db.write(ctx, func(tx *sql.Tx) error {
		return do(change{tx: tx, ctx: ctx, now: time.Now()})
	})
	return failed(err, op, what)
}

// exec runs one statement and returns how many rows it changed.
func (c change) exec(text string, args ...any) (int64, error) {
	result, err := c.tx.ExecContext(c.ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// home is where the events of a workspace go.
type home struct {
	workspace chat.WorkspaceID
	shard     int
	epoch     chat.Epoch
}

func (c change) home(id chat.WorkspaceID) (home, error) {
	h := home{workspace: id}
	err := c.tx.QueryRowContext(c.ctx, `SELECT shard, epoch FROM workspaces WHERE id = ?`, id).Scan(&h.shard, &h.epoch)
	return h, failed(err, "find workspace", "workspace")
}

// owe writes an event into the outbox. The write lock makes the ids of all workspaces rise in the order of
// the commits.
func (c change) owe(h home, e event.Event) (store.OutboxID, error) {
	e.Epoch = h.epoch
	payload, err := event.Encode(e)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "This cannot be told to the others: a field is not valid.")
	}
	var id store.OutboxID
	err = c.tx.QueryRowContext(c.ctx, `INSERT INTO outbox (workspace_id, shard, event, created_at) VALUES (?, ?, ?, ?) RETURNING id`,
		h.workspace, h.shard, payload, micros(c.now)).Scan(&id)
	return id, err
}

// get reads the one row of a statement with scan. The error is NotFound without a row; op and what are for failed.
func get[T any](ctx context.Context, d *Directory, q asked[T], args ...any) (T, error) {
	v, err := q.scan(d.db.reader.QueryRowContext(ctx, q.text, args...))
	return v, failed(err, "read "+q.what, q.what)
}

// list reads all rows of a statement with scan.
func list[T any](ctx context.Context, d *Directory, q asked[T], args ...any) ([]T, error) {
	rows, err := d.db.reader.QueryContext(ctx, q.text, args...)
	all, err := collect(rows, err, q.scan)
	return all, failed(err, "list "+q.what, q.what)
}

// asked is a question to the tables: which rows, and how to read one.
type asked[T any] struct {
	what string // a row is, for failed
	text string
	scan func(row) (T, error)
}

// scalar reads a row of one column.
func scalar[T any](r row) (v T, err error) { return v, r.Scan(&v) }

// collect reads all rows, unless the query failed with err.
func collect[T any](rows *sql.Rows, err error, scan func(row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close() // its error is Err's, which is looked at
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// row is what *sql.Row and *sql.Rows have in common.
type row interface{ Scan(into ...any) error }

// checkLimit refuses what no list gives. The error is Invalid.
func checkLimit(n int) error {
	if n < 1 || n > chat.MaxPageSize {
		return fault.New(fault.Invalid, "A limit is 1 to %d.", chat.MaxPageSize)
	}
	return nil
}

// micros writes a time; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment scans what micros wrote.
type moment struct{ into *time.Time }

// Scan implements sql.Scanner.
func (m moment) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is a number, not %T", v)
	}
	if us != 0 {
		*m.into = time.UnixMicro(us).UTC()
	}
	return nil
}
