package deliver

import (
	"maps"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/deliver/attempt"
	"github.com/canopychat/canopy/services/deliver/due"
)

// RouterCounts is what a Router did since it began. What came again counts again.
type RouterCounts struct {
	Messages uint64               // that it looked at
	Owed     map[chat.Owed]uint64 // jobs that it wrote, by why
	Covered  uint64               // times that a cursor of the recipient had come to the message already
	Muted    uint64               // times that the recipient had muted the channel
	Held     uint64               // times that a batch was held because something did not answer
	Retried  uint64               // events that come again because they could not be routed
}

// AttemptKey is how an attempt at a target ended.
type AttemptKey = attempt.Key

// WorkerCounts is what a Worker did since it began.
type WorkerCounts struct {
	Jobs      uint64 // that it was given; one that came again counts again
	Attempts  map[AttemptKey]uint64
	Decisions map[due.Kind]uint64 // what became of them
	Parked    uint64              // that are no jobs
	Held      uint64              // times that a batch was held because something did not answer
}

// counters are counts as they grow.
type counters[C any] struct {
	mu  sync.Mutex // guards now
	now C
}

func (c *counters[C]) note(f func(*C)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.now)
}

// Counts is what the Router did so far.
func (r *Router) Counts() (now RouterCounts) {
	r.counters.note(func(c *RouterCounts) {
		now = *c
		now.Owed = maps.Clone(c.Owed)
	})
	return now
}

// Counts is what the Worker did so far.
func (w *Worker) Counts() (now WorkerCounts) {
	w.counters.note(func(c *WorkerCounts) {
		now = *c
		now.Attempts, now.Decisions = w.attempts.Counts(), maps.Clone(c.Decisions)
	})
	return now
}
