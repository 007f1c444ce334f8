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
	"github.com/canopychat/canopy/services/store/relational"
)

const (
	claimAhead = 10_000 // rows of the outbox among which a claim looks for workspaces
	claimMost  = 64     // workspaces of one claim: others may have the rest
)

// Unpublished implements store.Outbox.
func (d *Directory) Unpublished(ctx context.Context, limit int) ([]store.OutboxRow, error) {
	if err := checkOutboxLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askOutbox(`ORDER BY id LIMIT ?`), limit)
}

func checkOutboxLimit(limit int) error {
	if limit < 1 { // SQLite would take a negative one for none
		return fault.New(fault.Invalid, "A limit is 1 or more.")
	}
	return nil
}

// askOutbox is a question for the rows of the outbox of which rest says more.
func askOutbox(rest string) relational.Asked[store.OutboxRow] {
	return relational.Ask("event", `SELECT id, workspace_id, shard, event, created_at FROM outbox `+rest, scanOutbox)
}

func scanOutbox(r relational.Row) (o store.OutboxRow, err error) {
	var payload []byte
	if err := r.Scan(&o.ID, &o.WorkspaceID, &o.Shard, &payload, relational.Moment{Into: &o.CreatedAt}); err != nil {
		return o, err
	}
	if o.Event, err = event.Parse(payload); err != nil {
		return o, fmt.Errorf("outbox row %d: %w", o.ID, err)
	}
	return o, nil
}

// oldestOwed is the workspaces of the oldest rows of the outbox, the one that has waited longest first.
var oldestOwed = relational.Ask("workspace", `SELECT workspace_id FROM (
		SELECT id, workspace_id FROM outbox WHERE workspace_id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?) AS oldest
	GROUP BY workspace_id ORDER BY min(id)`, relational.Scalar[string])

// Claim implements store.Outbox. The rows are read when their workspaces are held, so what the last holder recorded is gone.
func (d *Directory) Claim(ctx context.Context, limit int, except []chat.WorkspaceID) (store.Claim, error) {
	if err := checkOutboxLimit(limit); err != nil {
		return store.Claim{}, err
	}
	others, err := relational.ListOf(except)
	if err != nil {
		return store.Claim{}, err
	}
	wanted, err := list(ctx, d, oldestOwed, others, claimAhead)
	if err != nil || len(wanted) == 0 {
		return store.Claim{Release: func() {}}, err
	}
	held, err := d.db.Hold(ctx, wanted, claimMost)
	if err != nil {
		return store.Claim{Release: func() {}}, err
	}
	mine, err := relational.ListOf(held.Names)
	var rows []store.OutboxRow
	if err == nil && len(held.Names) > 0 {
		rows, err = list(ctx, d, askOutbox(`WHERE workspace_id IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?`), mine, limit)
	}
	if err != nil {
		held.Release()
		return store.Claim{Release: func() {}}, err
	}
	return store.Claim{Rows: rows, Release: held.Release}, nil
}

// Watch implements store.Outbox. What this process writes rings here, also while the database cannot tell.
func (d *Directory) Watch(ctx context.Context, wake func()) error {
	defer d.owed.hear(wake)()
	wake()
	return d.db.Listen(ctx, wake)
}

// Record implements store.Outbox. A recorded row is deleted: what was to be kept of it is its seq, and that
// is in the membership, and in what Recorded reads.
func (d *Directory) Record(ctx context.Context, done []store.OutboxDone) error {
	return d.write(ctx, "record seqs", "event", func(c change) error {
		for _, o := range done {
			var shard int
			err := c.Row(`DELETE FROM outbox WHERE id = ? RETURNING shard`, o.ID).Scan(&shard)
			if errors.Is(err, sql.ErrNoRows) {
				continue // recorded before
			}
			if err != nil {
				return err
			}
			_, err = c.Exec(`INSERT INTO recorded (shard, seq) VALUES (?, ?)
				ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > recorded.seq`, shard, int64(o.Seq))
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
	return get(ctx, d, relational.Ask("event", `SELECT coalesce(max(id), 0) FROM outbox WHERE workspace_id = ?`, relational.Scalar[store.OutboxID]), workspace)
}

// OwedUpTo implements store.Outbox.
func (d *Directory) OwedUpTo(ctx context.Context, workspace chat.WorkspaceID, upTo store.OutboxID) (bool, error) {
	return get(ctx, d, relational.Ask("event", `SELECT EXISTS (SELECT 1 FROM outbox WHERE workspace_id = ? AND id <= ?)`, relational.Scalar[bool]),
		workspace, upTo)
}

// Recorded implements store.Outbox.
func (d *Directory) Recorded(ctx context.Context, shard int) (chat.Seq, error) {
	return get(ctx, d, relational.Ask("seq", `SELECT coalesce(max(seq), 0) FROM recorded WHERE shard = ?`, relational.Scalar[chat.Seq]), shard)
}
