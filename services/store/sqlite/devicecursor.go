package sqlite

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

const (
	upsertDevice = `
INSERT INTO device_cursors (workspace_id, user_id, device_id, version, at, heard_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (workspace_id, user_id, device_id) DO UPDATE SET
	at = CASE WHEN excluded.version > device_cursors.version THEN excluded.at ELSE min(excluded.at, device_cursors.at) END,
	heard_at = max(excluded.heard_at, device_cursors.heard_at),
	version = excluded.version
WHERE excluded.version >= device_cursors.version`

	readDevices = `
SELECT workspace_id, user_id, device_id, version, at FROM device_cursors
WHERE workspace_id = ? AND user_id IN (SELECT value FROM json_each(?))`

	forgetDevices = `
DELETE FROM device_cursors WHERE (workspace_id, user_id, device_id) IN (
	SELECT workspace_id, user_id, device_id FROM device_cursors WHERE heard_at < ? ORDER BY heard_at LIMIT ?)`
)

func scanDevice(r relational.Row) (c store.DeviceCursor, err error) {
	var version, at int64
	if err := r.Scan(&c.WorkspaceID, &c.UserID, &c.DeviceID, &version, &at); err != nil {
		return c, err
	}
	c.Cursor = chat.Cursor{Epoch: epochOf(version), Seq: chat.Version(version).Seq()}
	if at != 0 {
		c.At = time.Unix(0, at).UTC()
	}
	return c, nil
}

// SetDelivered implements store.DeviceCursors.
func (m *Messages) SetDelivered(ctx context.Context, cursors []store.DeviceCursor) error {
	rows := make([][]any, 0, len(cursors))
	for _, c := range cursors {
		if err := store.CheckCursor(c.Cursor); err != nil {
			return err
		}
		var at int64
		if !c.At.IsZero() {
			at = c.At.UnixNano()
		}
		rows = append(rows, []any{string(c.WorkspaceID), string(c.UserID), string(c.DeviceID),
			int64(chat.VersionOf(c.Cursor.Epoch, c.Cursor.Seq)), at})
	}
	return file.Failed(m.each(ctx, upsertDevice, rows), "move device cursors", "device cursor")
}

// DevicesOf implements store.DeviceCursors.
func (m *Messages) DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error) {
	if err := store.CheckUsers(users); err != nil {
		return nil, err
	}
	list, err := relational.ListOf(users)
	if err != nil {
		return nil, err
	}
	return relational.List(ctx, m.db.Source(), relational.Ask("device cursor", readDevices, scanDevice), string(workspace), list)
}

// ForgetDevices implements store.DeviceCursors.
func (m *Messages) ForgetDevices(ctx context.Context, before time.Time) error {
	err := m.forget(ctx, forgetDevices, before.UnixNano())
	if err == nil {
		err = m.forget(ctx, forgetDeliveries, before.Add(store.DeviceLife-store.DeliveryLife).UnixMilli())
	}
	return file.Failed(err, "forget devices", "device cursor")
}
