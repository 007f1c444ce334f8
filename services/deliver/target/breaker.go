package target

import (
	"sync"
	"time"
)

// BreakerConfig says when an origin is left alone. The zero value is what most want.
type BreakerConfig struct {
	After int           // failures in a row that open it; 0: DefaultBreakAfter
	First time.Duration // until it is asked again for the first time; then twice as long each time. 0: DefaultBreakFirst
	Cap   time.Duration // up to here; 0: DefaultBreakCap
}

// Defaults of fields that were left at zero.
const (
	DefaultBreakAfter = 5
	DefaultBreakFirst = 10 * time.Second
	DefaultBreakCap   = 5 * time.Minute

	maxOrigins = 1024 // that are remembered with their failures; of more, the one that failed longest ago is forgotten
)

func (c *BreakerConfig) defaults() {
	if c.After <= 0 {
		c.After = DefaultBreakAfter
	}
	if c.First <= 0 {
		c.First = DefaultBreakFirst
	}
	if c.Cap <= 0 {
		c.Cap = DefaultBreakCap
	}
}

// breaker decides whether an origin is asked. It is pure: the time is told.
//
//	closed     everybody asks; After failures in a row open it
//	open       nobody asks, until a probe is due
//	half open  one asks, the others do not wait for them; an answer closes it, a failure opens it for twice as long
type breaker struct {
	failures int // in a row
	pause    time.Duration
	probeAt  time.Time // when it is open: the next probe is due
	probing  bool      // half open
	failedAt time.Time
}

// verdict is how an asking ended.
type verdict uint8

const (
	answered verdict = iota // also with an error that says what is wrong with what was sent
	silent                  // no answer in time, or one that says that it cannot
	unknown                 // it was not asked after all, or whoever asked went away
)

// allow reports whether the origin may be asked now, and if not, when it is worth trying again. Whoever is allowed must say
// how it ended: done.
func (b *breaker) allow(cfg BreakerConfig, now time.Time) (wait time.Duration, ok bool) {
	switch {
	case b.failures < cfg.After:
		return 0, true
	case b.probing:
		return cfg.First, false
	case now.Before(b.probeAt):
		return b.probeAt.Sub(now), false
	}
	b.probing = true
	return 0, true
}

// done takes the end of an asking that was allowed. What ends late, of those who asked before it opened, makes no pause longer.
func (b *breaker) done(cfg BreakerConfig, now time.Time, v verdict) {
	probed := b.probing
	switch v {
	case answered:
		*b = breaker{}
	case unknown:
		b.probing = false
	case silent:
		b.failures, b.failedAt, b.probing = min(b.failures+1, cfg.After), now, false
		switch {
		case b.failures < cfg.After:
			return
		case b.pause == 0:
			b.pause = min(cfg.First, cfg.Cap)
		case probed:
			b.pause = min(2*b.pause, cfg.Cap)
		default:
			return
		}
		b.probeAt = now.Add(b.pause)
	}
}

// origins are the breakers of all origins that failed. It may be used by many goroutines at once.
type origins struct {
	cfg BreakerConfig
	now func() time.Time

	mu     sync.Mutex          // guards what follows
	failed map[string]*breaker // by origin; at most maxOrigins. One that answered is not in it
}

func newOrigins(cfg BreakerConfig, now func() time.Time) *origins {
	cfg.defaults()
	return &origins{cfg: cfg, now: now, failed: make(map[string]*breaker)}
}

func (o *origins) allow(origin string) (wait time.Duration, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.failed[origin]
	if b == nil {
		return 0, true
	}
	return b.allow(o.cfg, o.now())
}

func (o *origins) done(origin string, v verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.failed[origin]
	if b == nil {
		if v != silent {
			return
		}
		o.makeRoomLocked()
		b = &breaker{}
		o.failed[origin] = b
	}
	b.done(o.cfg, o.now(), v)
	if b.failures == 0 {
		delete(o.failed, origin)
	}
}

func (o *origins) makeRoomLocked() {
	if len(o.failed) < maxOrigins {
		return
	}
	oldest := ""
	for origin, b := range o.failed {
		if oldest == "" || b.failedAt.Before(o.failed[oldest].failedAt) {
			oldest = origin
		}
	}
	delete(o.failed, oldest)
}

// open counts those that are left alone.
func (o *origins) open() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, b := range o.failed {
		if b.failures >= o.cfg.After {
			n++
		}
	}
	return n
}
