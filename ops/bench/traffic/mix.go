//go:build linux

package traffic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/schemas/chat"
)

// Rates are how often things are done a second, by all people together. They are independent of how many there are,
// but for Leave, which is a share of the sockets.
type Rates struct {
	Send, Edit, React, Read, Login, Move, Garbage float64
	Leave                                         float64 // share of the sockets that end, every second
}

// Steady is the mix of a soak: some ten things a second of every kind that people do often, and enough of what they do
// seldom to find a leak of one kilobyte, goroutine or descriptor each time within minutes.
var Steady = Rates{Send: 20, Edit: 3, React: 5, Read: 5, Login: 0.5, Move: 2, Garbage: 2, Leave: 0.01}

// Options say who does what.
type Options struct {
	Place
	Tokens   []string // one a socket
	Slow     int      // so many of the people read slowly, and do nothing else
	Rates    Rates
	Login    string // of somebody who signs in
	Password string
}

// Mix is steady traffic.
type Mix struct {
	o      Options
	people []*person // the first o.Slow are slow
	http   *http.Client
	// A client that keeps no connection open, so that those of REST come and go too.
	fleeting *http.Client

	leaves int // owned by the goroutine of leave
	logins int // owned by the goroutine of login

	mu     sync.Mutex
	counts map[string]int
	oddity error // the first thing that should not have happened
}

// NewMix makes the people.
func NewMix(o Options) *Mix {
	m := &Mix{o: o, counts: make(map[string]int), http: &http.Client{Timeout: restTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}}
	m.fleeting = &http.Client{Timeout: restTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for i, token := range o.Tokens {
		p := newPerson(o.Place, token, Source(i))
		p.call.Narrow = i < o.Slow
		m.people = append(m.people, p)
	}
	return m
}

const restTimeout = 30 * time.Second

// Source is the address of this machine that the i-th client comes from: some people share one, as in an office.
func Source(i int) string {
	const office = 20
	i /= office
	return fmt.Sprintf("127.1.%d.%d", i/250%250, 1+i%250)
}

// Run has everything done until ctx ends, and returns when all has ended.
func (m *Mix) Run(ctx context.Context) {
	var all sync.WaitGroup
	for i, p := range m.people {
		all.Go(func() { m.live(ctx, p, i < m.o.Slow) })
	}
	r := m.o.Rates
	for _, d := range []struct {
		each float64
		do   func(context.Context) error
	}{
		{r.Send, m.send}, {r.Edit, m.edit}, {r.React, m.react}, {r.Read, m.read}, {r.Login, m.login}, {r.Move, m.move},
		{r.Garbage, m.garbage}, {r.Leave * float64(len(m.people)), m.leave},
	} {
		if d.each > 0 {
			all.Go(func() { m.again(ctx, time.Duration(float64(time.Second)/d.each), d.do) })
		}
	}
	all.Wait()
	m.http.CloseIdleConnections()
}

// again does something every so often on average. The pauses are uneven, or a turn would fall together with every look
// at the server, which would then see each time what is there for a moment only: the memory of a password's hash.
func (m *Mix) again(ctx context.Context, every time.Duration, do func(context.Context) error) {
	turn := time.NewTimer(between(0, every))
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
		}
		turn.Reset(between(every/2, every+every/2))
		if err := do(ctx); err != nil && ctx.Err() == nil {
			m.odd(err)
		}
	}
}

// live keeps a person connected: when the socket ends it comes back, at its cursor.
func (m *Mix) live(ctx context.Context, p *person, slow bool) {
	tries := 0
	for ctx.Err() == nil {
		resumes := p.cursor != (chat.Cursor{})
		s, hello, err := p.connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				m.odd(err)
			}
			tries++
			wait(ctx, pauseAfter(err, tries, rand.Float64))
			continue
		}
		tries = 0
		switch {
		case hello.Resumed:
			m.count("resumed")
		case resumes:
			m.count("began anew")
		default:
			m.count("opened")
		}
		m.hear(ctx, p, s, slow)
		wait(ctx, between(100*time.Millisecond, 2*time.Second))
	}
}

// How a slow reader reads: for a while, and not at all for a while that is shorter than the server's patience.
const (
	slowReads  = 10 * time.Second
	slowPauses = 20 * time.Second
)

// hear reads a socket to its end.
func (m *Mix) hear(ctx context.Context, p *person, s *rig.Socket, slow bool) {
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	defer s.Cut()
	defer p.gone()
	rest := time.Now().Add(between(slowReads/2, slowReads))
	for {
		f, err := next(s)
		var closed *rig.Closed
		switch {
		case errors.As(err, &closed):
			m.count(fmt.Sprintf("closed %d", closed.Code))
			return
		case err != nil:
			m.count("cut")
			return
		}
		m.count(f.Type)
		p.note(f)
		if f.Type == "error" {
			m.count("error " + f.Code)
		}
		if slow && time.Now().After(rest) {
			wait(ctx, between(slowPauses/2, slowPauses))
			m.count("slow pauses")
			rest = time.Now().Add(between(slowReads/2, slowReads))
		}
	}
}

// Open is how many sockets are open.
func (m *Mix) Open() (n int) {
	for _, p := range m.people {
		if p.open() != nil {
			n++
		}
	}
	return n
}

// Counts is what has been done, and the first thing that should not have happened, or nil.
func (m *Mix) Counts() (map[string]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counts), m.oddity
}

func (m *Mix) count(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[what]++
}

// odd counts something that should not have happened; it is no reason to stop.
func (m *Mix) odd(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts["oddities"]++
	if m.oddity == nil {
		m.oddity = err
	}
}

// anybody is a person who reads as people do and has a socket, and the socket; nil when nobody was found.
func (m *Mix) anybody() (*person, *rig.Socket) {
	const looks = 20
	for range looks {
		p := m.people[m.o.Slow+rand.N(len(m.people)-m.o.Slow)]
		if s := p.open(); s != nil {
			return p, s
		}
	}
	return nil, nil
}
