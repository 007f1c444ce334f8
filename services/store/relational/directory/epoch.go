package directory

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/relational"
)

// BeginEpoch implements store.Epochs.
func (d *Directory) BeginEpoch(ctx context.Context, shard int, first chat.Seq) (all []chat.Workspace, err error) {
	if first < 1 || first > chat.MaxSeq {
		return nil, fault.New(fault.Invalid, "No log begins at %d.", first)
	}
	err = d.write(ctx, "begin an epoch", "workspace", func(c change) error {
		all, err = relational.List(c.Ctx, c.Source, askWorkspaces(`w.shard = ? ORDER BY w.id /*pg FOR NO KEY UPDATE */`), shard)
		if err != nil {
			return err
		}
		if err := c.markBegin(shard, first); err != nil {
			return err
		}
		epochs := make(map[chat.WorkspaceID]chat.Epoch, len(all))
		for i := range all {
			w := &all[i]
			if w.Epoch++; w.Epoch > chat.MaxEpoch {
				return fault.New(fault.Invalid, "Workspace %s has had all epochs.", w.ID)
			}
			epochs[w.ID] = w.Epoch
			if _, err := c.Exec(`UPDATE workspaces SET epoch = ? WHERE id = ?`, w.Epoch, w.ID); err != nil {
				return err
			}
		}
		return c.retell(shard, epochs)
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// markBegin raises what is recorded of a shard to the seq before first, which must be above it.
func (c change) markBegin(shard int, first chat.Seq) error {
	raised, err := c.Exec(`INSERT INTO recorded (shard, seq) VALUES (?, ?)
		ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq WHERE excluded.seq >= recorded.seq`, shard, int64(first-1))
	if err == nil && raised == 0 {
		err = fault.New(fault.Invalid, "The log of shard %d had seq %d already.", shard, first-1)
	}
	return err
}

// retell gives what the outbox owes to a shard the epochs of its workspaces: an event of another epoch is shown to nobody.
func (c change) retell(shard int, epochs map[chat.WorkspaceID]chat.Epoch) error {
	owed, err := relational.List(c.Ctx, c.Source, askOutbox(`WHERE shard = ? ORDER BY id /*pg FOR UPDATE */`), shard)
	if err != nil {
		return err
	}
	for _, row := range owed {
		epoch, known := epochs[row.WorkspaceID]
		if !known {
			continue // of a workspace that was made a moment ago, in an epoch of its own
		}
		row.Event.Epoch = epoch
		payload, err := event.Encode(row.Event)
		if err != nil {
			return fmt.Errorf("outbox row %d: %w", row.ID, err)
		}
		if _, err := c.Exec(`UPDATE outbox SET event = ? WHERE id = ?`, payload, row.ID); err != nil {
			return err
		}
	}
	return nil
}
