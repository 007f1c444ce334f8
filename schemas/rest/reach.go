package rest

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Preferences are what a member of a workspace wants to be woken for. PUT replaces all of them; what is absent is empty.
type Preferences struct {
	Muted    []chat.ChannelID `json:"muted_channels,omitempty"`
	Keywords []string         `json:"keywords,omitempty"`
	Quiet    *Quiet           `json:"do_not_disturb,omitempty"`
}

// Quiet is when somebody is not to be disturbed.
type Quiet struct {
	Until *Time  `json:"until,omitempty"`     // once, up to then
	From  string `json:"from,omitempty"`      // every day from this time of day, "22:00",
	To    string `json:"to,omitempty"`        // to this one, "07:30"; both or none
	Zone  string `json:"time_zone,omitempty"` // of From and To: a name of the IANA database; UTC when absent
}

// PreferencesOf is p as its user reads it.
func PreferencesOf(p chat.Preferences) Preferences {
	out := Preferences{Muted: p.Muted, Keywords: p.Keywords}
	if q := p.Quiet; q != nil {
		out.Quiet = &Quiet{From: q.From, To: q.To, Zone: q.Zone}
		if !q.Until.IsZero() {
			until := Time(q.Until)
			out.Quiet.Until = &until
		}
	}
	return out
}

// Chat is p as the rest of the system knows it. Nothing of it was checked.
func (p Preferences) Chat() chat.Preferences {
	out := chat.Preferences{Muted: p.Muted, Keywords: p.Keywords}
	if q := p.Quiet; q != nil {
		out.Quiet = &chat.Quiet{From: q.From, To: q.To, Zone: q.Zone}
		if q.Until != nil {
			out.Quiet.Until = time.Time(*q.Until)
		}
	}
	return out
}

// PushKey is the server's VAPID key (RFC 8292): the applicationServerKey with which a browser subscribes.
type PushKey struct {
	Key string `json:"key"` // base64url, uncompressed P-256
}

// NewSubscription is a PushSubscription as browsers write it (Push API, toJSON).
type NewSubscription struct {
	Endpoint string           `json:"endpoint"` // https URL of the push service
	Keys     SubscriptionKeys `json:"keys"`
}

// SubscriptionKeys are what a push for a browser is encrypted with (RFC 8291), in base64url without padding.
type SubscriptionKeys struct {
	P256dh string `json:"p256dh"` // 65 bytes
	Auth   string `json:"auth"`   // 16 bytes
}

// Subscription is a browser that takes Web Push for the one who asks.
type Subscription struct {
	ID        string `json:"id"`
	Endpoint  string `json:"endpoint"`
	CreatedAt Time   `json:"created_at"`
}

// SubscriptionList is the subscriptions of the one who asks, oldest first. There are at most chat.MaxSubscriptions.
type SubscriptionList struct {
	Subscriptions []Subscription `json:"subscriptions"`
}

// NewWebhook asks for the deliveries of a workspace to be told to an address.
type NewWebhook struct {
	URL string `json:"url"` // at most chat.MaxHookURL bytes
}

// Webhook is where a workspace wants its deliveries told, as those who manage the workspace see it.
type Webhook struct {
	ID        string      `json:"id"`
	URL       string      `json:"url"`
	Secret    string      `json:"secret,omitempty"` // signs what is sent (Standard Webhooks): whsec_ and base64; told once, to who made it
	By        chat.UserID `json:"by"`
	CreatedAt Time        `json:"created_at"`
}

// WebhookList is the webhooks of a workspace, oldest first. There are at most chat.MaxWebhooks.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}
