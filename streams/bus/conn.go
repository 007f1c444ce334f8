package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
)

// Times of a connection.
const (
	dialTimeout    = 2 * time.Second
	writeTimeout   = 5 * time.Second // a server that takes no bytes for so long is lost
	pingInterval   = 5 * time.Second // two pings without an answer end the connection
	reconnectFirst = 50 * time.Millisecond
	reconnectCap   = 2 * time.Second
	requestTimeout = 3 * time.Second // of one answer, when the caller's context allows more
	RetryAfter     = time.Second     // what a caller is told when NATS does not answer
)

// DialConfig is what a Conn is told.
type DialConfig struct {
	URL       string        // nats://user:password@host:port; several are separated by commas
	Role      string        // of the process: what `nats server report connections` shows
	Logger    *slog.Logger  // nil: slog.Default
	InProcess InProcess     // an embedded server to connect to without a socket; the URL's user logs in; nil: none
	Login     []nats.Option // other ways to be let in than the URL's: a creds file, a certificate; for commands of operators
}

// InProcess is a server in this process, such as natsd.Leaf.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Conn is a connection to NATS. It is made again whenever it breaks, for ever, and keeps nothing for
// later: what is written while it is broken fails at once, so nothing stale is sent when it is back.
type Conn struct {
	// immutable after Dial
	nc      *nats.Conn
	log     *slog.Logger
	up      chan struct{} // closed when it is connected for the first time
	closed  chan struct{} // closed when nats.go has ended
	answers *answers

	fanDrops atomic.Uint64 // see FanDrops

	mu      sync.Mutex // guards what follows
	nextID  uint64
	resumed map[uint64]func()             // to call after each reconnect
	slow    map[*nats.Subscription]func() // to call when messages of a subscription were dropped
}

// Dial makes a connection. Nobody has to listen there yet: processes start in any order. The error is
// about the URL alone.
func Dial(cfg DialConfig) (*Conn, error) {
	c := &Conn{
		log: cfg.Logger, up: make(chan struct{}), closed: make(chan struct{}),
		resumed: map[uint64]func(){}, slow: map[*nats.Subscription]func(){},
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	c.log = c.log.With("conn", cfg.Role)
	options := []nats.Option{
		nats.Name("canopy " + cfg.Role),
		nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectBufSize(-1),
		nats.Timeout(dialTimeout), nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ConnectHandler(func(*nats.Conn) { close(c.up) }),
		nats.ReconnectHandler(c.reconnected),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we closed it
				c.log.Warn("NATS connection lost", "err", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.log.Debug("NATS does not answer", "err", err) }),
		nats.ErrorHandler(c.failed),
		nats.ClosedHandler(func(*nats.Conn) { close(c.closed) }),
	}
	if cfg.InProcess != nil {
		options = append(options, nats.InProcessServer(cfg.InProcess))
	}
	options = append(options, cfg.Login...)
	var err error
	if c.nc, err = nats.Connect(cfg.URL, options...); err != nil {
		return nil, errors.New("the address of NATS is not nats://user:password@host:port") // not quoted: there is a password in it
	}
	if c.answers, err = openAnswers(c); err != nil {
		c.Close()
		return nil, fmt.Errorf("subscribe to the inbox: %w", err)
	}
	return c, nil
}

// reconnectDelay follows each round of attempts. The jitter spreads a crowd that lost the same server.
func reconnectDelay(rounds int) time.Duration { return Backoff(reconnectFirst, reconnectCap, rounds) }

// Pause waits for d, or returns why ctx ended when that comes first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Backoff is a random time around first<<attempt, at most limit.
func Backoff(first, limit time.Duration, attempt int) time.Duration {
	d := limit
	if attempt < 30 && first<<attempt < limit {
		d = first << attempt
	}
	return d/2 + rand.N(d/2+1)
}

// Ready waits until the connection was made for the first time.
func (c *Conn) Ready(ctx context.Context) error {
	select {
	case <-c.up:
		return nil
	case <-c.closed:
		return Unavailable(nats.ErrConnectionClosed)
	case <-ctx.Done():
		return Unavailable(context.Cause(ctx))
	}
}

// Connected reports whether the connection is up, as far as it knows.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Logger is where the connection's users log.
func (c *Conn) Logger() *slog.Logger { return c.log }

// NATS is the connection itself, for packages under streams/ that need more of it. Nobody else uses it.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// OnReconnect makes f run after each time that the connection was made again, when the subscriptions
// are in place. Messages in between are lost. f must not block. stop ends that.
func (c *Conn) OnReconnect(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextID++
	id := c.nextID
	c.resumed[id] = f
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.resumed, id)
	}
}

// onSlow makes f run each time that sub begins to lose messages because its receiver is slow.
func (c *Conn) onSlow(sub *nats.Subscription, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow[sub] = f
}

func (c *Conn) reconnected(*nats.Conn) {
	c.mu.Lock()
	run := make([]func(), 0, len(c.resumed))
	for _, f := range c.resumed {
		run = append(run, f)
	}
	c.mu.Unlock()
	c.log.Info("NATS connection restored")
	for _, f := range run {
		f()
	}
}

// failed is told by nats.go what nobody waits for.
func (c *Conn) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	c.log.Warn("NATS", "err", err, "subject", subject)
	if !errors.Is(err, nats.ErrSlowConsumer) {
		return
	}
	c.mu.Lock()
	f := c.slow[sub]
	c.mu.Unlock()
	if f != nil {
		f()
	}
}

// unsubscribe ends sub. When that has ended already, with the connection or before, nothing happens.
func (c *Conn) unsubscribe(sub *nats.Subscription) error {
	c.mu.Lock()
	delete(c.slow, sub)
	c.mu.Unlock()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		return fmt.Errorf("unsubscribe %s: %w", sub.Subject, err)
	}
	return nil
}

func (c *Conn) logError(what string, err error) {
	if err != nil {
		c.log.Warn(what, "err", err)
	}
}

// Drain lets subscriptions handle what they hold, sends what is written, and closes; at the latest when
// ctx ends.
func (c *Conn) Drain(ctx context.Context) error {
	defer c.Close()
	if err := c.nc.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("drain: %w", err)
	}
	select {
	case <-c.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: %w", context.Cause(ctx))
	}
}

// Close ends the connection and waits for its end. It may be called again.
func (c *Conn) Close() {
	c.nc.Close()
	<-c.closed
}

// request asks once and waits for one answer.
func (c *Conn) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(limited, subject, body)
	if err != nil {
		return nil, Unavailable(fmt.Errorf("%s: %w", subject, err))
	}
	return m, nil
}

// Unavailable is what a caller gets when NATS does not answer.
func Unavailable(err error) *fault.Error {
	return fault.Wrap(fault.Unavailable, err, "The message log does not answer; try again").After(RetryAfter)
}
