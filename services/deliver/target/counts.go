package target

import (
	"maps"
	"sync"

	"github.com/canopychat/canopy/schemas/fault"
)

// The ways to tell somebody.
const (
	pushes = "push"
	hooks  = "webhook"
)

// What becomes of a sending: the outcomes of Counts.
const (
	OutcomeTaken   = "taken"
	OutcomeSkipped = "skipped" // it was not asked: its origin did not answer the last times
	OutcomeGone    = "gone"    // a subscription that has ended
	OutcomeLimited = "limited" // it wants us to slow down
	OutcomeSilent  = "silent"  // no answer, or one that says that it cannot
	OutcomeRefused = "refused" // it said no, or our own rule did
)

// Sending is what a count is of.
type Sending struct{ Way, Outcome string } // push or webhook, and one of the outcomes

// Counts is what Targets did since they were made.
type Counts struct {
	Sent map[Sending]uint64
	Open int // origins that are left alone now
}

// Counts is what was done so far.
func (t *Targets) Counts() Counts {
	t.tally.mu.Lock()
	defer t.tally.mu.Unlock()
	return Counts{Sent: maps.Clone(t.tally.sent), Open: t.origins.open()}
}

// tally counts sendings. The zero value is ready.
type tally struct {
	mu   sync.Mutex // guards what follows
	sent map[Sending]uint64
}

func (t *tally) note(way string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent == nil {
		t.sent = make(map[Sending]uint64)
	}
	t.sent[Sending{way, outcomeOf(err)}]++
}

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return OutcomeTaken
	case Skipped(err):
		return OutcomeSkipped
	}
	switch fault.KindOf(err) {
	case fault.NotFound:
		return OutcomeGone
	case fault.RateLimited:
		return OutcomeLimited
	case fault.Unavailable:
		return OutcomeSilent
	}
	return OutcomeRefused
}
