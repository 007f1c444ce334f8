package ring

import (
	"maps"
	"sync"
)

// Counts is what a Ring did since it was opened.
type Counts struct {
	Calls    uint64            // of Exec, Batch, ExecIf, List and One
	Retries  uint64            // further tries that were called for; the driver makes them while there is another node
	Failures map[Reason]uint64 // calls that failed, after their retries; a row that is not there is no failure
}

// tally counts for a Ring.
type tally struct {
	mu     sync.Mutex
	counts Counts // guarded by mu
}

func (t *tally) noteCall(reason Reason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Calls++
	if reason == "" {
		return
	}
	if t.counts.Failures == nil {
		t.counts.Failures = map[Reason]uint64{}
	}
	t.counts.Failures[reason]++
}

func (t *tally) noteRetry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Retries++
}

// Counts is a copy of the counters.
func (r *Ring) Counts() Counts {
	r.tally.mu.Lock()
	defer r.tally.mu.Unlock()
	counts := r.tally.counts
	counts.Failures = maps.Clone(counts.Failures)
	return counts
}
