package door

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
)

// Verifier says who somebody is. The errors are Unauthenticated, or Unavailable when what it needs is not at hand.
type Verifier interface {
	// VerifyToken reads an access token.
	VerifyToken(ctx context.Context, token string) (token.Claims, error)
	// Redeem takes a one-time ticket. Its claims end with the sign-in, not with an access token.
	Redeem(ctx context.Context, ticket string) (token.Claims, error)
	// Revoked reports whether a sign-in has ended, as far as this process was told.
	Revoked(id token.SignInID) bool
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

// House is what is behind the door.
type House interface {
	// Room says why nobody more is let in: Moving or Unavailable, with a RetryAfter. opening are on their way in, the one
	// who asks included.
	Room(opening int64) error
	// Enter takes over a connection that was answered with 101, and its feed.
	Enter(conn net.Conn, o Opened)
}

// Addresses bounds how often an address may come. The error is RateLimited, with a RetryAfter.
type Addresses interface{ Address(netip.Addr) error }

// Neighbours are what a door needs of others.
type Neighbours struct {
	Verifier  Verifier
	Directory Directory
	Feeds     Feeds
	Addresses Addresses // nil: no limit
	House     House
}

// Config is what the operator says about a door. Zero values mean no limit, unless it says otherwise.
type Config struct {
	AllowedOrigins []string       // of browsers' pages besides the server's own
	TrustedProxies []netip.Prefix // whose X-Forwarded-For counts; none: the connection's address is the client's
	AdmitRate      float64        // sockets a second
	AdmitBurst     int            // sockets at once, above the rate
	Remembered     int            // users of whom it is remembered what the directory said; 0: none
	Log            *slog.Logger   // never nil
}

// Counts are totals since the start.
type Counts struct {
	Asked      atomic.Uint64 // questions to the directory of what a session starts with
	Remembered atomic.Uint64 // sessions that started without one
	TurnedAway atomic.Uint64 // requests refused because too many came at once
}

// Door is an http.Handler for GET /socket.
type Door struct {
	// Immutable after New.
	cfg   Config
	to    Neighbours
	rules wsconn.Rules

	// Refused is called with the kind of each refusal; nil: nobody counts. Set it before the first request.
	Refused func(fault.Kind)

	opening atomic.Int64
	counts  Counts
	places  sync.Map // chat.WorkspaceID → fanout.Place, as the directory last told
	memory  memory

	mu    sync.Mutex
	pacer Pacer
}

// New makes a door. It starts nothing.
func New(cfg Config, to Neighbours) *Door {
	return &Door{
		cfg: cfg, to: to, rules: wsconn.Rules{AllowedOrigins: cfg.AllowedOrigins},
		memory: newMemory(cfg.Remembered), pacer: Pacer{Rate: cfg.AdmitRate, Burst: cfg.AdmitBurst},
	}
}

// Counts says what the door did since it began.
func (d *Door) Counts() *Counts { return &d.counts }

// openTimeout bounds everything between a request and its 101.
const openTimeout = 10 * time.Second

// busyPause is when a refused request is worth trying again.
const busyPause = time.Second

// ServeHTTP answers GET /socket: with 101 and a session, or with a problem.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), openTimeout)
	defer cancel()
	if err := d.serve(ctx, w, r); err != nil && !errors.Is(err, http.ErrHijacked) {
		d.problem(w, err)
	}
}

func (d *Door) serve(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	if err := wsconn.Check(r, d.rules); err != nil {
		return err
	}
	defer d.opening.Add(-1)
	if err := d.admit(r, d.opening.Add(1)); err != nil {
		return err
	}
	a, err := d.ask(ctx, r)
	if err != nil {
		return err
	}
	o, err := d.open(ctx, a)
	if err != nil {
		return err
	}
	if err := d.to.House.Room(0); err != nil { // it may be going away since it was asked first
		d.to.Feeds.Release(o.Feed)
		return err
	}
	conn, early, err := wsconn.Upgrade(w, r, d.rules)
	if err != nil {
		d.to.Feeds.Release(o.Feed)
		return err
	}
	o.Early = early
	d.to.House.Enter(conn, o)
	return nil
}

// admit says whether one more may come in, while opening are on their way, itself included.
func (d *Door) admit(r *http.Request, opening int64) error {
	if d.to.Addresses != nil {
		if addr := Address(r.RemoteAddr, r.Header["X-Forwarded-For"], d.cfg.TrustedProxies); addr.IsValid() {
			if err := d.to.Addresses.Address(addr); err != nil {
				return err
			}
		}
	}
	if err := d.to.House.Room(opening); err != nil {
		return err
	}
	d.mu.Lock()
	wait := d.pacer.Take(time.Now())
	d.mu.Unlock()
	if wait > 0 {
		d.counts.TurnedAway.Add(1)
		return fault.New(fault.Unavailable, "many are coming at once").After(Spread(wait, rand.Float64()))
	}
	return nil
}

// ask is what a request asks for.
type ask struct {
	claims    token.Claims
	workspace chat.WorkspaceID // empty: the only one
	cursor    chat.Cursor      // zero: from the head
}

// ask reads a request. Every id is parsed here, once.
func (d *Door) ask(ctx context.Context, r *http.Request) (ask, error) {
	var a ask
	query := r.URL.Query()
	var err error
	if text := query.Get("workspace"); text != "" {
		if a.workspace, err = chat.ParseWorkspaceID(text); err != nil {
			return a, fault.Wrap(fault.NotFound, err, "there is no such workspace among yours")
		}
	}
	if text := query.Get("cursor"); text != "" {
		if a.cursor, err = chat.ParseCursor(text); err != nil {
			return a, fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	credential, kind := wsconn.Credentials(r)
	switch kind { // last: a ticket is taken once
	case wsconn.Token:
		a.claims, err = d.to.Verifier.VerifyToken(ctx, credential)
	case wsconn.Ticket:
		a.claims, err = d.to.Verifier.Redeem(ctx, credential)
	case wsconn.NoCredential:
		err = fault.New(fault.Unauthenticated, "bring a token: POST /login gives one")
	}
	if err == nil && d.to.Verifier.Revoked(a.claims.SignInID) {
		err = fault.New(fault.Unauthenticated, "signed out; sign in again")
	}
	return a, err
}

// problem answers a request that gets no socket.
func (d *Door) problem(w http.ResponseWriter, err error) {
	if fault.Is(err, fault.Internal) {
		d.cfg.Log.Error("opening a socket failed", "err", err)
	}
	if d.Refused != nil {
		d.Refused(fault.KindOf(err))
	}
	p := rest.ProblemOf(err)
	h := w.Header()
	h.Set("Content-Type", rest.ProblemType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Sec-WebSocket-Version", wsconn.Version)
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(max(1, p.RetryAfter))))
	}
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		d.cfg.Log.Debug("answer", "err", err) // the client has gone
	}
}
