package receipt

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	updateRead  = `UPDATE read_cursors USING TIMESTAMP ? SET version = ?, at = ? WHERE workspace_id = ? AND user_id = ? AND channel_id = ?`
	readCursor  = `SELECT channel_id, version, at FROM read_cursors WHERE workspace_id = ? AND user_id = ? AND channel_id = ?`
	readCursors = `SELECT channel_id, version, at FROM read_cursors WHERE workspace_id = ? AND user_id = ?`
)

// SetRead implements store.ReadCursors. The write comes first, so that of any number at once the furthest stays, and what
// is read then is at least as far as what was written.
func (r *Receipts) SetRead(ctx context.Context, c store.ReadCursor) (store.ReadCursor, error) {
	if err := store.CheckCursor(c.Cursor); err != nil {
		return store.ReadCursor{}, err
	}
	var at int64
	if !c.At.IsZero() {
		at = c.At.UnixNano()
	}
	v := int64(chat.VersionOf(c.Cursor.Epoch, c.Cursor.Seq))
	err := r.db.Batch(ctx, []ring.Write{{Statement: updateRead,
		Args: []any{v, v, ^at, string(c.WorkspaceID), string(c.UserID), string(c.ChannelID)}}})
	if err != nil {
		return store.ReadCursor{}, fmt.Errorf("move a read cursor: %w", err)
	}
	found, err := r.readCursors(ctx, c, readCursor, string(c.WorkspaceID), string(c.UserID), string(c.ChannelID))
	if err == nil && len(found) == 0 {
		err = fault.New(fault.Unavailable, "The database has not kept a read cursor.")
	}
	if err != nil {
		return store.ReadCursor{}, err
	}
	return found[0], nil
}

// ReadCursorsOf implements store.ReadCursors.
func (r *Receipts) ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error) {
	return r.readCursors(ctx, store.ReadCursor{WorkspaceID: workspace, UserID: user}, readCursors, string(workspace), string(user))
}

// readCursors runs a statement on the cursors of whoever of says.
func (r *Receipts) readCursors(ctx context.Context, of store.ReadCursor, s ring.Statement, args ...any) ([]store.ReadCursor, error) {
	found, err := rows.Query(ctx, r.db, ring.Read{Statement: s, Args: args}, func(row ring.Row) (store.ReadCursor, error) {
		var channel string
		var version, down int64
		err := row.Scan(&channel, &version, &down)
		c := store.ReadCursor{WorkspaceID: of.WorkspaceID, UserID: of.UserID, ChannelID: chat.ChannelID(channel),
			Cursor: cursorOf(version)}
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
