// Package webhook tells HTTP servers of messages: gateways to APNs, FCM and e-mail, which a workspace has named.
//
// It owns the body and its signature, by the Standard Webhooks specification (https://www.standardwebhooks.com): headers
// webhook-id, webhook-timestamp and webhook-signature, "v1," and the HMAC-SHA256 of "<id>.<timestamp>.<body>" under the
// webhook's secret. The id is that of the message and the user at every attempt, so that a receiver that has it knows a
// repetition. It does not know which webhooks there are, nor when to try again.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	signing "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/dial"
	"github.com/canopychat/canopy/services/store"
)

// Payload is the body of a request, as JSON.
type Payload struct {
	Type        string           `json:"type"` // message
	ID          string           `json:"id"`   // the header webhook-id
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Workspace   string           `json:"workspace"` // its name
	ChannelID   chat.ChannelID   `json:"channel_id"`
	Channel     string           `json:"channel,omitempty"` // its name; absent: a direct message
	Seq         chat.Seq         `json:"seq"`
	ServerMsgID string           `json:"server_msg_id"`
	SenderID    chat.UserID      `json:"sender_id"`
	Sender      string           `json:"sender"`  // their name
	UserID      chat.UserID      `json:"user_id"` // whom it is owed to
	Why         chat.Owed        `json:"why"`
	Body        string           `json:"body"` // the first characters
	PostedAt    time.Time        `json:"posted_at"`
	Attempt     int              `json:"attempt"` // 1 at first
}

// Sender sends to webhooks. It may be used by many goroutines at once.
type Sender struct {
	client *dial.Client
	now    func() time.Time
}

// NewSender makes a Sender. now is the clock of signatures. It starts nothing.
func NewSender(client *dial.Client, now func() time.Time) *Sender {
	return &Sender{client: client, now: now}
}

// Send hands a Notice to a webhook. The errors are those of dial.Parse and dial.Client.Do.
func (s *Sender) Send(ctx context.Context, hook store.Webhook, n notice.Notice) error {
	to, err := dial.Parse(hook.URL)
	if err != nil {
		return err
	}
	body, err := json.Marshal(Payload{
		Type: "message", ID: n.ID, WorkspaceID: n.WorkspaceID, Workspace: n.Workspace, ChannelID: n.ChannelID, Channel: n.Channel,
		Seq: n.Seq, ServerMsgID: chat.Cursor{Epoch: n.Epoch, Seq: n.Seq}.String(), SenderID: n.SenderID, Sender: n.Sender,
		UserID: n.UserID, Why: n.Why, Body: n.Body, PostedAt: n.PostedAt.UTC(), Attempt: n.Attempt,
	})
	if err != nil {
		return fmt.Errorf("encode a webhook's body: %w", err)
	}
	req, err := dial.Post(ctx, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	signer, err := signing.NewWebhookRaw(hook.Secret)
	if err != nil {
		return fmt.Errorf("the webhook's secret: %w", err)
	}
	at := s.now()
	signature, err := signer.Sign(n.ID, at, body)
	if err != nil {
		return fmt.Errorf("sign a webhook: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(signing.HeaderWebhookID, n.ID)
	req.Header.Set(signing.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(signing.HeaderWebhookSignature, signature)
	if n.TraceParent != "" {
		req.Header.Set("Traceparent", n.TraceParent)
	}
	return s.client.Do(req)
}
