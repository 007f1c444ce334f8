package sqlite

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Unpublished implements store.Outbox.
func (d *Directory) Unpublished(ctx context.Context, limit int) ([]store.OutboxRow, error) {
	if limit < 1 { // SQLite would take a negative one for none
		return nil, fault.New(fault.Invalid, "A limit is 1 or more.")
	}
	scan := func(r row) (o store.OutboxRow, err error) {
		var payload []byte
		if err := r.Scan(&o.ID, &o.WorkspaceID, &o.Shard, &payload, moment{&o.CreatedAt}); err != nil {
			return o, err
		}
		if o.Event, err = event.Parse(payload); err != nil {
			return o, fmt.Errorf("outbox row %d: %w", o.ID, err)
		}
		return o, nil
	}
	return list(ctx, d, asked[store.OutboxRow]{"event",
		`SELECT id, workspace_id, shard, event, created_at FROM outbox ORDER BY id LIMIT ?`, scan}, limit)
}

// Record implements store.Outbox. A recorded row is deleted: what was to be kept of it is its seq, and that
// is in the membership.
func (d *Directory) Record(ctx context.Context, done []store.OutboxDone) error {
	return d.write(ctx, "record seqs", "event", func(c change) error {
		for _, o := range done {
			n, err := c.exec(`DELETE FROM outbox WHERE id = ?`, o.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // recorded before
			}
			for _, text := range []string{
				`UPDATE members SET joined_seq = ? WHERE joined_by = ?`,
				`UPDATE tenures SET joined_seq = ? WHERE joined_by = ?`,
				`UPDATE tenures SET left_seq = ? WHERE left_by = ?`,
			} {
				if _, err := c.exec(text, int64(o.Seq), o.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Owed implements store.Outbox.
func (d *Directory) Owed(ctx context.Context, workspace chat.WorkspaceID) (store.OutboxID, error) {
	return get(ctx, d, asked[store.OutboxID]{"event", `SELECT coalesce(max(id), 0) FROM outbox WHERE workspace_id = ?`, scalar[store.OutboxID]}, workspace)
}

// OwedUpTo implements store.Outbox.
func (d *Directory) OwedUpTo(ctx context.Context, workspace chat.WorkspaceID, upTo store.OutboxID) (bool, error) {
	return get(ctx, d, asked[bool]{"event", `SELECT EXISTS (SELECT 1 FROM outbox WHERE workspace_id = ? AND id <= ?)`, scalar[bool]},
		workspace, upTo)
}

// Recorded implements store.Outbox.
func (d *Directory) Recorded(ctx context.Context, shard int) (chat.Seq, error) {
	return get(ctx, d, asked[chat.Seq]{"membership", `SELECT max(
			(SELECT coalesce(max(m.joined_seq), 0) FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id WHERE w.shard = ?1),
			(SELECT coalesce(max(max(t.joined_seq, t.left_seq)), 0) FROM tenures AS t JOIN channels AS c ON c.id = t.channel_id
				JOIN workspaces AS w ON w.id = c.workspace_id WHERE w.shard = ?1))`, scalar[chat.Seq]}, shard)
}
