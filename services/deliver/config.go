package deliver

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/attempt"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/later"
)

// Source is durable consumers; Consumers is the real one.
type Source interface {
	// Consume hands over what the consumer of a stream delivers until ctx ends.
	Consume(ctx context.Context, stream string, handle consume.Handler) error
}

// Members answers who was in a channel; a store.Directory does.
type Members interface {
	MembersAt(ctx context.Context, q store.MembersQuery) (users []chat.UserID, settled bool, err error)
}

// Recipients answers who a message may be owed to; a store.Directory does.
type Recipients interface {
	Members
	UsersByLogin(ctx context.Context, workspace chat.WorkspaceID, logins []string) ([]chat.User, error)
	Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error)
}

// Preferences are what one recipient wants to be woken for; a store.Directory knows.
type Preferences interface {
	PreferencesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Preferences, error)
}

// Wishes are what people want to be woken for; a store.Directory knows.
type Wishes interface {
	Preferences
	KeywordsOf(ctx context.Context, workspace chat.WorkspaceID) ([]store.Watcher, error)
	FollowsOf(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]store.Follow, error)
}

// Names are what people call a workspace, a channel and a sender; a store.Directory knows.
type Names = attempt.Names

// Cursors are how far people have got; a store.Messages knows.
type Cursors interface {
	DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]store.DeviceCursor, error)
	ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]store.ReadCursor, error)
}

// States are those of deliveries; a store.Messages keeps them.
type States interface {
	SetDeliveries(ctx context.Context, states []chat.Delivery) error
	DeliveriesFor(ctx context.Context, m store.MessageKey, users []chat.UserID) ([]chat.Delivery, error)
}

// Messages tells what a message says now, with every change that was acknowledged before: nobody is told a text that was deleted. NotFound: there is
// none, or it is not known now. *history.Reader does.
type Messages interface {
	Current(ctx context.Context, in store.ChannelPlace, seq chat.Seq) (chat.Message, error)
}

// Jobs keeps jobs; *later.Store does.
type Jobs interface {
	Put(ctx context.Context, messages ...later.Message) error
}

// DefaultGrace is how far a Router stays behind the log: long enough for who is online to have confirmed a message, and for
// their gateway to have saved that.
const DefaultGrace = 10 * time.Second

// RouterConfig is what a Router is made of.
type RouterConfig struct {
	Source     Source // NewRouterSource
	Recipients Recipients
	Wishes     Wishes
	Threads    store.Threads
	Cursors    Cursors
	States     States
	Jobs       Jobs
	Shards     int              // 0: streams.Shards
	Grace      time.Duration    // 0: DefaultGrace
	Now        func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: slog.Default
}

// WorkerConfig is what a Worker is made of.
type WorkerConfig struct {
	Source      Source // NewWorkerSource
	Cursors     Cursors
	States      States
	Messages    Messages
	Members     Members
	Preferences Preferences
	Names       Names
	Targets     notice.Targets
	Jobs        Jobs
	Skipped     func(error) bool // whether an error of a Target says that it was not asked at all; nil: none does
	Policy      due.Policy
	AtOnce      int              // targets that are asked at once, for each batch; 0: attempt.DefaultAtOnce
	Now         func() time.Time // nil: time.Now
	Chance      func() float64   // from [0, 1), for jitter; nil: rand.Float64
	Logger      *slog.Logger     // nil: slog.Default
}

func (c RouterConfig) withDefaults() RouterConfig {
	c.Shards = cmp.Or(max(c.Shards, 0), streams.Shards)
	c.Grace = cmp.Or(max(c.Grace, 0), DefaultGrace)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c WorkerConfig) withDefaults() WorkerConfig {
	c.Policy = c.Policy.WithDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Chance == nil {
		c.Chance = rand.Float64
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// outage reports whether err says nothing about what was asked.
func outage(ctx context.Context, err error) bool {
	return ctx.Err() != nil || fault.Is(err, fault.Unavailable) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// hold makes an error one that consume waits out, whatever kind it has.
func hold(err error) error {
	return fault.Wrap(fault.Unavailable, err, "%s", fault.Unavailable.Title())
}
