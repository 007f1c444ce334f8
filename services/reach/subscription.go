package reach

import (
	"context"
	"crypto/ecdh"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// authBytes is the length of a browser's secret (RFC 8291 §3.2).
const authBytes = 16

// Subscribe keeps the subscription of a browser of n.UserID, whose ID and CreatedAt it sets. A browser that was somebody
// else's before is theirs from now on; of too many the oldest is forgotten.
func (s *Service) Subscribe(ctx context.Context, n store.Subscription) (store.Subscription, error) {
	if err := s.checkURL("endpoint", n.Endpoint); err != nil {
		return store.Subscription{}, err
	}
	if _, err := ecdh.P256().NewPublicKey(n.P256dh); err != nil { // 65 bytes that are a point of the curve
		return store.Subscription{}, fault.Wrap(fault.Invalid, err, "p256dh is the public key of a browser: 65 bytes, a point of P-256")
	}
	if len(n.Auth) != authBytes {
		return store.Subscription{}, fault.New(fault.Invalid, "auth is the secret of a browser: %d bytes", authBytes)
	}
	var err error
	if n.ID, err = newID(); err != nil {
		return store.Subscription{}, err
	}
	n.CreatedAt = s.now()
	if err := s.cfg.Store.AddSubscription(ctx, n); err != nil {
		return store.Subscription{}, fmt.Errorf("subscribe: %w", err)
	}
	return n, nil
}

// Subscriptions lists those of a user, oldest first.
func (s *Service) Subscriptions(ctx context.Context, by chat.UserID) ([]store.Subscription, error) {
	all, err := s.cfg.Store.SubscriptionsOf(ctx, by)
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	return all, nil
}

// Unsubscribe forgets one of a user.
func (s *Service) Unsubscribe(ctx context.Context, by chat.UserID, id string) error {
	err := s.cfg.Store.RemoveSubscription(ctx, by, id)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "there is no such subscription among yours")
	}
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	return nil
}
