package receipt

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	deliveryColumns = `SELECT user_id, state FROM deliveries_by_message WHERE workspace_id = ? AND seq = ? `

	updateDelivery   = `UPDATE deliveries_by_message USING TIMESTAMP ? SET state = ? WHERE workspace_id = ? AND seq = ? AND user_id = ?`
	readDeliveries   = deliveryColumns + `AND user_id > ? LIMIT ?`
	readDeliveriesIn = deliveryColumns + `AND user_id IN ?`
)

// usersAtOnce is how many rows one question names.
const usersAtOnce = 50

// SetDeliveries implements store.Deliveries. The rank is the timestamp.
func (r *Receipts) SetDeliveries(ctx context.Context, states []chat.Delivery) error {
	all := make([]rows.Row, 0, len(states))
	for _, d := range states {
		text, err := store.EncodeDelivery(d)
		if err != nil {
			return err
		}
		all = append(all, rows.Row{
			Partition: rows.Partition{Table: "deliveries_by_message", Key: string(d.WorkspaceID), Number: int64(d.Seq)},
			Write:     ring.Write{Statement: updateDelivery, Args: []any{d.Rank(), text, string(d.WorkspaceID), int64(d.Seq), string(d.UserID)}},
			Size:      rows.Overhead + len(text),
		})
	}
	if err := r.writer.Write(ctx, all); err != nil {
		return fmt.Errorf("keep deliveries: %w", err)
	}
	return nil
}

// DeliveriesOf implements store.Deliveries.
func (r *Receipts) DeliveriesOf(ctx context.Context, q store.DeliveryQuery) ([]chat.Delivery, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	return r.deliveries(ctx, q.MessageKey, readDeliveries, string(q.After), q.Limit)
}

// DeliveriesFor implements store.Deliveries.
func (r *Receipts) DeliveriesFor(ctx context.Context, key store.MessageKey, users []chat.UserID) ([]chat.Delivery, error) {
	if err := store.CheckUsers(users); err != nil {
		return nil, err
	}
	var parts [][]string
	for part := range slices.Chunk(distinct(users), usersAtOnce) {
		var ids []string
		for _, user := range part {
			ids = append(ids, string(user))
		}
		parts = append(parts, ids)
	}
	answers := make([][]chat.Delivery, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	for i, ids := range parts {
		group.Go(func() (err error) {
			answers[i], err = r.deliveries(ctx, key, readDeliveriesIn, ids)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(answers...), nil
}

// deliveries runs a statement on the states of a message. args are those that come after its key.
func (r *Receipts) deliveries(ctx context.Context, key store.MessageKey, s ring.Statement, args ...any) ([]chat.Delivery, error) {
	args = append([]any{string(key.WorkspaceID), int64(key.Seq)}, args...)
	found, err := rows.Query(ctx, r.db, ring.Read{Statement: s, Args: args}, func(row ring.Row) (chat.Delivery, error) {
		var user, state string
		if err := row.Scan(&user, &state); err != nil {
			return chat.Delivery{}, err
		}
		return store.ParseDelivery(key, chat.UserID(user), state)
	})
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return found, nil
}
