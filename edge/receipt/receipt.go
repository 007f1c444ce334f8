package receipt

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
)

// Keeper keeps cursors: the service cursors. An error that asking again may cure is one whose fault.Kind says so.
type Keeper interface {
	Delivered(ctx context.Context, req rpc.DeliveredRequest) error
}

// Why a cursor was dropped; each is a label of a metric.
const (
	DropEnded   = "delivered_ended"   // its socket has gone, and too many of those wait for a service that does not answer
	DropRefused = "delivered_refused" // the service refused the batch that it was in
)

// Defaults of Config, and times of the work.
const (
	DefaultEvery    = 3 * time.Second
	DefaultMaxEnded = 100_000

	endedShare  = 10 // cursors of sockets that ended wait for this part of Every, so that a crowd that leaves makes few questions
	longestIdle = time.Minute
	askTimeout  = 10 * time.Second
	lastBudget  = 2 * time.Second
	atOnce      = 4 // questions
)

// Config is what a Gatherer is made of. Keeper is needed.
type Config struct {
	Keeper   Keeper
	Every    time.Duration                 // between two savings; 0: DefaultEvery
	MaxEnded int                           // cursors of devices without a socket that wait; 0: DefaultMaxEnded
	Drop     func(reason string, n uint64) // told of each cursor that is dropped; nil: nobody
	Log      *slog.Logger                  // nil: none
}

// Device is whose cursor it is: a sign-in in a workspace.
type Device struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	SignInID    token.SignInID
}

// place is what is known of a device.
type place struct {
	cursor chat.Cursor
	at     time.Time
	ended  bool // its socket has gone
}

// Gatherer may be used from many goroutines; nothing but Run waits.
type Gatherer struct {
	cfg  Config
	soon chan struct{} // holds a token when a socket has ended

	mu      sync.Mutex
	waiting map[Device]place // what is to be saved
	ended   int              // of waiting
}

// New makes a Gatherer.
func New(cfg Config) *Gatherer {
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.MaxEnded <= 0 {
		cfg.MaxEnded = DefaultMaxEnded
	}
	if cfg.Drop == nil {
		cfg.Drop = func(string, uint64) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Gatherer{cfg: cfg, soon: make(chan struct{}, 1), waiting: make(map[Device]place)}
}

// Note says that a device has everything up to a cursor.
func (g *Gatherer) Note(d Device, c chat.Cursor) { g.add(d, place{cursor: c, at: time.Now()}) }

// End says the same of a device one of whose sockets has gone.
func (g *Gatherer) End(d Device, c chat.Cursor) {
	g.add(d, place{cursor: c, at: time.Now(), ended: true})
	select {
	case g.soon <- struct{}{}:
	default: // it is told already
	}
}

// Waiting is how many cursors are to be saved.
func (g *Gatherer) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// add puts what is newer in place of what waits. Of a device the furthest cursor counts, and when it was last heard.
func (g *Gatherer) add(d Device, p place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	old, there := g.waiting[d]
	if there && old.at.After(p.at) { // p was on its way meanwhile
		p.at, p.ended = old.at, old.ended
	}
	if there && further(old.cursor, p.cursor) {
		p.cursor = old.cursor
	}
	wasEnded := there && old.ended
	switch {
	case p.ended && !wasEnded && g.ended >= g.cfg.MaxEnded:
		delete(g.waiting, d)
		g.cfg.Drop(DropEnded, 1)
		return
	case p.ended && !wasEnded:
		g.ended++
	case !p.ended && wasEnded:
		g.ended--
	}
	g.waiting[d] = p
}

func further(a, b chat.Cursor) bool {
	return a.Epoch > b.Epoch || a.Epoch == b.Epoch && a.Seq > b.Seq
}

// Run saves until ctx ends; then it saves what is left, and returns.
func (g *Gatherer) Run(ctx context.Context) error {
	timer := time.NewTimer(g.cfg.Every)
	defer timer.Stop()
	failures := 0
	var hurry <-chan time.Time
	for {
		soon := g.soon
		if failures > 0 || hurry != nil { // who leaves does not shorten the pauses of a service that is down
			soon = nil
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastBudget)
			defer cancel()
			if err := g.save(last); err != nil {
				g.cfg.Log.Warn("what devices have got could not be saved at the end", "devices", g.Waiting(), "err", err)
			}
			return nil
		case <-soon:
			hurry = time.After(g.cfg.Every / endedShare)
			continue
		case <-hurry:
		case <-timer.C:
		}
		hurry = nil
		err := g.save(ctx)
		if err != nil && ctx.Err() == nil {
			failures++
			g.cfg.Log.Warn("what devices have got could not be saved; it is tried again", "devices", g.Waiting(), "failures", failures, "err", err)
		} else {
			failures = 0
		}
		timer.Reset(g.pause(failures))
	}
}

// pause is how long until the next saving, after so many that failed.
func (g *Gatherer) pause(failures int) time.Duration {
	if failures == 0 {
		return g.cfg.Every
	}
	bound := min(g.cfg.Every<<min(failures, 10), max(longestIdle, g.cfg.Every))
	return bound/2 + rand.N(bound/2+1)
}

// save takes what waits and has it kept, some batches at a time. What was not kept waits again; the error says why.
func (g *Gatherer) save(ctx context.Context) error {
	g.mu.Lock()
	taken := g.waiting
	g.waiting, g.ended = make(map[Device]place, len(taken)), 0
	g.mu.Unlock()
	all := make([]rpc.DeviceCursor, 0, len(taken))
	for d, p := range taken {
		all = append(all, rpc.DeviceCursor{
			WorkspaceID: d.WorkspaceID, UserID: d.UserID, DeviceID: d.SignInID, Epoch: p.cursor.Epoch, Seq: p.cursor.Seq, At: p.at.UTC(),
		})
	}
	rest := slices.Collect(slices.Chunk(all, rpc.MaxDelivered))
	var failed error
	for len(rest) > 0 && failed == nil {
		n := min(atOnce, len(rest))
		failed = g.askAll(ctx, rest[:n], taken)
		rest = rest[n:]
	}
	for _, batch := range rest {
		g.putBack(batch, taken)
	}
	return failed
}

// askAll asks for some batches at once, and puts those back that failed.
func (g *Gatherer) askAll(ctx context.Context, batches [][]rpc.DeviceCursor, taken map[Device]place) error {
	errs := make([]error, len(batches))
	var asking sync.WaitGroup
	for i, batch := range batches {
		asking.Go(func() {
			if errs[i] = g.ask(ctx, batch); errs[i] != nil {
				g.putBack(batch, taken)
			}
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}

// ask has one batch kept. A refusal that asking again does not cure drops the batch.
func (g *Gatherer) ask(ctx context.Context, batch []rpc.DeviceCursor) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := g.cfg.Keeper.Delivered(ctx, rpc.DeliveredRequest{Cursors: batch})
	if err != nil && fault.KindOf(err).Outcome() != fault.Retry {
		g.cfg.Drop(DropRefused, uint64(len(batch)))
		g.cfg.Log.Error("what devices have got was refused, and is dropped", "devices", len(batch), "err", err)
		return nil
	}
	return err
}

func (g *Gatherer) putBack(batch []rpc.DeviceCursor, taken map[Device]place) {
	for _, c := range batch {
		d := Device{c.WorkspaceID, c.UserID, c.DeviceID}
		g.add(d, taken[d])
	}
}
