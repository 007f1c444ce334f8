package tail_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/messages/tail"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

const (
	second = time.Second
	begun  = 100 * second
	ended  = 110 * second
)

func faults(name string) *record.Record {
	return &record.Record{Faults: []record.Fault{{Name: name, Tier: "hub", Targets: []string{"all logs"}, Begin: begun, End: ended}}}
}

// Only what was stored while logs were silent, or shortly before their gateways looked again, may be shown late.
func TestWhatMayBeUntold(t *testing.T) {
	for at, want := range map[time.Duration]bool{begun - second: false, begun: true, ended: true, ended + 5*second: true, ended + time.Minute: false} {
		if got := tail.Of(faults(tail.Fault)).Untold(at); got != want {
			t.Errorf("at %v: %t", at, got)
		}
		cut := faults("cut")
		cut.Faults[0].Tier = tail.Routes
		if got := tail.Of(cut).Untold(at); got != want {
			t.Errorf("with a route cut, at %v: %t", at, got)
		}
		if tail.Of(faults("poison")).Untold(at) {
			t.Errorf("at %v another fault excuses it", at)
		}
	}
}

// A hole is forgiven to a socket that is told to resync in time, and to no other.
func TestAHoleMustBeTold(t *testing.T) {
	of := func() *tail.Holes {
		h := &tail.Holes{Tail: tail.Of(faults(tail.Fault))}
		if !h.Add(ended+second, verdict.Violation{Rule: "hole"}) {
			t.Fatal("it has no excuse")
		}
		return h
	}
	if h := of(); len(h.Overdue(ended+2*second)) != 0 || len(h.Overdue(ended+time.Minute)) != 1 || len(h.Overdue(ended+time.Hour)) != 0 {
		t.Error("what was not told is not found once, when it is due")
	}
	h := of()
	h.Told()
	if len(h.Overdue(ended+time.Hour)) != 0 {
		t.Error("what was told is found")
	}
	if h.Add(begun-second, verdict.Violation{}) {
		t.Error("a hole from before is excused")
	}
}
