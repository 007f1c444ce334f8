package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// columns are those of a message, as scanMessage reads them. One statement reads the reactions too, so that
// a page is one state of the file.
var columns = fmt.Sprintf(`
SELECT channel_id, seq, post_version, sender_id, client_msg_id, thread, posted_at, attachments, body, edited_at, deleted, pinned,
	(
		SELECT json_group_array(json_array(emoji, user_id)) FROM (
			SELECT emoji, user_id FROM reactions AS r
			WHERE r.channel_id = m.channel_id AND r.message_seq = m.seq AND r.present = 1
			ORDER BY emoji, user_id LIMIT %d))
FROM messages AS m `, chat.MaxReactions)

// reads are the statements of Messages on the readers.
type reads struct {
	older, newer             *sql.Stmt // channel, lowest, highest seq, limit
	threadOlder, threadNewer *sql.Stmt // and the root, as the last
	pins, one                *sql.Stmt
	send, progress           *sql.Stmt
}

func (r *reads) prepare(ctx context.Context, db *sql.DB) (err error) {
	const (
		within = `WHERE channel_id = ?1 AND seq BETWEEN ?2 AND ?3 AND post_version > 0 `
		ofRoot = `AND thread = ?5 AND thread > 0 `
		down   = `ORDER BY seq DESC LIMIT ?4`
		up     = `ORDER BY seq LIMIT ?4`
	)
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&r.older, columns + within + down},
		{&r.newer, columns + within + up},
		{&r.threadOlder, columns + within + ofRoot + down},
		{&r.threadNewer, columns + within + ofRoot + up},
		{&r.pins, columns + `WHERE channel_id = ? AND pinned = 1 AND deleted = 0 AND post_version > 0 ORDER BY seq DESC LIMIT ?`},
		{&r.one, columns + `WHERE channel_id = ? AND seq = ? AND post_version > 0`},
		{&r.send, `SELECT channel_id, version FROM sends_by_client_id WHERE workspace_id = ? AND sender_id = ? AND client_msg_id = ?`},
		{&r.progress, `SELECT coalesce(max(seq), 0) FROM progress WHERE shard = ?`},
	} {
		if *s.stmt, err = db.PrepareContext(ctx, s.text); err != nil {
			return err
		}
	}
	return nil
}

// Page implements store.Messages.
func (m *Messages) Page(ctx context.Context, q store.PageQuery) (store.Page, error) {
	if err := q.Check(); err != nil {
		return store.Page{}, err
	}
	page, err := q.Read(func(s store.Span) ([]chat.Message, error) { return m.span(ctx, q, s) })
	return page, file.Failed(err, "read a page", "page")
}

// span reads what a page wants of a span, in its order.
func (m *Messages) span(ctx context.Context, q store.PageQuery, s store.Span) ([]chat.Message, error) {
	stmt := map[bool]*sql.Stmt{false: m.reads.older, true: m.reads.newer}[s.Up]
	args := []any{string(q.ChannelID), int64(s.From), int64(s.To), s.Wanted()}
	if q.Thread != 0 {
		stmt = map[bool]*sql.Stmt{false: m.reads.threadOlder, true: m.reads.threadNewer}[s.Up]
		args = append(args, int64(min(q.Thread, chat.MaxSeq+1)))
	}
	return messages(ctx, stmt, args...)
}

// Pins implements store.Messages.
func (m *Messages) Pins(ctx context.Context, channel chat.ChannelID) ([]chat.Message, error) {
	pins, err := messages(ctx, m.reads.pins, string(channel), chat.MaxPins)
	return pins, file.Failed(err, "read pins", "channel")
}

// Message implements store.Messages.
func (m *Messages) Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error) {
	found, err := messages(ctx, m.reads.one, string(channel), int64(min(seq, chat.MaxSeq+1)))
	if err == nil && len(found) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return chat.Message{}, file.Failed(err, "read a message", "message")
	}
	return found[0], nil
}

// Send implements store.Messages.
func (m *Messages) Send(ctx context.Context, key store.SendKey) (store.SendPlace, error) {
	var channel string
	var v int64
	err := m.reads.send.QueryRowContext(ctx, string(key.WorkspaceID), string(key.SenderID), string(key.ClientMsgID)).
		Scan(&channel, &v)
	if err != nil {
		return store.SendPlace{}, file.Failed(err, "look a send up", "send")
	}
	return store.SendPlace{ChannelID: chat.ChannelID(channel), Seq: chat.Version(v).Seq(), Epoch: epochOf(v)}, nil
}

// Progress implements store.Messages.
func (m *Messages) Progress(ctx context.Context, shard int) (chat.Seq, error) {
	var seq chat.Seq
	err := m.reads.progress.QueryRowContext(ctx, shard).Scan(&seq)
	return seq, file.Failed(err, "read progress", "shard")
}

func messages(ctx context.Context, stmt *sql.Stmt, args ...any) ([]chat.Message, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	return relational.Collect(rows, err, scanMessage)
}

// scanMessage reads one row of columns.
func scanMessage(r relational.Row) (chat.Message, error) {
	var (
		m                       chat.Message
		version, posted, edited int64
		attachments             sql.NullString
		reactions               string
	)
	err := r.Scan(&m.ChannelID, &m.Seq, &version, &m.SenderID, &m.ClientMsgID, &m.Thread, &posted, &attachments,
		&m.Body, &edited, &m.Deleted, &m.Pinned, &reactions)
	if err != nil {
		return m, err
	}
	m.Epoch, m.PostedAt = epochOf(version), time.Unix(0, posted).UTC()
	if m.Deleted {
		return store.Erased(m), nil
	}
	if edited != 0 {
		m.EditedAt = time.Unix(0, edited).UTC()
	}
	if attachments.Valid {
		if err := json.Unmarshal([]byte(attachments.String), &m.Attachments); err != nil {
			return m, fmt.Errorf("attachments of %d: %w", m.Seq, err)
		}
	}
	var pairs [][2]string // sorted
	if err := json.Unmarshal([]byte(reactions), &pairs); err != nil {
		return m, fmt.Errorf("reactions of %d: %w", m.Seq, err)
	}
	m.Reactions = store.GroupReactions(pairs)
	return m, nil
}

func epochOf(version int64) chat.Epoch { return chat.Epoch(uint64(version) >> 48) }
