package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/streams/bus"
)

// Config says what a Proxy stands before.
type Config struct {
	Target   string // host:port that connections lead to
	Listen   string // host:port that is taken; 127.0.0.1:0 when empty
	MaxConns int    // open at once, more are refused; DefaultMaxConns when 0
}

// DefaultMaxConns is more than any test opens, and less than what a process may have.
const DefaultMaxConns = 4096

// dialBudget is how long the target may take to answer.
const dialBudget = 10 * time.Second

// Direction is a way that bytes go.
type Direction uint8

// The directions.
const (
	Up   Direction = iota // from who connects to the target
	Down                  // from the target to who connects
)

func (d Direction) other() Direction { return 1 - d }

// fault is what is wrong in a direction.
type fault struct {
	hold            bool
	latency, jitter time.Duration
}

// Proxy is a TCP proxy with faults. All methods may be used from many goroutines, before Run as well.
type Proxy struct {
	// Immutable after New.
	target   string
	maxConns int
	listener net.Listener

	// Counted, never reset.
	accepted, refused, failed atomic.Uint64
	passed, held              [2]atomic.Int64 // bytes, by direction; held: taken and not passed on yet

	mu sync.Mutex
	// Guarded by mu.
	faults  [2]fault
	refuses bool
	changed chan struct{} // closed when faults change, and replaced
	links   map[*link]struct{}
}

// Counts is what a Proxy has done.
type Counts struct {
	Open     int    // connections now
	Accepted uint64 // connections that were taken
	Refused  uint64 // connections that were reset at once, by Refuse, by Cut or because there were too many
	Failed   uint64 // of those accepted, connections whose target did not answer
	Up, Down int64  // bytes that were passed on
	HeldUp   int64  // bytes that were taken and not passed on yet, because of Hold or Delay
	HeldDown int64
}

// New takes the address, so that Address is known; the error says when that is taken. Nothing is served before Run.
func New(c Config) (*Proxy, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.MaxConns == 0 {
		c.MaxConns = DefaultMaxConns
	}
	if _, _, err := net.SplitHostPort(c.Target); err != nil {
		return nil, fmt.Errorf("the target of a proxy: %w", err)
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("a proxy before %s: %w", c.Target, err)
	}
	return &Proxy{
		target: c.Target, maxConns: c.MaxConns, listener: listener,
		changed: make(chan struct{}), links: make(map[*link]struct{}),
	}, nil
}

// Address is the host:port to connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Target is the host:port that connections lead to.
func (p *Proxy) Target() string { return p.target }

// Run serves until ctx ends, then resets every connection, gives the address back and waits for all it has started.
func (p *Proxy) Run(ctx context.Context) error {
	var serving sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { _ = p.listener.Close() }) // Accept says so
	defer stop()
	defer serving.Wait()
	defer cancel()
	for {
		conn, err := p.listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				reset(conn)
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("the proxy before %s ended: %w", p.target, err)
		case err != nil: // a client that has gone again, or too many open files: the next may fare better
			if bus.Pause(ctx, acceptPause) != nil {
				return nil
			}
			continue
		}
		l := p.admit(conn.(*net.TCPConn))
		if l == nil {
			reset(conn)
			continue
		}
		serving.Go(func() {
			defer p.forget(l)
			l.run(ctx)
		})
	}
}

// acceptPause keeps an Accept that fails from being called without end.
const acceptPause = 20 * time.Millisecond

// admit is a place for a connection; nil: it is refused.
func (p *Proxy) admit(conn *net.TCPConn) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses || len(p.links) >= p.maxConns {
		p.refused.Add(1)
		return nil
	}
	p.accepted.Add(1)
	l := &link{proxy: p, client: conn, done: make(chan struct{})}
	p.links[l] = struct{}{}
	return l
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// Delay has bytes take latency, and up to jitter more, in the directions given, or in both when none is. It counts for
// what is on its way already. A direction passes no more than its buffer in one latency.
func (p *Proxy) Delay(latency, jitter time.Duration, in ...Direction) {
	p.change(in, func(f *fault) { f.latency, f.jitter = latency, jitter })
}

// Hold has nothing pass in the directions given, or in both when none is. Connections stay open.
func (p *Proxy) Hold(in ...Direction) { p.change(in, func(f *fault) { f.hold = true }) }

// Release ends Hold in the directions given, or in both when none is: what was held passes.
func (p *Proxy) Release(in ...Direction) { p.change(in, func(f *fault) { f.hold = false }) }

// Reset resets every connection that is open. What is on its way is lost; new ones are welcome.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// Refuse resets every new connection at once. Those that are open stay.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = true
}

// Cut resets what is open and refuses what is new.
func (p *Proxy) Cut() {
	p.Refuse()
	p.Reset()
}

// Heal ends every fault. What was held passes.
func (p *Proxy) Heal() {
	p.change(nil, func(f *fault) { *f = fault{} })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = false
}

// Counts is what it has done so far.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{
		Open: len(p.links), Accepted: p.accepted.Load(), Refused: p.refused.Load(), Failed: p.failed.Load(),
		Up: p.passed[Up].Load(), Down: p.passed[Down].Load(), HeldUp: p.held[Up].Load(), HeldDown: p.held[Down].Load(),
	}
}

// change changes faults, and tells all who wait for that.
func (p *Proxy) change(in []Direction, do func(*fault)) {
	if len(in) == 0 {
		in = []Direction{Up, Down}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range in {
		do(&p.faults[d])
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// now is the fault of a direction, and what is closed when that changes.
func (p *Proxy) now(d Direction) (fault, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults[d], p.changed
}

// reset ends a connection so that its peer sees it broken, and not closed.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a connection that is broken already will do
	}
	_ = conn.Close() // nobody waits for anything of it
}
