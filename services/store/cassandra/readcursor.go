package cassandra

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

const (
	updateRead  = `UPDATE read_cursors USING TIMESTAMP ? SET version = ?, at = ? WHERE workspace_id = ? AND user_id = ? AND channel_id = ?`
	readCursor  = `SELECT channel_id, version, at FROM read_cursors WHERE workspace_id = ? AND user_id = ? AND channel_id = ?`
	readCursors = `SELECT channel_id, version, at FROM read_cursors WHERE workspace_id = ? AND user_id = ?`
)

// SetRead implements store.ReadCursors. The write comes first, so that of any number at once the furthest stays, and what
// is read then is at least as far as what was written.
func (m *Messages) SetRead(ctx context.Context, r store.ReadCursor) (store.ReadCursor, error) {
	if r.Cursor.Epoch < 1 || r.Cursor.Epoch > chat.MaxEpoch || r.Cursor.Seq > chat.MaxSeq {
		return store.ReadCursor{}, fault.New(fault.Invalid, "There is no such place in a log.")
	}
	var at int64
	if !r.At.IsZero() {
		at = r.At.UnixNano()
	}
	v := int64(chat.VersionOf(r.Cursor.Epoch, r.Cursor.Seq))
	err := m.db.Batch(ctx, []ring.Write{{Statement: updateRead,
		Args: []any{v, v, ^at, string(r.WorkspaceID), string(r.UserID), string(r.ChannelID)}}})
	if err != nil {
		return store.ReadCursor{}, fmt.Errorf("move a read cursor: %w", err)
	}
	found, err := m.readCursors(ctx, r, readCursor, string(r.WorkspaceID), string(r.UserID), string(r.ChannelID))
	if err == nil && len(found) == 0 {
		err = fault.New(fault.Unavailable, "The database has not kept a read cursor.")
	}
	if err != nil {
		return store.ReadCursor{}, err
	}
	return found[0], nil
}

// ReadCursorsOf implements store.ReadCursors.
func (m *Messages) ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error) {
	return m.readCursors(ctx, store.ReadCursor{WorkspaceID: workspace, UserID: user}, readCursors, string(workspace), string(user))
}

// readCursors runs a statement on the cursors of whoever of says.
func (m *Messages) readCursors(ctx context.Context, of store.ReadCursor, s ring.Statement, args ...any) ([]store.ReadCursor, error) {
	found, err := query(ctx, m.db, ring.Read{Statement: s, Args: args}, func(r ring.Row) (store.ReadCursor, error) {
		var channel string
		var version, down int64
		err := r.Scan(&channel, &version, &down)
		c := store.ReadCursor{WorkspaceID: of.WorkspaceID, UserID: of.UserID, ChannelID: chat.ChannelID(channel),
			Cursor: chat.Cursor{Epoch: epochOf(version), Seq: chat.Version(version).Seq()}}
		if at := ^down; at != 0 {
			c.At = time.Unix(0, at).UTC()
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("read cursors: %w", err)
	}
	return found, nil
}
