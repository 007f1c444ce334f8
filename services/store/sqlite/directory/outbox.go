package directory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// Unpublished implements store.Outbox.
func (d *Directory) Unpublished(ctx context.Context, limit int) ([]store.OutboxRow, error) {
	if limit < 1 { // SQLite would take a negative one for none
		return nil, fault.New(fault.Invalid, "A limit is 1 or more.")
	}
	scan := func(r file.Row) (o store.OutboxRow, err error) {
		var payload []byte
		if err := r.Scan(&o.ID, &o.WorkspaceID, &o.Shard, &payload, file.Moment{Into: &o.CreatedAt}); err != nil {
			return o, err
		}
		if o.Event, err = event.Parse(payload); err != nil {
			return o, fmt.Errorf("outbox row %d: %w", o.ID, err)
		}
		return o, nil
	}
	return list(ctx, d, file.Ask("event",
		`SELECT id, workspace_id, shard, event, created_at FROM outbox ORDER BY id LIMIT ?`, scan), limit)
}

// Record implements store.Outbox. A recorded row is deleted: what was to be kept of it is its seq, and that
// is in the membership, and in what Recorded reads.
func (d *Directory) Record(ctx context.Context, done []store.OutboxDone) error {
	return d.write(ctx, "record seqs", "event", func(c change) error {
		for _, o := range done {
			var shard int
			err := c.Tx.QueryRowContext(ctx, `DELETE FROM outbox WHERE id = ? RETURNING shard`, o.ID).Scan(&shard)
			if errors.Is(err, sql.ErrNoRows) {
				continue // recorded before
			}
			if err != nil {
				return err
			}
			_, err = c.Exec(`INSERT INTO recorded (shard, seq) VALUES (?, ?)
				ON CONFLICT (shard) DO UPDATE SET seq = max(seq, excluded.seq)`, shard, int64(o.Seq))
			if err != nil {
				return err
			}
			for _, text := range []string{
				`UPDATE members SET joined_seq = ? WHERE joined_by = ?`,
				`UPDATE tenures SET joined_seq = ? WHERE joined_by = ?`,
				`UPDATE tenures SET left_seq = ? WHERE left_by = ?`,
			} {
				if _, err := c.Exec(text, int64(o.Seq), o.ID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Owed implements store.Outbox.
func (d *Directory) Owed(ctx context.Context, workspace chat.WorkspaceID) (store.OutboxID, error) {
	return get(ctx, d, file.Ask("event", `SELECT coalesce(max(id), 0) FROM outbox WHERE workspace_id = ?`, file.Scalar[store.OutboxID]), workspace)
}

// OwedUpTo implements store.Outbox.
func (d *Directory) OwedUpTo(ctx context.Context, workspace chat.WorkspaceID, upTo store.OutboxID) (bool, error) {
	return get(ctx, d, file.Ask("event", `SELECT EXISTS (SELECT 1 FROM outbox WHERE workspace_id = ? AND id <= ?)`, file.Scalar[bool]),
		workspace, upTo)
}

// Recorded implements store.Outbox.
func (d *Directory) Recorded(ctx context.Context, shard int) (chat.Seq, error) {
	return get(ctx, d, file.Ask("seq", `SELECT coalesce(max(seq), 0) FROM recorded WHERE shard = ?`, file.Scalar[chat.Seq]), shard)
}
