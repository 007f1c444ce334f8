package ledger

import (
	"context"
	"log/slog"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// Places are the workspaces and channels, and who was in them; a store.Directory knows.
type Places interface {
	Workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error)
	Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error)
	MembersAt(ctx context.Context, q store.MembersQuery) (users []chat.UserID, settled bool, err error)
}

// People are accounts; a store.Directory knows.
type People interface {
	UsersByID(ctx context.Context, ids []chat.UserID) ([]chat.User, error)
	UsersByLogin(ctx context.Context, workspace chat.WorkspaceID, logins []string) ([]chat.User, error)
}

// Wishes are what people want to be woken for; a store.Directory knows.
type Wishes interface {
	PreferencesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error)
	FollowsOf(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]store.Follow, error)
}

// Messages tells what a message says now, and who wrote in its thread; a store.Messages does.
type Messages interface {
	Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error)
	Participants(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]chat.UserID, error)
}

// Cursors are how far people have got, and the states of what they have not; a store.Messages knows.
type Cursors interface {
	DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error)
	ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error)
	DeliveriesFor(ctx context.Context, m store.MessageKey, users []chat.UserID) ([]chat.Delivery, error)
}

// Log is the logs of all shards; *bus.Log is one.
type Log interface {
	Get(ctx context.Context, shard streams.Shard, seq chat.Seq) (bus.Entry, error)
}

// Routing says how far the router has come: the consumers of deliver.NewRouterSource do.
type Routing interface {
	Floor(ctx context.Context, stream string) (chat.Seq, error)
}

// Jobs tells what waits; *later.Store does.
type Jobs interface {
	Last(ctx context.Context, stream, subject string) (later.Entry, error)
}

// Devices tells the names of devices; a store.Directory does.
type Devices interface {
	SignIn(ctx context.Context, id token.SignInID) (store.SignIn, error)
}

// Config is what a Ledger is made of.
type Config struct {
	Places   Places
	People   People
	Wishes   Wishes
	Messages Messages
	Cursors  Cursors
	Log      Log
	Routing  Routing
	Jobs     Jobs
	Devices  Devices      // nil: devices are shown by the ids of their sign-ins
	Logger   *slog.Logger // nil: slog.Default
}

// Ledger answers what became of a message, for whom. It may be used by any number of goroutines.
type Ledger struct{ cfg Config }

// New makes a Ledger. It starts nothing.
func New(cfg Config) *Ledger {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Ledger{cfg}
}
