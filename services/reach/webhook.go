package reach

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// secretBytes is the length of the secret of a webhook: that of what it signs with, HMAC-SHA256.
const secretBytes = 32

// AddWebhook lets a workspace tell its deliveries to an address. The result has the secret that signs them
// (store.Webhook.SecretText), which nothing else here tells.
func (s *Service) AddWebhook(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, url string) (store.Webhook, error) {
	if err := s.administrator(ctx, ws, by); err != nil {
		return store.Webhook{}, err
	}
	if err := s.checkURL("url", url); err != nil {
		return store.Webhook{}, err
	}
	id, err := newID()
	if err != nil {
		return store.Webhook{}, err
	}
	h := store.Webhook{ID: id, WorkspaceID: ws, URL: url, Secret: make([]byte, secretBytes), CreatedBy: by, CreatedAt: s.now()}
	rand.Read(h.Secret) // it never fails
	err = s.cfg.Store.AddWebhook(ctx, h)
	if fault.Is(err, fault.Forbidden) {
		return store.Webhook{}, fault.Wrap(fault.Forbidden, err, "a workspace has at most %d webhooks: remove one first", chat.MaxWebhooks)
	}
	if err != nil {
		return store.Webhook{}, fmt.Errorf("add a webhook: %w", err)
	}
	return h, nil
}

// Webhooks lists those of a workspace without their secrets, oldest first.
func (s *Service) Webhooks(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.Webhook, error) {
	if err := s.administrator(ctx, ws, by); err != nil {
		return nil, err
	}
	all, err := s.cfg.Store.WebhooksOf(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	for i := range all {
		all[i].Secret = nil
	}
	return all, nil
}

// RemoveWebhook forgets one of a workspace.
func (s *Service) RemoveWebhook(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error {
	if err := s.administrator(ctx, ws, by); err != nil {
		return err
	}
	err := s.cfg.Store.RemoveWebhook(ctx, ws, id)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "the workspace has no such webhook")
	}
	if err != nil {
		return fmt.Errorf("remove a webhook: %w", err)
	}
	return nil
}
