package reach

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// oneTaker lets one at a time take an endpoint, so that nobody else gets it between the look at whose it is and the lock of
// that account.
const oneTaker = `SELECT CAST(?1 AS TEXT) /*pg FROM pg_advisory_xact_lock(hashtext('canopy.endpoint ' || ?1)) */`

// AddSubscription implements store.Subscriptions. Only who has the lock of an account gives it subscriptions, or takes many of
// them from it, so both accounts of one that changes hands are locked. RemoveSubscription takes one row, and needs no order.
func (s *Store) AddSubscription(ctx context.Context, n store.Subscription) error {
	return s.db.Change(ctx, "add subscription", "subscription", func(c relational.Change) error {
		if _, err := c.Exec(oneTaker, n.Endpoint); err != nil {
			return err
		}
		_, err := c.Exec(`SELECT id FROM users WHERE id = ? OR id = (SELECT user_id FROM push_subscriptions WHERE endpoint = ?)
			ORDER BY id /*pg FOR NO KEY UPDATE */`, n.UserID, n.Endpoint)
		if err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO push_subscriptions (id, user_id, endpoint, p256dh, auth, created_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (endpoint) DO UPDATE SET id = excluded.id, user_id = excluded.user_id, p256dh = excluded.p256dh,
				auth = excluded.auth, created_at = excluded.created_at`,
			n.ID, n.UserID, n.Endpoint, n.P256dh, n.Auth, relational.Micros(n.CreatedAt))
		if err != nil {
			return err
		}
		_, err = c.Exec(`DELETE FROM push_subscriptions WHERE id IN (
			SELECT id FROM push_subscriptions WHERE user_id = ? AND id <> ? ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET ?)`,
			n.UserID, n.ID, chat.MaxSubscriptions-1)
		return err
	})
}

// SubscriptionsOf implements store.Subscriptions.
func (s *Store) SubscriptionsOf(ctx context.Context, user chat.UserID) ([]store.Subscription, error) {
	scan := func(r relational.Row) (n store.Subscription, err error) {
		return n, r.Scan(&n.ID, &n.UserID, &n.Endpoint, &n.P256dh, &n.Auth, relational.Moment{Into: &n.CreatedAt})
	}
	return list(ctx, s, relational.Ask("subscription", `SELECT id, user_id, endpoint, p256dh, auth, created_at
		FROM push_subscriptions WHERE user_id = ? ORDER BY created_at, id`, scan), user)
}

// RemoveSubscription implements store.Subscriptions.
func (s *Store) RemoveSubscription(ctx context.Context, user chat.UserID, id string) error {
	return s.exec(ctx, "remove subscription", "subscription", `DELETE FROM push_subscriptions WHERE user_id = ? AND id = ?`, user, id)
}
