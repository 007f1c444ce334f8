package presence

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
)

const (
	// DefaultLease is how long a gateway that does nothing more still counts.
	DefaultLease = 15 * time.Second
	// DefaultGrace is how long a user whose last socket closed may take to come back.
	DefaultGrace = 5 * time.Second

	leaseParts    = 3              // the lease is renewed so many times within itself
	againAfter    = leaseParts + 1 // renewals: then a link that was silent, and whose gateways did not lapse for it, is not so any more
	sweepAtOnce   = 256
	writers       = 8 // keys that are written at once
	leaveBudget   = 2 * time.Second
	retryPause    = 200 * time.Millisecond
	retryPauseCap = 5 * time.Second
)

// Bucket is the region's bucket presence: streams/kv.
type Bucket interface {
	Put(ctx context.Context, key string, value []byte) (kv.Revision, error)
	PutTTL(ctx context.Context, key string, value []byte, ttl time.Duration) (kv.Revision, error)
	Delete(ctx context.Context, key string) error
	Watch(ctx context.Context, filters []string, handle func(kv.Entry)) error
}

// Carrier is how gateways tell each other what nobody stores: streams/eph.
type Carrier interface {
	Publish(subject string, data []byte) error
	FollowWorkspace(ws chat.WorkspaceID, handle func(eph.Message)) (stop func() error, err error)
	FollowLeases(handle func(eph.Message)) (stop func() error, err error)
	Ask(subject string, handle func(eph.Message)) (stop func() error, err error)
}

// Deliverer is the gateway: it brings what is told to the sockets of those who may know. It must not wait, and not call
// the Service from inside. Read marks are none of presence's; they come by the one subscription that a gateway has for a
// workspace, which is here.
type Deliverer interface {
	// DeliverPresence is for sessions in one of channels and for those that watch the user.
	DeliverPresence(ws chat.WorkspaceID, user chat.UserID, p chat.Presence, channels []chat.ChannelID)
	// DeliverTyping is for the others in the channel.
	DeliverTyping(ws chat.WorkspaceID, channel chat.ChannelID, user chat.UserID)
	// DeliverRead is for the user's own sessions: they have read a channel.
	DeliverRead(ws chat.WorkspaceID, user chat.UserID, n rpc.ReadNotice)
	// DeliverStale is for all sessions of the workspace: read marks may have moved before they could be heard of here.
	DeliverStale(ws chat.WorkspaceID)
}

// Config is what a Service is made of. Region, Gateway, Bucket and Carrier are needed.
type Config struct {
	Region  string // the leaf's
	Gateway string // the id of this process
	Bucket  Bucket
	Carrier Carrier
	Lease   time.Duration // 0: DefaultLease; at least 3 s, for the server counts whole seconds
	Grace   time.Duration // 0: DefaultGrace; < 0: none
	Log     *slog.Logger  // nil: none
}

// Service is presence and typing of one gateway. It may be used from many goroutines; nothing but Run waits.
type Service struct {
	cfg  Config
	self Seat
	wake chan struct{} // holds a token when something is to be written
	lost atomic.Uint64

	mu     sync.Mutex // guards what follows; held while the Deliverer is called, so that what it hears is in order
	to     Deliverer
	book   *Book
	dirty  map[Person]struct{}
	follow map[chat.WorkspaceID]bool // true: to be followed; false: no longer
	heard  map[Person]struct{}       // own users that the watch told since its start
	asked  map[chat.WorkspaceID]*question
	lately map[Person]int      // whom other regions were told of, and after how many renewals of the lease they are told once more
	again  map[Person]struct{} // whom they are to be told of once more now
}

// New makes a Service. Give it its Deliverer before Run.
func New(cfg Config) *Service {
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
	}
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	self := Seat{cfg.Region, cfg.Gateway}
	return &Service{
		cfg: cfg, self: self, wake: make(chan struct{}, 1),
		book:  NewBook(self, max(0, cfg.Grace), cfg.Lease),
		dirty: make(map[Person]struct{}), follow: make(map[chat.WorkspaceID]bool), asked: make(map[chat.WorkspaceID]*question),
		lately: make(map[Person]int), again: make(map[Person]struct{}),
	}
}

// DeliverTo says who is told.
func (s *Service) DeliverTo(d Deliverer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = d
}

// Lost is how many typings and changes of presence could not be told because there was no connection.
func (s *Service) Lost() uint64 { return s.lost.Load() }

// Online is how many users are shown as online or away, over all gateways that this one knows of.
func (s *Service) Online() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.Online()
}

// Connected notes a socket that opened. channels are the user's that have at most chat.BroadcastMembers members.
func (s *Service) Connected(who Someone, channels []chat.ChannelID) {
	s.do(func(now time.Time) Effects { return s.book.Connect(who, channels, now) })
}

// Channels notes that they changed.
func (s *Service) Channels(who Someone, channels []chat.ChannelID) {
	s.do(func(now time.Time) Effects { return s.book.Channels(who, channels, now) })
}

// Disconnected notes a socket that closed.
func (s *Service) Disconnected(who Someone) {
	s.do(func(now time.Time) Effects { return s.book.Disconnect(who, now) })
}

// Set gives a device its status, and its user a text.
func (s *Service) Set(who Someone, p chat.Presence) {
	s.do(func(now time.Time) Effects { return s.book.Set(who, p, now) })
}

// Query says how users can be reached, as far as this gateway has heard. Who is not known is offline. It never waits,
// and never fails.
func (s *Service) Query(_ context.Context, ws chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[chat.UserID]chat.Presence, len(users))
	for _, user := range users {
		found[user], _ = s.book.Of(Person{ws, user})
	}
	return found, nil
}

// Typing tells the others in a channel that a user writes there. Whether they may is for the gateway to know.
func (s *Service) Typing(who Someone, channel chat.ChannelID) {
	s.mu.Lock()
	may := s.book.MayType(who.person(), channel, time.Now())
	if may && s.to != nil {
		s.to.DeliverTyping(who.WorkspaceID, channel, who.UserID)
	}
	s.mu.Unlock()
	if may {
		s.tellTyping(who, channel)
	}
}

// do changes the book and acts on the effects.
func (s *Service) do(change func(now time.Time) Effects) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := change(time.Now())
	if s.to != nil {
		for _, c := range e.Changed {
			s.to.DeliverPresence(c.WorkspaceID, c.UserID, c.Presence, c.Channels)
		}
	}
	for _, p := range e.Dirty {
		s.dirty[p] = struct{}{}
	}
	for _, ws := range e.Follow {
		s.follow[ws] = true
	}
	for _, ws := range e.Unfollow {
		s.follow[ws] = false
	}
	if len(e.Dirty)+len(e.Follow)+len(e.Unfollow) > 0 {
		s.rouse()
	}
}

func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // it is told already
	}
}

// Run works until ctx ends; then it takes this gateway's users and its lease out of the bucket, and returns when all that
// it started has ended.
func (s *Service) Run(ctx context.Context) error {
	inside, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	followed := &following{service: s, stops: make(map[chat.WorkspaceID]*ends)}
	work.Go(func() { s.watch(inside) })
	work.Go(func() { s.keepLease(inside) })
	work.Go(func() { s.write(inside, followed) })
	<-ctx.Done()
	cancel()
	work.Wait()
	followed.stopAll()
	s.leave(context.WithoutCancel(ctx))
	return nil
}

// state is what this gateway says of a user now.
func (s *Service) state(p Person) (rpc.PresenceState, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.State(p)
}
