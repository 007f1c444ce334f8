package directory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
// is in the membership, and in what Recorded reads. It does not lock the workspaces, so that relays and who changes them do
// not wait for each other; it locks its rows in the order in which all take them (relational.Change).
func (d *Directory) Record(ctx context.Context, done []store.OutboxDone) error {
	if len(done) == 0 {
		return nil
	}
	seqs := make(map[store.OutboxID]chat.Seq, len(done))
	for _, o := range done {
		seqs[o.ID] = o.Seq
	}
	list, err := json.Marshal(slices.Collect(maps.Keys(seqs)))
	if err != nil {
		return err
	}
	return d.write(ctx, "record seqs", "event", func(c change) error {
		owed, err := relational.List(c.Ctx, c.Source, settle, string(list))
		if err != nil || len(owed) == 0 {
			return err
		}
		kept, last := map[store.OutboxID]chat.Seq{}, map[int]chat.Seq{}
		for _, o := range owed {
			kept[o.id] = seqs[o.id]
			last[o.shard] = max(last[o.shard], seqs[o.id])
		}
		if err := c.keepSeqs(kept); err != nil {
			return err
		}
		for _, shard := range slices.Sorted(maps.Keys(last)) {
			_, err := c.Exec(`INSERT INTO recorded (shard, seq) VALUES (?, ?)
				ON CONFLICT (shard) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > recorded.seq`, shard, int64(last[shard]))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// settled is a row that was taken out of the outbox.
type settled struct {
	id    store.OutboxID
	shard int
}

// ofRows is those rows of the outbox that are in a list.
const ofRows = ` IN (SELECT CAST(value AS BIGINT) FROM json_each(?))`

// settle takes rows out of the outbox. Those that are not there were recorded before.
var settle = relational.Ask("event", `DELETE FROM outbox WHERE id IN (
		SELECT id FROM outbox WHERE id`+ofRows+` ORDER BY id /*pg FOR UPDATE */) RETURNING id, shard`,
	func(r relational.Row) (s settled, err error) { return s, r.Scan(&s.id, &s.shard) })

// locksOfSeqs are the memberships that were written with rows of the outbox.
var locksOfSeqs = []string{
	`SELECT joined_by FROM tenures WHERE joined_by` + ofRows + ` OR left_by` + ofRows + ` ORDER BY channel_id, user_id, joined_by /*pg FOR NO KEY UPDATE */`,
	`SELECT joined_by FROM members WHERE joined_by` + ofRows + ` ORDER BY workspace_id, user_id /*pg FOR NO KEY UPDATE */`,
}

// keepingSeqs write the seqs of rows, which are given by their ids, into those memberships.
var keepingSeqs = []string{
	`UPDATE tenures SET joined_seq = CAST(? /*pg ::JSONB */ ->> CAST(joined_by AS TEXT) AS BIGINT) WHERE joined_by` + ofRows,
	`UPDATE tenures SET left_seq = CAST(? /*pg ::JSONB */ ->> CAST(left_by AS TEXT) AS BIGINT) WHERE left_by` + ofRows,
	`UPDATE members SET joined_seq = CAST(? /*pg ::JSONB */ ->> CAST(joined_by AS TEXT) AS BIGINT) WHERE joined_by` + ofRows,
}

// keepSeqs writes the seqs of rows into the memberships that were written with them, all at once, and locks those before.
func (c change) keepSeqs(seqs map[store.OutboxID]chat.Seq) error {
	byID, err1 := json.Marshal(seqs)
	list, err2 := json.Marshal(slices.Collect(maps.Keys(seqs)))
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, text := range locksOfSeqs {
		if _, err := c.Exec(text, slices.Repeat([]any{string(list)}, strings.Count(text, "?"))...); err != nil {
			return err
		}
	}
	for _, text := range keepingSeqs {
		if _, err := c.Exec(text, string(byID), string(list)); err != nil {
			return err
		}
	}
	return nil
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
