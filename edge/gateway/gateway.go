package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/courier"
	"github.com/canopychat/canopy/edge/door"
	"github.com/canopychat/canopy/edge/errand"
	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/outlet"
	"github.com/canopychat/canopy/edge/poll"
	"github.com/canopychat/canopy/edge/readmark"
	"github.com/canopychat/canopy/edge/receipt"
	"github.com/canopychat/canopy/edge/tally"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// Gateway serves sockets. It is an http.Handler for GET /socket.
type Gateway struct {
	// Immutable after New.
	cfg      Config
	to       Neighbours
	door     *door.Door
	courier  *courier.Courier
	desk     *errand.Desk      // for questions on behalf of sessions that are open
	marks    *readmark.Office  // nil: read marks are unsupported
	receipts *receipt.Gatherer // nil: so is what devices have got
	loops    []*loop

	next     atomic.Uint32 // the loop of the next socket
	sockets  atomic.Int64  // open, and those about to be
	held     atomic.Int64  // bytes that wait for sockets, and of sends that wait for their turn
	draining atomic.Bool
	counts   tally.Gateway

	mu      sync.Mutex
	running context.Context // nil before Run and after it
	work    sync.WaitGroup  // goroutines that a loop started: sends, pages, streams
}

const (
	maxErrands    = 64 // on their way at once
	errandTimeout = 10 * time.Second
)

// New makes a gateway. It opens what its loops need from the system, and starts nothing.
func New(cfg Config, to Neighbours) (*Gateway, error) {
	cfg = cfg.withDefaults()
	g := &Gateway{cfg: cfg, to: to, desk: errand.NewDesk(maxErrands, errandTimeout)}
	g.courier = courier.New(
		courier.Config{MaxSends: cfg.MaxSending, MaxBytes: cfg.MaxSendingBytes, Timeout: cfg.SendTimeout, Log: cfg.Log},
		courier.Neighbours{Directory: to.Directory, Submitter: to.Submitter, Tracer: to.Tracer, Acked: to.Acked},
	)
	if to.Cursors != nil {
		g.marks = readmark.NewOffice(to.Cursors)
		g.receipts = receipt.New(receipt.Config{Keeper: to.Cursors, Every: cfg.SaveDelivered, Drop: g.counts.Dropped.Add, Log: cfg.Log})
	}
	outside := door.Neighbours{Verifier: to.Verifier, Directory: to.Directory, Feeds: to.Feeds, House: g}
	if to.Gate != nil {
		outside.Addresses = to.Gate
	}
	g.door = door.New(door.Config{
		AllowedOrigins: cfg.AllowedOrigins, TrustedProxies: cfg.TrustedProxies,
		AdmitRate: cfg.Admit.PerSecond, AdmitBurst: int(cfg.Admit.Burst), Remembered: cfg.Remembered, Log: cfg.Log,
	}, outside)
	g.door.Refused = func(k fault.Kind) { g.counts.Refused.Add(string(k), 1) }
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

// ServeHTTP answers GET /socket: with 101 and a session, or with a problem.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.door.ServeHTTP(w, r) }

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
	defer g.gatherReceipts()()
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
		l.post(l.mail.Close)
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

// Room is door.House: it says why no socket is opened now. Past nine tenths of what may be held or sent, those that are
// open have the rest for themselves.
func (g *Gateway) Room(opening int64) error {
	switch {
	case g.draining.Load():
		return errMoving()
	case opening > int64(g.cfg.MaxOpening):
		return fault.New(fault.Unavailable, "too many sockets are being opened").After(busyPause)
	case g.sockets.Load()+opening > int64(g.cfg.MaxSockets):
		return fault.New(fault.Unavailable, "this gateway is full").After(5 * busyPause)
	case g.crowded():
		return fault.New(fault.Unavailable, "this gateway has too much to do").After(5 * busyPause)
	}
	return nil
}

// crowded reports whether a bound is nearly reached: nothing new begins.
func (g *Gateway) crowded() bool {
	return g.courier.Crowded() || g.held.Load() > g.cfg.MaxBytes-g.cfg.MaxBytes/10
}

func errMoving() error {
	return fault.New(fault.Moving, "this gateway is going away; connect again with your cursor").After(busyPause)
}

// Enter is door.House: it takes over a connection whose session has been opened.
func (g *Gateway) Enter(from net.Conn, o door.Opened) {
	l := g.loops[g.next.Add(1)%uint32(len(g.loops))]
	c := &conn{loop: l, id: chat.SessionID(newID()), out: outlet.Outlet{Link: poll.Take(from, g.cfg.StallTimeout)}}
	g.sockets.Add(1)
	if !l.post(func() { l.add(c, o) }) {
		g.turnAway(c.out.Link, o.Feed)
	}
}

// turnAway closes a socket that was counted, and gives its feed back.
func (g *Gateway) turnAway(to poll.Link, f *fanout.Feed) {
	to.Close()
	g.to.Feeds.Release(f)
	g.sockets.Add(-1)
}

// SignOut closes the sockets of a sign-in that has ended. The Verifier must know of its end already: then a socket that is
// being opened is closed too.
func (g *Gateway) SignOut(id token.SignInID) {
	for _, l := range g.loops {
		l.mail.End(id)
	}
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
	settled := func() bool { return g.courier.Booked() == 0 && (g.marks == nil || g.marks.Booked() == 0) }
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

// Load is what a gateway has now.
type Load struct {
	Sockets      int
	Sending      int   // sends on their way to the log
	SendingBytes int64 // that these hold
	HeldBytes    int64 // that wait for sockets, and of sends that wait for their turn
}

// Load says how full the gateway is.
func (g *Gateway) Load() Load {
	return Load{Sockets: g.Sockets(), Sending: g.courier.Booked(), SendingBytes: g.courier.Bytes(), HeldBytes: g.held.Load()}
}

// Sockets is how many are open.
func (g *Gateway) Sockets() int { return int(g.sockets.Load()) }

// Draining reports whether the gateway takes no new sockets.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Counters says what the gateway did since it began.
func (g *Gateway) Counters() *tally.Gateway { return &g.counts }

// Door says what was done before there was a socket.
func (g *Gateway) Door() *door.Counts { return g.door.Counts() }
