package deadletter

import (
	"maps"
	"sync"
)

// Counts is what a Service did since it began.
type Counts struct {
	Letters    map[Origin]uint64 // that it put into the DLQ
	Retries    map[Retried]uint64
	Passes     uint64            // looks at all consumers
	Suspicions map[string]uint64 // ranges of events that became suspect, by consumer
	Checked    map[string]uint64 // events that were suspect and looked up, by consumer
	Unproven   map[string]uint64 // suspect positions of a consumer that nobody has evidence of
	Garbage    uint64            // messages of ADVISORIES that tell of nothing
	Deleted    uint64            // events that were taken out of their stream before a consumer was done with them
}

// Origin is whose letter it is, and how its end was noticed.
type Origin struct{ Consumer, Found string }

// Retried is whose letter was tried again, and with which Outcome.
type Retried struct{ Consumer, Outcome string }

// Outcomes of trying a letter again.
const (
	OutcomeDone    = "done"    // it is no dead letter any more
	OutcomeRefused = "refused" // it stays, for a reason
	OutcomeFailed  = "failed"  // something did not answer: it is worth trying again
	OutcomeDry     = "dry"     // it was only asked what would be
)

// counters are Counts as they grow.
type counters struct {
	mu  sync.Mutex // guards now
	now Counts
}

// Counts is what the Service did so far.
func (s *Service) Counts() Counts {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now
	now.Letters, now.Retries = maps.Clone(now.Letters), maps.Clone(now.Retries)
	now.Suspicions, now.Checked, now.Unproven = maps.Clone(now.Suspicions), maps.Clone(now.Checked), maps.Clone(now.Unproven)
	return now
}

func (c *counters) note(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.now)
}

// grow adds to a count of a map that may not be made yet.
func grow[K comparable](of *map[K]uint64, key K, n uint64) {
	if *of == nil {
		*of = map[K]uint64{}
	}
	(*of)[key] += n
}
