package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Reach is how people want to be reached, and where.
type Reach interface {
	Recipients
	Preferences
	Subscriptions
	Webhooks
	Secrets
}

// Recipients answers who a message may be owed to.
type Recipients interface {
	// MembersAt lists who was in a channel at a seq, by user id, after the given one, at most limit; accounts that are
	// closed are left out. settled is false while the seq of somebody's joining or leaving of the channel is on its way to
	// the log: then ask again.
	MembersAt(ctx context.Context, q MembersQuery) (users []chat.UserID, settled bool, err error)
	// UsersByLogin reads the accounts among logins that belong to a workspace, in no particular order; at most chat.MaxMentions logins.
	UsersByLogin(ctx context.Context, workspace chat.WorkspaceID, logins []string) ([]chat.User, error)
}

// MembersQuery says whom to list.
type MembersQuery struct {
	ChannelID chat.ChannelID
	Seq       chat.Seq
	After     chat.UserID   // exclusive; empty: from the start
	Limit     int           // 1 to 1,000
	Among     []chat.UserID // only these, at most chat.MaxPageSize; empty: everybody
}

// Preferences are what people want to be woken for.
type Preferences interface {
	// SetPreferences replaces a member's preferences in a workspace. NotFound: not a member.
	SetPreferences(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, p chat.Preferences) error
	// PreferencesOf reads the preferences of users in a workspace, at most 1,000 users; who has set none is left out.
	PreferencesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error)
	// KeywordsOf lists the members of a workspace who watch words, with their words, by user id.
	KeywordsOf(ctx context.Context, workspace chat.WorkspaceID) ([]Watcher, error)
	// SetFollow says that a user follows a thread, or does not, whatever they wrote in it.
	SetFollow(ctx context.Context, f Follow) error
	// FollowsOf lists who said so of a thread, at most chat.MaxFollowers, the latest.
	FollowsOf(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]Follow, error)
}

// Watcher is a member who watches words.
type Watcher struct {
	UserID   chat.UserID
	Keywords []string
}

// Follow is what a user says about a thread.
type Follow struct {
	ChannelID chat.ChannelID
	Root      chat.Seq
	UserID    chat.UserID
	Follows   bool
	At        time.Time
}

// Subscriptions are where browsers of people take Web Push (RFC 8030).
type Subscriptions interface {
	// AddSubscription keeps a subscription. One with the same endpoint gives way to it, whoever's it was; the oldest of a
	// user with more than chat.MaxSubscriptions goes.
	AddSubscription(ctx context.Context, s Subscription) error
	// SubscriptionsOf lists those of a user, oldest first.
	SubscriptionsOf(ctx context.Context, user chat.UserID) ([]Subscription, error)
	// RemoveSubscription forgets one of a user. NotFound.
	RemoveSubscription(ctx context.Context, user chat.UserID, id string) error
}

// Subscription is one browser's push subscription.
type Subscription struct {
	ID        string // an id token
	UserID    chat.UserID
	Endpoint  string // https URL of the push service
	P256dh    []byte // the browser's public key, 65 bytes (RFC 8291)
	Auth      []byte // its secret, 16 bytes
	CreatedAt time.Time
}

// Webhooks are where a workspace wants its deliveries told: gateways to APNs, FCM, e-mail.
type Webhooks interface {
	// AddWebhook keeps one. Forbidden: the workspace has chat.MaxWebhooks. NotFound: no such workspace.
	AddWebhook(ctx context.Context, h Webhook) error
	// WebhooksOf lists those of a workspace, oldest first.
	WebhooksOf(ctx context.Context, workspace chat.WorkspaceID) ([]Webhook, error)
	// RemoveWebhook forgets one of a workspace. NotFound.
	RemoveWebhook(ctx context.Context, workspace chat.WorkspaceID, id string) error
}

// Webhook is one address that deliveries of a workspace are told to.
type Webhook struct {
	ID          string // an id token
	WorkspaceID chat.WorkspaceID
	URL         string
	Secret      []byte // 32 bytes, signs what is sent
	CreatedBy   chat.UserID
	CreatedAt   time.Time
}

// Secrets are values that the deployment made once, such as its VAPID key.
type Secrets interface {
	// KeepSecret keeps a value under a name, unless there is one; it returns what is kept then. Two processes that start at
	// once end with one.
	KeepSecret(ctx context.Context, name string, value []byte) ([]byte, error)
}
