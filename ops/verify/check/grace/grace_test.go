package grace_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/record"
)

func TestAPromiseIsAsLongAsTheMachineAllows(t *testing.T) {
	g := grace.Of(&record.Record{
		Samples: []record.Sample{
			{Time: 11 * time.Second, Name: record.Lateness, Value: float64(300 * time.Millisecond)},
			{Time: 11 * time.Second, Name: record.Goroutines, Value: 1e12},
		},
		Faults: []record.Fault{{Begin: 30 * time.Second, End: 40 * time.Second}, {Begin: 46 * time.Second, End: 50 * time.Second}},
	})
	for from, want := range map[time.Duration]time.Duration{
		time.Second:                time.Second + time.Second,
		10 * time.Second:           11*time.Second + 4*300*time.Millisecond,         // an api, the hub, a gateway and a client may each be late
		29500 * time.Millisecond:   50*time.Second + grace.AfterFault + time.Second, // the second fault began before it was over with the first
		50*time.Second + time.Hour: 51*time.Second + time.Hour,
	} {
		if got := g.Until(from, time.Second); got != want {
			t.Errorf("within a second after %s is until %s, and not %s", from, got, want)
		}
	}
	if g.Touched(0, 29*time.Second) || !g.Touched(44*time.Second, 45*time.Second) || g.Touched(56*time.Second, time.Hour) {
		t.Error("a fault touches what lies from its begin to some time after its end, and nothing else")
	}
}
