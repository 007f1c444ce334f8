package fanout

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Source is where republished messages come from.
type Source interface {
	// SubscribeFan delivers a workspace's messages, one at a time, until the subscription is stopped. broken is
	// called when messages may have been lost on their way.
	SubscribeFan(sub bus.FanSubscription) (stop func() error, err error)
	// WatchSignals calls handle for everything that can have lost messages, until ctx ends.
	WatchSignals(ctx context.Context, handle func(bus.Signal)) error
}

// Config is what the operator says about feeds. Zero values mean the defaults.
type Config struct {
	RingEntries int           // entries a workspace; default 2,048
	RingBytes   int           // bytes of frames a workspace; default 2 MiB
	ProveEvery  time.Duration // between two proofs of a feed, on average; default 5 s
	Linger      time.Duration // how long a feed stays when its last session has gone; default 30 s
	Log         *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.RingEntries == 0 {
		c.RingEntries = 2048
	}
	if c.RingBytes == 0 {
		c.RingBytes = 2 << 20
	}
	if c.ProveEvery == 0 {
		c.ProveEvery = 5 * time.Second
	}
	if c.Linger == 0 {
		c.Linger = 30 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Feeds is the feeds of a gateway: one for each workspace that has a session here.
type Feeds struct {
	// Immutable after New.
	source Source
	log    Log
	cfg    Config

	mu      sync.Mutex
	running context.Context // nil before Run and after it
	feeds   map[chat.WorkspaceID]*held
	ended   Counts         // of the feeds that are there no more
	work    sync.WaitGroup // the goroutines of all feeds
}

// held is a feed and who needs it.
type held struct {
	feed   *Feed
	users  int
	stop   context.CancelFunc
	linger *time.Timer // runs while users is 0
}

// New makes the feeds of a gateway. It starts nothing.
func New(source Source, log Log, cfg Config) *Feeds {
	return &Feeds{source: source, log: newAsking(log), cfg: cfg.withDefaults(), feeds: make(map[chat.WorkspaceID]*held)}
}

// Run keeps the feeds until ctx ends, and returns when all of them have ended. The error is that the signals
// cannot be watched: without them a feed is not kept whole.
func (fs *Feeds) Run(ctx context.Context) error {
	fs.mu.Lock()
	fs.running = ctx
	fs.mu.Unlock()
	err := fs.source.WatchSignals(ctx, fs.signal)
	if err == nil {
		<-ctx.Done()
	}
	fs.mu.Lock()
	fs.running = nil
	for ws, h := range fs.feeds {
		fs.drop(ws, h)
	}
	fs.mu.Unlock()
	fs.work.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// signal makes every feed that can have lost something ask the log. None of them shows a live message before it did.
func (fs *Feeds) signal(s bus.Signal) {
	fs.mu.Lock()
	feeds := make([]*Feed, 0, len(fs.feeds))
	for _, h := range fs.feeds {
		if s.Stream == "" || s.Stream == streams.ChatStream(h.feed.place.Shard) {
			feeds = append(feeds, h.feed)
		}
	}
	fs.mu.Unlock()
	if len(feeds) > 0 {
		fs.cfg.Log.Info("feeds ask the log", "reason", string(s.Reason), "feeds", len(feeds))
	}
	for _, f := range feeds {
		f.suspectWithin(spreadOf(len(feeds)))
	}
}

// Acquire gives the feed of a workspace, whole. Release gives it back. The error is Unavailable when the
// log does not answer before ctx ends.
func (fs *Feeds) Acquire(ctx context.Context, place Place) (*Feed, error) {
	h, err := fs.hold(place)
	if err != nil {
		return nil, err
	}
	select {
	case <-h.feed.first:
		return h.feed, nil
	case <-ctx.Done():
		fs.Release(h.feed)
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "the workspace's log does not answer").After(2 * time.Second)
	}
}

func (fs *Feeds) hold(place Place) (*held, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.running == nil {
		return nil, fault.New(fault.Unavailable, "the gateway is starting or stopping").After(time.Second)
	}
	h := fs.feeds[place.WorkspaceID]
	if h != nil && h.feed.place != place {
		return nil, fault.New(fault.Unavailable, "the workspace is moving").After(2 * time.Second)
	}
	if h == nil {
		var err error
		if h, err = fs.open(place); err != nil {
			return nil, err
		}
	}
	h.users++
	if h.linger != nil {
		h.linger.Stop()
		h.linger = nil
	}
	return h, nil
}

// open starts the feed of a workspace, under mu.
func (fs *Feeds) open(place Place) (*held, error) {
	filter, err := streams.ChatWorkspaceFilter(place.Shard, place.WorkspaceID)
	if err != nil {
		return nil, err
	}
	feed := newFeed(place, filter, fs.log, fs.cfg)
	stopSub, err := fs.source.SubscribeFan(bus.FanSubscription{
		Shard: place.Shard, WorkspaceID: place.WorkspaceID, Deliver: feed.deliver, Broken: func(bus.SignalReason) { feed.Suspect() },
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(fs.running)
	h := &held{feed: feed, stop: cancel}
	fs.feeds[place.WorkspaceID] = h
	fs.work.Add(1)
	go func() {
		defer fs.work.Done()
		feed.run(ctx)
		if err := stopSub(); err != nil {
			feed.slog.Debug("unsubscribe", "err", err)
		}
	}()
	return h, nil
}

// Release gives back a feed that Acquire gave. One that nobody holds stays for a while: people come back, and
// each change of interest costs every server on the way.
func (fs *Feeds) Release(f *Feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	ws := f.place.WorkspaceID
	h := fs.feeds[ws]
	if h == nil || h.feed != f {
		return // Run has ended
	}
	if h.users--; h.users > 0 {
		return
	}
	h.linger = time.AfterFunc(fs.cfg.Linger, func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if fs.feeds[ws] == h && h.users == 0 {
			fs.drop(ws, h)
		}
	})
}

// drop ends a feed, under mu.
func (fs *Feeds) drop(ws chat.WorkspaceID, h *held) {
	if h.linger != nil {
		h.linger.Stop()
	}
	h.stop()
	fs.ended.add(h.feed.Counts())
	delete(fs.feeds, ws)
}

// StampOf is the stream's timestamp of an event that was just stored in a workspace, if this gateway has a
// feed of it that gets the event before ctx ends.
func (fs *Feeds) StampOf(ctx context.Context, ws chat.WorkspaceID, seq chat.Seq) (time.Time, bool) {
	fs.mu.Lock()
	h := fs.feeds[ws]
	fs.mu.Unlock()
	if h == nil {
		return time.Time{}, false
	}
	return h.feed.StampOf(ctx, seq)
}

// Counts adds up what all feeds did since Feeds was made, also those that have ended: the sums never fall.
func (fs *Feeds) Counts() Counts {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	sum := fs.ended
	for _, h := range fs.feeds {
		sum.add(h.feed.Counts())
	}
	return sum
}

func (c *Counts) add(more Counts) {
	c.Taken += more.Taken
	c.Repairs += more.Repairs
	c.Holes += more.Holes
	c.Garbage += more.Garbage
	c.Repeated += more.Repeated
}
