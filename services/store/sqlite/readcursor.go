package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

const (
	upsertRead = `
INSERT INTO read_cursors (workspace_id, user_id, channel_id, version, at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (workspace_id, user_id, channel_id) DO UPDATE SET version = excluded.version, at = excluded.at
WHERE excluded.version > read_cursors.version`

	readCursors = `SELECT workspace_id, user_id, channel_id, version, at FROM read_cursors WHERE workspace_id = ? AND user_id = ? `
)

func scanReadCursor(r relational.Row) (c store.ReadCursor, err error) {
	var version, at int64
	if err := r.Scan(&c.WorkspaceID, &c.UserID, &c.ChannelID, &version, &at); err != nil {
		return c, err
	}
	c.Cursor = chat.Cursor{Epoch: epochOf(version), Seq: chat.Version(version).Seq()}
	if at != 0 {
		c.At = time.Unix(0, at).UTC()
	}
	return c, nil
}

// SetRead implements store.ReadCursors.
func (m *Messages) SetRead(ctx context.Context, r store.ReadCursor) (counts store.ReadCursor, err error) {
	if err := store.CheckCursor(r.Cursor); err != nil {
		return counts, err
	}
	var at int64
	if !r.At.IsZero() {
		at = r.At.UnixNano()
	}
	err = m.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, upsertRead, r.WorkspaceID, r.UserID, r.ChannelID,
			int64(chat.VersionOf(r.Cursor.Epoch, r.Cursor.Seq)), at)
		if err != nil {
			return err
		}
		counts, err = relational.Get(ctx, file.From(tx), relational.Ask("read cursor", readCursors+`AND channel_id = ?`, scanReadCursor),
			r.WorkspaceID, r.UserID, r.ChannelID)
		return err
	})
	return counts, file.Failed(err, "move a read cursor", "read cursor")
}

// ReadCursorsOf implements store.ReadCursors.
func (m *Messages) ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error) {
	return relational.List(ctx, m.db.Source(), relational.Ask("read cursor", readCursors+`ORDER BY channel_id`, scanReadCursor), workspace, user)
}
