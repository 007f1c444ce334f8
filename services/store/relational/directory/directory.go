package directory

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// Directory is a database with the users, workspaces, channels, memberships, sign-ins, keys and the outbox, and how
// people are reached (relational/reach).
type Directory struct {
	SignIns
	store.Reach
	db relational.Database

	owed bell // rung when this process wrote into the outbox
}

var _ store.Directory = (*Directory)(nil)

// SignIns is who is signed in, in the same database: relational/signin.
type SignIns interface {
	store.Keys
	store.SignIns
	store.Tickets
	store.Idempotency
	// RevokeIn ends sign-ins inside a change. The result is those that it ended.
	RevokeIn(c relational.Change, r store.Revocation) ([]store.SignIn, error)
}

// New makes a Directory of a database that has its tables (schemas/ddl), and that is the Directory's from now on.
func New(db relational.Database, s SignIns, r store.Reach) *Directory {
	return &Directory{SignIns: s, Reach: r, db: db}
}

// Close ends all connections.
func (d *Directory) Close() error { return d.db.Close() }

// change is a write of the Directory: one transaction, with the events that tell it.
type change struct {
	relational.Change
	now  time.Time // of the outbox rows
	owes *bool     // whether it wrote one
}

// write runs do in one transaction; op and what are for relational.Failed. do may run more than once.
func (d *Directory) write(ctx context.Context, op, what string, do func(c change) error) error {
	owes := false
	err := d.db.Change(ctx, op, what, func(c relational.Change) error {
		return do(change{Change: c, now: time.Now(), owes: &owes})
	})
	if owes {
		d.owed.ring() // also after an error: the change may have been kept without our being told
	}
	return err
}

// home is where the events of a workspace go.
type home struct {
	workspace chat.WorkspaceID
	shard     int
	epoch     chat.Epoch
}

func scanHome(r relational.Row) (h home, err error) {
	return h, r.Scan(&h.workspace, &h.shard, &h.epoch)
}

// home locks a workspace: until the change ends nobody else changes who is in it or what it has, nor owes it an event.
// What a change rests on is read after this.
func (c change) home(id chat.WorkspaceID) (home, error) { return c.homeOf("workspace", `?`, id) }

// homeOf is home for a workspace that which finds by arg, for who asks about a what.
func (c change) homeOf(what, which string, arg any) (home, error) {
	return relational.Get(c.Ctx, c.Source, relational.Ask(what,
		`SELECT id, shard, epoch FROM workspaces WHERE id = `+which+` /*pg FOR NO KEY UPDATE */`, scanHome), arg)
}

// channel locks the workspace of a channel, and reads the channel then. A channel does not move to another one.
func (c change) channel(id chat.ChannelID) (h home, channel chat.Channel, err error) {
	if h, err = c.homeOf("channel", `(SELECT workspace_id FROM channels WHERE id = ?)`, id); err != nil {
		return h, channel, err
	}
	channel, err = relational.Get(c.Ctx, c.Source, askChannels(`c.id = ?`), id)
	return h, channel, err
}

// homesOf locks the workspaces that a user belongs to, whose account is locked, in the order of their ids. Who was taken
// out of one while this waited for it does not belong to it any more, so they are read once more.
func (c change) homesOf(user chat.UserID) ([]home, error) {
	const text = `SELECT w.id, w.shard, w.epoch
		FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id WHERE m.user_id = ? ORDER BY w.id`
	if _, err := c.Exec(text+` /*pg FOR NO KEY UPDATE OF w */`, user); err != nil {
		return nil, err
	}
	return relational.List(c.Ctx, c.Source, relational.Ask("workspace", text, scanHome), user)
}

// coming locks accounts so that nobody changes them until they are members of a workspace that is locked after this: who
// changes an account tells all its workspaces, and none may be added meanwhile.
func (c change) coming(users ...chat.UserID) error {
	list, err := relational.ListOf(users)
	if err != nil {
		return err
	}
	_, err = c.Exec(`SELECT id FROM users WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id /*pg FOR SHARE */`, list)
	return err
}

// owe writes an event into the outbox. The lock of its workspace makes the workspace's ids rise in the order of the commits.
func (c change) owe(h home, e event.Event) (store.OutboxID, error) {
	e.Epoch = h.epoch
	payload, err := event.Encode(e)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "This cannot be told to the others: a field is not valid.")
	}
	var id store.OutboxID
	*c.owes = true
	err = c.Row(`INSERT INTO outbox (workspace_id, shard, event, created_at) VALUES (?, ?, ?, ?) RETURNING id`,
		h.workspace, h.shard, payload, relational.Micros(c.now)).Scan(&id)
	return id, err
}

// get reads the one row that answers q.
func get[T any](ctx context.Context, d *Directory, q relational.Asked[T], args ...any) (T, error) {
	return relational.Get(ctx, d.db.Source(), q, args...)
}

// list reads all rows that answer q.
func list[T any](ctx context.Context, d *Directory, q relational.Asked[T], args ...any) ([]T, error) {
	return relational.List(ctx, d.db.Source(), q, args...)
}
