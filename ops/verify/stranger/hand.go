package stranger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/probe"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// Config is whose hand it is, and where it finds the server.
type Config struct {
	Rec       *record.Recorder
	REST      string            // base URL
	Sockets   map[string]string // of a gateway by its name, ws://…/socket; "" is the front, which follows from REST when it is absent
	Login     string
	Password  string
	Device    string // of the sign-in, which others revoke it by: "<login>/<n>"
	Workspace string // id

	Beat    time.Duration // between pings; 15 seconds when 0
	Silence time.Duration // for which a pong may be missing; 40 seconds when 0
}

// Probes are the words that a hand knows as the body of a Probe.
var Probes = probe.Names

// Hand acts for one sign-in of one person. All methods may be used from many goroutines.
type Hand struct {
	// immutable after New
	cfg   Config
	calls *call.Client
	ctx   context.Context // of all sockets; ends with Shut
	end   context.CancelFunc
	work  sync.WaitGroup // what the sockets run

	mu sync.Mutex
	// guarded by mu
	shut   bool
	conns  map[string]*socket.Socket // by the name of the conn; those that have ended stay, for Cursor
	people map[string]string         // user ids by login
	named  int                       // conns that were given a name
}

// New makes a hand that has not signed in. It starts nothing.
func New(cfg Config) (*Hand, error) {
	if cfg.Rec == nil || cfg.Login == "" || cfg.Device == "" || cfg.Workspace == "" {
		return nil, errors.New("a hand needs a recorder, a login, a device and a workspace")
	}
	if cfg.Beat <= 0 {
		cfg.Beat = 15 * time.Second
	}
	if cfg.Silence <= 0 {
		cfg.Silence = 40 * time.Second
	}
	calls, err := call.New(cfg.REST, call.Account{Login: cfg.Login, Password: cfg.Password, Device: cfg.Device})
	if err != nil {
		return nil, fmt.Errorf("the device %s: %w", cfg.Device, err)
	}
	h := &Hand{cfg: cfg, calls: calls, conns: make(map[string]*socket.Socket), people: make(map[string]string)}
	h.ctx, h.end = context.WithCancel(context.Background())
	return h, nil
}

// SignIn signs in without an op, for who looks and is not part of what is looked at.
func (h *Hand) SignIn(ctx context.Context) error {
	ctx, cancel := h.until(ctx)
	defer cancel()
	if a := h.calls.SignIn(ctx, false); a.Outcome != record.OK {
		return fmt.Errorf("sign in as %s: %w", h.cfg.Login, errors.New(a.Code))
	}
	return nil
}

// Shut closes all sockets, and waits until all that they ran has ended.
func (h *Hand) Shut() {
	h.mu.Lock()
	h.shut = true
	h.mu.Unlock()
	h.end()
	h.work.Wait()
	h.calls.Shut()
}

// until is ctx, which ends with the hand too.
func (h *Hand) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Do does what an op says, and writes it down with its outcome.
func (h *Hand) Do(ctx context.Context, op *record.Op) {
	ctx, cancel := h.until(ctx)
	defer cancel()
	h.cfg.Rec.Begin(op)
	a := h.act(ctx, op)
	op.Outcome, op.Code, op.RetryIn = a.Outcome, a.Code, a.RetryIn
	if a.Outcome == record.OK {
		op.Seq, op.Duplicate = max(op.Seq, a.Seq), op.Duplicate || a.Duplicate
	}
	h.cfg.Rec.Done(*op)
}

// act leads an op to who does it.
func (h *Hand) act(ctx context.Context, op *record.Op) answer.Answer {
	switch op.F {
	case record.Send, record.Edit, record.Delete, record.React, record.Unreact, record.Mark:
		return h.write(ctx, op)
	case record.Typing, record.Status:
		return h.light(ctx, op)
	case record.Join, record.Leave, record.Add, record.Kick, record.Ban:
		return h.belong(ctx, op)
	case record.Page, record.Search, record.Marks:
		return h.read(ctx, op)
	case record.Connect:
		return h.connect(ctx, op)
	case record.Close:
		return h.closing(ctx, op)
	case record.Stall:
		return h.stall(ctx, op)
	case record.Login:
		return h.calls.SignIn(ctx, op.Phase != "")
	case record.Logout:
		return h.logout(ctx, op)
	case record.Revoke:
		return h.revoke(ctx, op)
	case record.Probe:
		return h.probe(ctx, op)
	}
	return answer.Lost(fmt.Errorf("a hand does not do %q", op.F))
}

// rest makes a call for an op.
func (h *Hand) rest(ctx context.Context, op *record.Op, k call.Call) answer.Answer {
	k.One = op.Phase != ""
	return h.calls.Do(ctx, k)
}

// probe tries what must not be let in.
func (h *Hand) probe(ctx context.Context, op *record.Op) answer.Answer {
	return probe.Try(ctx, probe.Means{Calls: h.calls, Space: h.cfg.Workspace, Conn: h.live, Knock: h.knock}, op)
}
