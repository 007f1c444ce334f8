package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

const (
	upsertDelivery = `
INSERT INTO deliveries (workspace_id, seq, user_id, rank, state, at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace_id, seq, user_id) DO UPDATE SET rank = excluded.rank, state = excluded.state, at = excluded.at
WHERE excluded.rank > deliveries.rank`

	deliveryColumns = `SELECT user_id, state FROM deliveries WHERE workspace_id = ? AND seq = ? `

	readDeliveries   = deliveryColumns + `AND user_id > ? ORDER BY user_id LIMIT ?`
	readDeliveriesIn = deliveryColumns + `AND user_id IN (SELECT value FROM json_each(?))`

	forgetDeliveries = `
DELETE FROM deliveries WHERE (workspace_id, seq, user_id) IN (
	SELECT workspace_id, seq, user_id FROM deliveries WHERE at < ? ORDER BY at LIMIT ?)`
)

// SetDeliveries implements store.Deliveries.
func (m *Messages) SetDeliveries(ctx context.Context, states []chat.Delivery) error {
	rows := make([][]any, 0, len(states))
	for _, d := range states {
		text, err := store.EncodeDelivery(d)
		if err != nil {
			return err
		}
		rows = append(rows, []any{string(d.WorkspaceID), int64(d.Seq), string(d.UserID), d.Rank(), text, d.At.UnixMilli()})
	}
	return file.Failed(m.each(ctx, upsertDelivery, rows), "keep deliveries", "delivery")
}

// DeliveriesOf implements store.Deliveries.
func (m *Messages) DeliveriesOf(ctx context.Context, q store.DeliveryQuery) ([]chat.Delivery, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	return m.deliveries(ctx, q.MessageKey, readDeliveries, string(q.After), q.Limit)
}

// DeliveriesFor implements store.Deliveries.
func (m *Messages) DeliveriesFor(ctx context.Context, key store.MessageKey, users []chat.UserID) ([]chat.Delivery, error) {
	if err := store.CheckUsers(users); err != nil {
		return nil, err
	}
	list, err := relational.ListOf(users)
	if err != nil {
		return nil, err
	}
	return m.deliveries(ctx, key, readDeliveriesIn, list)
}

// deliveries asks for states of a message. args are those that come after its key.
func (m *Messages) deliveries(ctx context.Context, key store.MessageKey, text string, args ...any) ([]chat.Delivery, error) {
	args = append([]any{string(key.WorkspaceID), int64(min(key.Seq, chat.MaxSeq+1))}, args...)
	ask := relational.Ask("delivery", text, func(r relational.Row) (chat.Delivery, error) {
		var user, state string
		if err := r.Scan(&user, &state); err != nil {
			return chat.Delivery{}, err
		}
		return store.ParseDelivery(key, chat.UserID(user), state)
	})
	return relational.List(ctx, m.db.Source(), ask, args...)
}

// rowsAtOnce is how many rows one transaction has, where there may be any number of them: Apply waits for it.
const rowsAtOnce = 1_000

// each runs a write for every row of arguments.
func (m *Messages) each(ctx context.Context, text string, rows [][]any) error {
	for part := range slices.Chunk(rows, rowsAtOnce) {
		err := m.db.Write(ctx, func(tx *sql.Tx) error {
			// As in batch: what ends with the caller's context costs a goroutine for each row.
			lasting := context.WithoutCancel(ctx)
			stmt, err := tx.PrepareContext(lasting, text)
			if err != nil {
				return err
			}
			defer stmt.Close() // with the transaction at the latest
			for _, args := range part {
				if _, err := stmt.ExecContext(lasting, args...); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget runs a delete of what is before a moment until nothing is left of it.
func (m *Messages) forget(ctx context.Context, text string, before int64) error {
	for {
		var gone int64
		err := m.db.Write(ctx, func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, text, before, rowsAtOnce)
			if err != nil {
				return err
			}
			gone, err = result.RowsAffected()
			return err
		})
		if err != nil || gone < rowsAtOnce {
			return err
		}
	}
}
