package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// Messages is a file with the history of all channels.
type Messages struct {
	db     *file.File
	writes map[event.Kind]*sql.Stmt // on the writer, by the kind that causes the write
	send   *sql.Stmt                // on the writer: of a post too
	reads  reads
	shred  atomic.Bool // deleted bytes are left in the write-ahead log
}

var _ store.Messages = (*Messages)(nil)

// The writes of Apply. Each is one upsert that the higher version wins, whatever was there before.
const (
	upsertPost = `
INSERT INTO messages (channel_id, seq, post_version, sender_id, client_msg_id, thread, posted_at, attachments, text_version, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?3, ?9)
ON CONFLICT (channel_id, seq) DO UPDATE SET
	post_version = excluded.post_version, sender_id = excluded.sender_id, client_msg_id = excluded.client_msg_id,
	thread = excluded.thread, posted_at = excluded.posted_at,
	attachments = CASE WHEN messages.deleted = 1 THEN NULL ELSE excluded.attachments END,
	body = CASE WHEN excluded.text_version > messages.text_version THEN excluded.body ELSE messages.body END,
	edited_at = CASE WHEN excluded.text_version > messages.text_version THEN 0 ELSE messages.edited_at END,
	text_version = max(excluded.text_version, messages.text_version)
WHERE excluded.post_version > messages.post_version`

	upsertText = `
INSERT INTO messages (channel_id, seq, text_version, body, edited_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (channel_id, seq) DO UPDATE SET
	text_version = excluded.text_version, body = excluded.body, edited_at = excluded.edited_at
WHERE excluded.text_version > messages.text_version`

	upsertDelete = `
INSERT INTO messages (channel_id, seq, text_version, deleted) VALUES (?, ?, ?, 1)
ON CONFLICT (channel_id, seq) DO UPDATE SET
	text_version = excluded.text_version, body = '', edited_at = 0, attachments = NULL, deleted = 1
WHERE excluded.text_version > messages.text_version`

	upsertPin = `
INSERT INTO messages (channel_id, seq, pin_version, pinned) VALUES (?, ?, ?, ?)
ON CONFLICT (channel_id, seq) DO UPDATE SET pin_version = excluded.pin_version, pinned = excluded.pinned
WHERE excluded.pin_version > messages.pin_version`

	upsertReaction = `
INSERT INTO reactions (channel_id, message_seq, emoji, user_id, version, present) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (channel_id, message_seq, emoji, user_id) DO UPDATE SET version = excluded.version, present = excluded.present
WHERE excluded.version > reactions.version`

	upsertSend = `
INSERT INTO sends_by_client_id (workspace_id, sender_id, client_msg_id, version, channel_id) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (workspace_id, sender_id, client_msg_id) DO UPDATE SET version = excluded.version, channel_id = excluded.channel_id
WHERE excluded.version < sends_by_client_id.version`

	upsertProgress = `
INSERT INTO progress (shard, seq) VALUES (?, ?)
ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > progress.seq`
)

// upserts says which write a kind causes.
var upserts = map[event.Kind]string{
	event.MessagePosted:   upsertPost,
	event.MessageEdited:   upsertText,
	event.MessageDeleted:  upsertDelete,
	event.PinAdded:        upsertPin,
	event.PinRemoved:      upsertPin,
	event.ReactionAdded:   upsertReaction,
	event.ReactionRemoved: upsertReaction,
}

// OpenMessages opens the file at path, or makes it, for its owner only, and brings its tables up to date. The
// error is a *NewerSchemaError when a newer version of Canopy wrote it.
func OpenMessages(ctx context.Context, path string) (*Messages, error) {
	db, err := file.Open(ctx, path, ddl.SQLiteMessages())
	if err != nil {
		return nil, err
	}
	m := &Messages{db: db, writes: map[event.Kind]*sql.Stmt{}}
	if err := m.prepare(ctx); err != nil {
		return nil, errors.Join(file.Failed(err, "open "+path, "database"), db.Close())
	}
	return m, nil
}

func (m *Messages) prepare(ctx context.Context) (err error) {
	prepared := map[string]*sql.Stmt{}
	for kind, text := range upserts {
		if prepared[text] == nil {
			if prepared[text], err = m.db.Writer.PrepareContext(ctx, text); err != nil {
				return err
			}
		}
		m.writes[kind] = prepared[text]
	}
	if m.send, err = m.db.Writer.PrepareContext(ctx, upsertSend); err != nil {
		return err
	}
	return m.reads.prepare(ctx, m.db.Reader)
}

// Close ends all connections, and the statements with them.
func (m *Messages) Close() error { return m.db.Close() }

// lookEvery is after how many events Apply looks whether its caller has given up.
const lookEvery = 64

// Apply implements store.Messages. A batch is one transaction.
func (m *Messages) Apply(ctx context.Context, events []event.Stored) error {
	shred := false
	err := m.db.Write(ctx, func(tx *sql.Tx) error {
		b := batch{tx: tx, ctx: context.WithoutCancel(ctx), of: m, bound: map[*sql.Stmt]*sql.Stmt{}}
		for i := range events {
			if i%lookEvery == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if err := b.apply(&events[i]); err != nil {
				return fmt.Errorf("event %d of %s: %w", events[i].Seq, events[i].WorkspaceID, err)
			}
			shred = shred || events[i].Kind == event.MessageDeleted
		}
		return nil
	})
	if err != nil {
		return file.Failed(err, "apply events", "message")
	}
	if shred {
		m.shred.Store(true)
	}
	m.shredLog(ctx)
	return nil
}

// batch writes the events of one transaction. Its statements do not end with the caller's context, for each
// would cost a goroutine that waits for that.
type batch struct {
	tx    *sql.Tx
	ctx   context.Context
	of    *Messages
	bound map[*sql.Stmt]*sql.Stmt // prepared statement → the same inside tx
}

func (b *batch) apply(e *event.Stored) error {
	target, ok := store.TargetOf(e)
	if !ok {
		return nil
	}
	stmt, v := b.of.writes[e.Kind], int64(e.Version())
	switch e.Kind {
	case event.MessagePosted:
		attachments, err := attachmentsColumn(e.Attachments)
		if err != nil {
			return err
		}
		if err := b.exec(stmt, string(target.ChannelID), int64(target.Seq), v, string(e.SenderID), string(e.ClientMsgID),
			int64(e.Thread), e.At.UnixNano(), attachments, e.Body); err != nil {
			return err
		}
		return b.exec(b.of.send, string(e.WorkspaceID), string(e.SenderID), string(e.ClientMsgID), v, string(e.ChannelID))
	case event.MessageEdited:
		return b.exec(stmt, string(target.ChannelID), int64(target.Seq), v, e.Body, e.At.UnixNano())
	case event.MessageDeleted:
		return b.exec(stmt, string(target.ChannelID), int64(target.Seq), int64(store.TextVersion(e)))
	case event.PinAdded, event.PinRemoved:
		return b.exec(stmt, string(target.ChannelID), int64(target.Seq), v, e.Kind == event.PinAdded)
	case event.ReactionAdded, event.ReactionRemoved:
		return b.exec(stmt, string(target.ChannelID), int64(target.Seq), e.Emoji, string(e.SenderID), v,
			e.Kind == event.ReactionAdded)
	}
	return fmt.Errorf("no write for the kind %s", e.Kind)
}

func (b *batch) exec(stmt *sql.Stmt, args ...any) error {
	in := b.bound[stmt]
	if in == nil {
		in = b.tx.StmtContext(b.ctx, stmt)
		b.bound[stmt] = in
	}
	_, err := in.ExecContext(b.ctx, args...)
	return err
}

func attachmentsColumn(attachments []chat.Attachment) (any, error) {
	if len(attachments) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(attachments)
	return string(text), err
}

// shredLog cuts off the write-ahead log when it may hold the text of a deleted message. A reader at work
// can prevent that; then the next Apply tries again, or Close does it. It is not part of the write,
// which is durable already, so it fails no one.
func (m *Messages) shredLog(ctx context.Context) {
	if !m.shred.Load() {
		return
	}
	var busy, pages, moved int
	err := m.db.Writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err == nil && busy == 0 {
		m.shred.Store(false)
	}
}

// NoteProgress implements store.Messages.
func (m *Messages) NoteProgress(ctx context.Context, shard int, seq chat.Seq) error {
	err := m.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, upsertProgress, shard, int64(seq))
		return err
	})
	return file.Failed(err, "note progress", "shard")
}
