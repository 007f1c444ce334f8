package directory

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
	"github.com/canopychat/canopy/services/store/sqlite/signin"
)

// Directory is a file with the users, workspaces, channels, memberships, sign-ins, keys and the outbox.
type Directory struct {
	*signin.Store
	file *file.File
}

var _ store.Directory = (*Directory)(nil)

// Open opens the file at path, or makes it, for its owner only, and brings its tables up to date. The error is a
// *file.NewerSchemaError when a newer version of Canopy wrote it.
func Open(ctx context.Context, path string) (*Directory, error) {
	f, err := file.Open(ctx, path, ddl.SQLiteDirectory())
	if err != nil {
		return nil, err
	}
	return &Directory{Store: signin.New(f), file: f}, nil
}

// Close ends all connections.
func (d *Directory) Close() error { return d.file.Close() }

// change is a write of the Directory: one transaction, with the events that tell it.
type change struct {
	file.Change
	now time.Time // of the outbox rows
}

// write runs do in one transaction; op and what are for file.Failed.
func (d *Directory) write(ctx context.Context, op, what string, do func(c change) error) error {
	return d.file.Change(ctx, op, what, func(c file.Change) error {
		return do(change{Change: c, now: time.Now()})
	})
}

// home is where the events of a workspace go.
type home struct {
	workspace chat.WorkspaceID
	shard     int
	epoch     chat.Epoch
}

func scanHome(r file.Row) (h home, err error) { return h, r.Scan(&h.workspace, &h.shard, &h.epoch) }

func (c change) home(id chat.WorkspaceID) (home, error) {
	return file.Get(c.Ctx, c.Tx, file.Ask("workspace", `SELECT id, shard, epoch FROM workspaces WHERE id = ?`, scanHome), id)
}

// homesOf is where the events of everything go that a user belongs to.
func (c change) homesOf(user chat.UserID) ([]home, error) {
	return file.List(c.Ctx, c.Tx, file.Ask("workspace", `SELECT w.id, w.shard, w.epoch
		FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id WHERE m.user_id = ? ORDER BY w.id`, scanHome), user)
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
	err = c.Tx.QueryRowContext(c.Ctx, `INSERT INTO outbox (workspace_id, shard, event, created_at) VALUES (?, ?, ?, ?) RETURNING id`,
		h.workspace, h.shard, payload, file.Micros(c.now)).Scan(&id)
	return id, err
}

// get reads the one row that answers q.
func get[T any](ctx context.Context, d *Directory, q file.Asked[T], args ...any) (T, error) {
	return file.Get(ctx, d.file.Reader, q, args...)
}

// list reads all rows that answer q.
func list[T any](ctx context.Context, d *Directory, q file.Asked[T], args ...any) ([]T, error) {
	return file.List(ctx, d.file.Reader, q, args...)
}
