package entry

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// budget is how long one request may take. A send alone may take 15 s over an election.
const budget = 25 * time.Second

// What an Entry needs of the parts behind it.
type (
	// Tokens checks a token: services/auth.
	Tokens interface {
		Verify(ctx context.Context, raw string) (token.Claims, error)
	}
	// Accounts reads an account: services/directory.
	Accounts interface {
		User(ctx context.Context, id chat.UserID) (chat.User, error)
	}
	// Gate says whether there is room for one more request. Its errors are RateLimited.
	Gate interface {
		Address(from netip.Addr) error
		User(id chat.UserID) error
	}
	// Tracer begins the span of a request in the trace of parent, or in a trace of its own when that is empty. end is
	// called once, with the error that the request ended with.
	Tracer interface {
		Start(ctx context.Context, name, parent string) (traceparent string, end func(err error))
	}
)

// Config is what an Entry is made of.
type Config struct {
	Tokens      Tokens                                                     // needed
	Accounts    Accounts                                                   // needed
	Idempotency store.Idempotency                                          // nil: a request with a key is refused as unsupported
	Gate        Gate                                                       // nil: no limits
	Tracer      Tracer                                                     // nil: none
	Proxies     []netip.Prefix                                             // whose X-Forwarded-For is believed; none by default
	Request     func(route, method string, status int, took time.Duration) // hears of every answered request; nil: nobody
	Refused     func(fault.Kind)                                           // hears of every failure that was told; nil: nobody
	Logger      *slog.Logger                                               // nil: slog.Default
	Now         func() time.Time                                           // nil: time.Now
}

// Entry is what requests go through. It may be used from many goroutines.
type Entry struct {
	cfg Config
}

// New makes an Entry.
func New(cfg Config) *Entry {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Request == nil {
		cfg.Request = func(string, string, int, time.Duration) {}
	}
	if cfg.Refused == nil {
		cfg.Refused = func(fault.Kind) {}
	}
	return &Entry{cfg: cfg}
}

const (
	headerRequestID = "X-Request-Id"
	headerTraceID   = "X-Trace-Id"
	maxRequestID    = 64
)

// Around is the middleware that every request goes through, also one to an address that does not exist.
func (in *Entry) Around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r, w := c.Request(), c.Response()
		ctx, cancel := context.WithTimeout(r.Context(), budget)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, rest.MaxRequest)
		c.SetRequest(r)
		setHeaders(w.Header(), r.Header)
		end := in.trace(c)
		defer func() { end(failureOf(c)) }() // also when the handler ends the connection
		err := in.guarded(c, func(c echo.Context) error {
			if err := in.Charge(c); err != nil {
				return err
			}
			return next(c)
		})
		if err != nil {
			in.Fail(err, c)
		}
		took := time.Since(start)
		in.cfg.Request(c.Path(), r.Method, w.Status, took)
		in.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("method", r.Method),
			slog.String("route", c.Path()), slog.Int("status", w.Status), slog.Duration("took", took),
			slog.String("peer", in.Address(c).String()), slog.String("request_id", w.Header().Get(headerRequestID)),
			slog.String("trace_id", w.Header().Get(headerTraceID)))
		return nil
	}
}

// Charge counts a request of the address that c comes from. Around does it once; a handler does it again for what
// should cost more.
func (in *Entry) Charge(c echo.Context) error {
	if in.cfg.Gate == nil {
		return nil
	}
	return in.cfg.Gate.Address(in.Address(c))
}

// setHeaders sets what every answer carries: nothing of it is to be kept, guessed at, framed or run.
func setHeaders(h, request http.Header) {
	h.Set(headerRequestID, requestID(request.Get(headerRequestID)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// requestID is the client's own when it can be logged as it is, or a new one.
func requestID(given string) string {
	if given != "" && len(given) <= maxRequestID && strings.Trim(given, tokenCharacters) == "" {
		return given
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "" // it only connects lines of logs
	}
	return chat.IDFromBytes(id)
}

const tokenCharacters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_."

// guarded runs a handler and makes a panic of it an error, so that the client gets an answer and the others
// do not notice. The text of a panic is for the log only.
func (in *Entry) guarded(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler {
			panic(p) // net/http's own way to end a connection
		}
		if p != nil {
			in.cfg.Logger.Error("a handler panicked", "route", c.Path(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in %s", c.Path())
		}
	}()
	return next(c)
}
