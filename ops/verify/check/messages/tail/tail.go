// Package tail knows when logs stored events without a word of it. What comes next in another channel is then shown first, for an event
// names the one before it in its own channel only: a gateway finds the hole when it next proves itself, and has its sockets resync.
package tail

import (
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Fault is the fault that takes logs their word. Routes are the links between nodes of the hub: what a log's leader says goes from it to each other node
// by one route, and round no corner, so that a leaf at the far end of one that is cut hears nothing while its own link is well.
const (
	Fault  = "lost-republishes"
	Routes = "hub-hub"
)

// proof is how soon a gateway looks again at whether it has shown all that the log holds: two looks are 2.5 to 7.5 s apart (edge/fanout).
const proof = 8 * time.Second

// Tail is when that was. It does not change after Of.
type Tail struct {
	untold []record.Fault
	grace  *grace.Grace
}

// Of reads a record.
func Of(r *record.Record) *Tail {
	t := &Tail{grace: grace.Of(r)}
	for _, f := range r.Faults {
		if f.Name == Fault || f.Tier == Routes {
			t.untold = append(t.untold, f)
		}
	}
	return t
}

// Untold reports whether what was stored just before a time may be unknown to gateways.
func (t *Tail) Untold(at time.Duration) bool {
	for _, f := range t.untold {
		if f.Begin <= at && at <= t.Due(f.End) {
			return true
		}
	}
	return false
}

// Due is when a gateway that has shown something with a hole before it must have said so.
func (t *Tail) Due(shown time.Duration) time.Duration { return t.grace.Until(shown, proof) }

// Holes are those that one socket was shown and not told of yet.
type Holes struct {
	Tail *Tail
	open []hole
}

type hole struct {
	due       time.Duration
	violation verdict.Violation
}

// Add takes a hole that was shown at a time, or says that there is no excuse for it.
func (h *Holes) Add(shown time.Duration, v verdict.Violation) bool {
	if !h.Tail.Untold(shown) {
		return false
	}
	h.open = append(h.open, hole{h.Tail.Due(shown), v})
	return true
}

// Told is that the socket was told to resync, or has ended before it had to be.
func (h *Holes) Told() { h.open = nil }

// Overdue takes out what should have been told by now.
func (h *Holes) Overdue(now time.Duration) (all []verdict.Violation) {
	kept := h.open[:0]
	for _, o := range h.open {
		if o.due < now {
			all = append(all, o.violation)
		} else {
			kept = append(kept, o)
		}
	}
	h.open = kept
	return all
}
