package reach

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// AddWebhook implements store.Webhooks.
func (s *Store) AddWebhook(ctx context.Context, h store.Webhook) error {
	return s.db.Change(ctx, "add webhook", "webhook", func(c relational.Change) error {
		_, err := relational.Get(ctx, c.Source, relational.Ask("workspace",
			`SELECT id FROM workspaces WHERE id = ? /*pg FOR NO KEY UPDATE */`, relational.Scalar[chat.WorkspaceID]), h.WorkspaceID)
		if err != nil {
			return err
		}
		have, err := relational.Get(ctx, c.Source, relational.Ask("webhook",
			`SELECT count(*) FROM webhooks WHERE workspace_id = ?`, relational.Scalar[int]), h.WorkspaceID)
		if err != nil {
			return err
		}
		if have >= chat.MaxWebhooks {
			return fault.New(fault.Forbidden, "The workspace has %d webhooks: remove one first.", have)
		}
		_, err = c.Exec(`INSERT INTO webhooks (id, workspace_id, url, secret, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
			h.ID, h.WorkspaceID, h.URL, h.Secret, h.CreatedBy, relational.Micros(h.CreatedAt))
		return err
	})
}

// WebhooksOf implements store.Webhooks.
func (s *Store) WebhooksOf(ctx context.Context, workspace chat.WorkspaceID) ([]store.Webhook, error) {
	scan := func(r relational.Row) (h store.Webhook, err error) {
		return h, r.Scan(&h.ID, &h.WorkspaceID, &h.URL, &h.Secret, &h.CreatedBy, relational.Moment{Into: &h.CreatedAt})
	}
	return list(ctx, s, relational.Ask("webhook", `SELECT id, workspace_id, url, secret, created_by, created_at
		FROM webhooks WHERE workspace_id = ? ORDER BY created_at, id`, scan), workspace)
}

// RemoveWebhook implements store.Webhooks. Whoever counts them meanwhile may count it still.
func (s *Store) RemoveWebhook(ctx context.Context, workspace chat.WorkspaceID, id string) error {
	return s.exec(ctx, "remove webhook", "webhook", `DELETE FROM webhooks WHERE workspace_id = ? AND id = ?`, workspace, id)
}
