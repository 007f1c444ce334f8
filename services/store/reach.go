package store

import (
	"context"
	"encoding/base64"
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

// MaxRecipients is how many people one question of Recipients and Preferences names, or is answered with.
const MaxRecipients = 1000

// Recipients answers who a message may be owed to.
type Recipients interface {
	// MembersAt lists who was in a channel at a seq, by user id, after the given one, at most limit; accounts that are
	// closed are left out. Somebody is in it from the seq of their joining up to that of their leaving. The people of a
	// direct message do not leave it: there they count from the seq since which they belong to the workspace without
	// interruption, and who does not belong to it is left out. settled is false while the seq of somebody's joining or leaving
	// is on its way to the log, whoever was asked for: what is listed may be too many or too few then, so ask again. It
	// says so of everything that was changed before seq was in the log.
	//
	// With q.Gone nobody is left out who was in the channel at the seq, whatever became of them since: nor those whose accounts are
	// closed (maybe since before the seq), nor the people of a direct message who do not belong to the workspace.
	MembersAt(ctx context.Context, q MembersQuery) (users []chat.UserID, settled bool, err error)
	// UsersByLogin reads the accounts among logins that belong to a workspace, closed ones too, in no particular order; at
	// most chat.MaxMentions logins.
	UsersByLogin(ctx context.Context, workspace chat.WorkspaceID, logins []string) ([]chat.User, error)
}

// MembersQuery says whom to list.
type MembersQuery struct {
	ChannelID chat.ChannelID
	Seq       chat.Seq
	After     chat.UserID   // exclusive; empty: from the start
	Limit     int           // 1 to MaxRecipients
	Among     []chat.UserID // only these, at most chat.MaxPageSize; empty: everybody
	Gone      bool          // also those who are gone by now
}

// Preferences are what people want to be woken for.
type Preferences interface {
	// SetPreferences replaces a member's preferences in a workspace. NotFound: not a member. Invalid: what Check refuses. Who
	// leaves the workspace has none while they are not in it, and the same ones again when they come back.
	SetPreferences(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, p chat.Preferences) error
	// PreferencesOf reads the preferences of users in a workspace, at most MaxRecipients users; who has set none, or is not a
	// member, is left out.
	PreferencesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error)
	// KeywordsOf lists the members of a workspace who watch words, with their words, by user id. Closed accounts are left out.
	KeywordsOf(ctx context.Context, workspace chat.WorkspaceID) ([]Watcher, error)
	// SetFollow says that a user follows a thread, or does not, whatever they wrote in it. What is said last counts. NotFound:
	// there is no such channel or account. Whether there is such a thread it does not know.
	SetFollow(ctx context.Context, f Follow) error
	// FollowsOf lists who said so of a thread, the latest first, at most chat.MaxFollowers.
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
	// AddSubscription keeps a subscription. One with the same endpoint gives way to it, whoever's it was; the oldest others of
	// a user with more than chat.MaxSubscriptions go. NotFound: no such account. Conflict: the id is taken.
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

// SecretText is the secret as receivers are told it, and as their libraries take it: the form of Standard Webhooks.
func (h Webhook) SecretText() string { return "whsec_" + base64.StdEncoding.EncodeToString(h.Secret) }

// Secrets are values that the deployment made once, such as its VAPID key.
type Secrets interface {
	// KeepSecret keeps a value under a name, unless there is one; it returns what is kept then. Two processes that start at
	// once end with one.
	KeepSecret(ctx context.Context, name string, value []byte) ([]byte, error)
}
