package notify

import (
	"context"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

// What is needed of the parts behind it. Their errors are *fault.Error where a user may read them.
type (
	// Workspaces reads the one of somebody: services/directory.
	Workspaces interface {
		Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error)
	}
	// Channels reads one that a user may see: services/directory.
	Channels interface {
		Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error)
	}
	// Reads are how far somebody has read: services/cursors.
	Reads interface {
		MarkRead(ctx context.Context, by chat.UserID, ch chat.ChannelID, seq chat.Seq) (store.ReadCursor, error)
		ReadCursors(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.ReadIn, error)
	}
	// Unreads counts what they have not read, in the order of the question: services/history.
	Unreads interface {
		Unread(ctx context.Context, q store.UnreadQuery) ([]store.Unread, error)
	}
	// Preferences are what people want to be woken for: services/reach, as are the two below.
	Preferences interface {
		Preferences(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) (chat.Preferences, error)
		SetPreferences(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, p chat.Preferences) error
		Follow(ctx context.Context, by chat.UserID, ch chat.ChannelID, root chat.Seq, follows bool) error
	}
	// Subscriptions are the browsers of people.
	Subscriptions interface {
		// Subscribe keeps s, whose ID and CreatedAt it sets.
		Subscribe(ctx context.Context, s store.Subscription) (store.Subscription, error)
		Subscriptions(ctx context.Context, by chat.UserID) ([]store.Subscription, error)
		Unsubscribe(ctx context.Context, by chat.UserID, id string) error
	}
	// Webhooks are where workspaces want their deliveries told.
	Webhooks interface {
		AddWebhook(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, url string) (store.Webhook, error)
		Webhooks(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.Webhook, error)
		RemoveWebhook(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error
	}
	// Schedule is what waits for its time: services/schedule.
	Schedule interface {
		Schedule(ctx context.Context, by chat.UserID, n store.NewScheduled) (job.Scheduled, error)
		List(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]job.Scheduled, error)
		Cancel(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error
	}
	// Ledger says what became of a message: services/deliver. It asks nobody who asks.
	Ledger interface {
		Show(ctx context.Context, q rpc.LedgerRequest) (rpc.LedgerReply, error)
	}
)

// Config is what the handlers are made of. Workspaces and Channels are needed; the calls of what else is nil are refused
// as unsupported.
type Config struct {
	Workspaces    Workspaces
	Channels      Channels
	Reads         Reads
	Unreads       Unreads
	Preferences   Preferences
	Subscriptions Subscriptions
	Webhooks      Webhooks
	Schedule      Schedule
	Ledger        Ledger
	PushKey       func() string // the server's VAPID key, base64url
}

// cursorRecipients is what the cursor of the ledger's list is of.
const cursorRecipients = "d"

// notify answers the requests.
type notify struct{ cfg Config }

// Mount adds the calls to a router, in the order of schemas/rest. in is what every request of them goes through.
func (cfg Config) Mount(e *echo.Echo, in *entry.Entry) {
	n := notify{cfg}
	to := func(there bool, h entry.Handler) echo.HandlerFunc {
		if !there {
			h = unsupported
		}
		return in.SignedIn(h)
	}
	e.POST("/channels/:channel/read", to(cfg.Reads != nil, n.markRead))
	e.GET("/workspaces/:workspace/read", to(cfg.Reads != nil && cfg.Unreads != nil, n.listReads))
	e.GET("/workspaces/:workspace/preferences", to(cfg.Preferences != nil, n.preferences))
	e.PUT("/workspaces/:workspace/preferences", to(cfg.Preferences != nil, n.setPreferences))
	e.PUT("/channels/:channel/messages/:seq/follow", to(cfg.Preferences != nil, n.follow(true)))
	e.DELETE("/channels/:channel/messages/:seq/follow", to(cfg.Preferences != nil, n.follow(false)))
	e.GET("/push/key", to(cfg.PushKey != nil, n.pushKey))
	e.GET("/me/subscriptions", to(cfg.Subscriptions != nil, n.listSubscriptions))
	e.POST("/me/subscriptions", to(cfg.Subscriptions != nil, n.subscribe))
	e.DELETE("/me/subscriptions/:subscription", to(cfg.Subscriptions != nil, n.unsubscribe))
	e.GET("/workspaces/:workspace/webhooks", to(cfg.Webhooks != nil, n.listWebhooks))
	e.POST("/workspaces/:workspace/webhooks", to(cfg.Webhooks != nil, n.addWebhook))
	e.DELETE("/workspaces/:workspace/webhooks/:webhook", to(cfg.Webhooks != nil, n.removeWebhook))
	e.GET("/workspaces/:workspace/scheduled", to(cfg.Schedule != nil, n.listScheduled))
	e.DELETE("/workspaces/:workspace/scheduled/:scheduled", to(cfg.Schedule != nil, n.cancel))
	e.POST("/channels/:channel/scheduled", to(cfg.Schedule != nil, n.schedule))
	e.POST("/workspaces/:workspace/reminders", to(cfg.Schedule != nil, n.remind))
	e.GET("/channels/:channel/messages/:seq/delivery", to(cfg.Ledger != nil, n.delivery))
}

func unsupported(echo.Context, entry.Asker) error {
	return fault.New(fault.Unsupported, "this server does not have that")
}
