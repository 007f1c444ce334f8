package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Verifier says whose token it is. The error is Unauthenticated, or Unavailable when no key is at hand.
type Verifier interface {
	VerifyToken(ctx context.Context, token string) (chat.UserID, error)
}

// Directory says what a session starts from (schemas/rpc).
type Directory interface {
	Session(ctx context.Context, req rpc.SessionRequest) (rpc.SessionReply, error)
}

// Feeds are the live ends of workspaces' logs.
type Feeds interface {
	Acquire(ctx context.Context, place fanout.Place) (*fanout.Feed, error)
	Release(f *fanout.Feed)
}

// Neighbours are what a gateway needs of others.
type Neighbours struct {
	Verifier  Verifier
	Directory Directory
	Feeds     Feeds
	Submitter event.Submitter
}

// Config is what the operator says about a gateway. Zero values mean the defaults.
type Config struct {
	Loops          int           // loops; default one per core
	Heartbeat      time.Duration // silence after which a client is pinged; default 30 s
	StallTimeout   time.Duration // how long a socket may take no byte of what waits for it; default 3 min
	DrainSpread    time.Duration // clients are told to come back at a random moment of this span; default 5 s
	MaxSockets     int           // open at once; one more is refused as unavailable; default 100,000; < 0: no limit
	MaxOpening     int           // being opened at once; default 1,024; < 0: no limit
	MaxSending     int           // sends on their way to the log at once; default 8,192; < 0: no limit
	AllowedOrigins []string      // of browsers' pages besides the gateway's own
	Log            *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Loops == 0 {
		c.Loops = runtime.GOMAXPROCS(0)
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 30 * time.Second
	}
	if c.StallTimeout == 0 {
		c.StallTimeout = 3 * time.Minute
	}
	if c.DrainSpread == 0 {
		c.DrainSpread = 5 * time.Second
	}
	c.MaxSockets = limit(c.MaxSockets, 100_000)
	c.MaxOpening = limit(c.MaxOpening, 1024)
	c.MaxSending = limit(c.MaxSending, 8192)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// noLimit is a bound that nothing reaches.
const noLimit = 1 << 30

func limit(n, byDefault int) int {
	switch {
	case n == 0:
		return byDefault
	case n < 0:
		return noLimit
	}
	return n
}

// Gateway serves sockets. It is an http.Handler for GET /socket.
type Gateway struct {
	// Immutable after New.
	cfg   Config
	to    Neighbours
	rules wsconn.Rules
	loops []*loop

	next     atomic.Uint32 // the loop of the next socket
	sockets  atomic.Int64  // open, and those about to be
	opening  atomic.Int64
	sending  atomic.Int64
	draining atomic.Bool
	errands  chan struct{} // a token for each that is on its way: see attempt
	counts   Counters

	places sync.Map // chat.WorkspaceID → fanout.Place, as the directory last told

	mu      sync.Mutex
	running context.Context // nil before Run and after it
	work    sync.WaitGroup  // goroutines that a loop started: sends, pages, streams
}

// New makes a gateway. It opens what its loops need from the system, and starts nothing.
func New(cfg Config, to Neighbours) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{
		cfg: cfg, to: to, rules: wsconn.Rules{AllowedOrigins: cfg.AllowedOrigins}, errands: make(chan struct{}, maxErrands),
	}
	for i := range cfg.Loops {
		l, err := newLoop(g, i)
		if err != nil {
			for _, made := range g.loops {
				made.poll.Close()
			}
			return nil, fmt.Errorf("gateway loop %d: %w", i, err)
		}
		g.loops = append(g.loops, l)
	}
	return g, nil
}

// Run serves until ctx ends; then it closes what is still open, and returns when everything has ended. Call
// Drain first, so that clients hear of it.
func (g *Gateway) Run(ctx context.Context) error {
	inside, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g.mu.Lock()
	g.running = inside
	g.mu.Unlock()
	var loops sync.WaitGroup
	for _, l := range g.loops {
		loops.Go(l.run)
	}
	tick := time.NewTicker(g.beat())
	defer tick.Stop()
	for done := false; !done; {
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
			for _, l := range g.loops {
				l.post(l.tick)
			}
		}
	}
	g.draining.Store(true)
	g.mu.Lock()
	g.running = nil
	g.mu.Unlock()
	stop()
	for _, l := range g.loops {
		l.post(l.stop)
	}
	loops.Wait()
	g.work.Wait()
	return nil
}

// beat is how often loops look at a part of their sockets: each is looked at once a heartbeat.
func (g *Gateway) beat() time.Duration { return g.cfg.Heartbeat / wheelSlots }

// begin starts work that outlives a turn of a loop. It is false when the gateway has stopped; then nothing starts.
func (g *Gateway) begin(work func(ctx context.Context)) bool {
	g.mu.Lock()
	ctx := g.running
	if ctx != nil {
		g.work.Add(1)
	}
	g.mu.Unlock()
	if ctx == nil {
		return false
	}
	go func() {
		defer g.work.Done()
		work(ctx)
	}()
	return true
}

// drainPoll is how often Drain looks whether the sockets have gone.
const drainPoll = 20 * time.Millisecond

// Drain moves the clients away: no socket is opened any more, everybody is told when to come back (at a random
// moment, so that they do not all come at once), sends that are on their way get their answers, and then the
// sockets are closed. It returns when all are, or when ctx ends; Run closes what is left.
func (g *Gateway) Drain(ctx context.Context) {
	g.draining.Store(true)
	for _, l := range g.loops {
		l.post(l.sayMoving)
	}
	settled := func() bool { return g.sending.Load() == 0 }
	gone := func() bool { return g.sockets.Load() == 0 }
	g.await(ctx, settled)
	for _, l := range g.loops {
		l.post(l.closeMoving)
	}
	g.await(ctx, gone)
}

func (g *Gateway) await(ctx context.Context, ready func() bool) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for !ready() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sockets is how many are open.
func (g *Gateway) Sockets() int { return int(g.sockets.Load()) }

// Draining reports whether the gateway takes no new sockets.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Counters says what the gateway did since it began.
func (g *Gateway) Counters() *Counters { return &g.counts }

// Counters are totals since the start.
type Counters struct {
	Opened     atomic.Uint64 // sockets
	Delivered  atomic.Uint64 // frames of events handed to sockets whole
	Behind     atomic.Uint64 // times that a socket would take no more and its session fell behind
	Pages      atomic.Uint64 // pages of the log read for sessions behind the ring
	Resyncs    atomic.Uint64
	SendsTaken atomic.Uint64
	closed     sync.Map // fault.Kind → *atomic.Uint64: sockets closed by us, by reason
}

// noteClosed counts a socket that we closed.
func (c *Counters) noteClosed(reason string) {
	n, _ := c.closed.LoadOrStore(reason, new(atomic.Uint64))
	n.(*atomic.Uint64).Add(1)
}

// Closed is how many sockets were closed, by reason: a fault.Kind, or "client" when the client went.
func (c *Counters) Closed() map[string]uint64 {
	by := make(map[string]uint64)
	c.closed.Range(func(reason, n any) bool {
		by[reason.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	return by
}
