package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

const (
	// breakAfter is how many times in a row the store may fail to answer before it counts as down. One slow page says
	// nothing of the others.
	breakAfter = 3
	// probeEvery is how often one page asks a store that is down whether it is back.
	probeEvery = time.Second
)

// errKnownDown is why the store is not asked.
var errKnownDown = fault.New(fault.Unavailable, "the message store does not answer")

// breaker decides whether the store is asked. It is pure: the time is told.
//
//	closed     everybody asks; breakAfter failures in a row open it
//	open       nobody asks, until a probe is due
//	half open  one asks, the others do not wait for them; an answer closes it, a failure opens it again
type breaker struct {
	failures int       // in a row
	probeAt  time.Time // when it is open: the next probe is due
	probing  bool      // half open
}

// verdict is how an asking ended.
type verdict uint8

const (
	answered verdict = iota // also with an error that says what is wrong with the question
	silent                  // the store did not answer in its time, or said that it cannot
	unknown                 // whoever asked went away
)

// allow reports whether the store may be asked now. Whoever is allowed must say how it ended: done.
func (b *breaker) allow(now time.Time) bool {
	if b.failures < breakAfter {
		return true
	}
	if b.probing || now.Before(b.probeAt) {
		return false
	}
	b.probing = true
	return true
}

// done takes the end of an asking that was allowed. What ends late, of those who asked before it opened, counts too.
func (b *breaker) done(now time.Time, v verdict) {
	b.probing = false
	switch v {
	case answered:
		b.failures = 0
	case silent:
		b.failures = min(b.failures+1, breakAfter)
		b.probeAt = now.Add(probeEvery)
	case unknown:
	}
}

// patience asks the store with a budget, and does not ask while it is known to be down.
type patience struct {
	budget time.Duration

	mu      sync.Mutex // guards breaker
	breaker breaker
}

// probes reports whether the store is known to be down and somebody finds out whether it still is: nobody is to wait for
// them, not even for the same page.
func (p *patience) probes() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.breaker.probing
}

// ask lets f ask the store. The error is f's own, or Unavailable at once.
func (p *patience) ask(ctx context.Context, f func(context.Context) error) error {
	p.mu.Lock()
	allowed := p.breaker.allow(time.Now())
	p.mu.Unlock()
	if !allowed {
		return errKnownDown
	}
	asking, cancel := context.WithTimeout(ctx, p.budget)
	defer cancel()
	err := f(asking)
	v := answered
	switch {
	case err == nil:
	case ctx.Err() != nil:
		v = unknown
	case down(ctx, err):
		v = silent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.breaker.done(time.Now(), v)
	return err
}

// down reports whether err says that the store does not answer, in the time that we gave it.
func down(ctx context.Context, err error) bool {
	return fault.Is(err, fault.Unavailable) || (errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil)
}
