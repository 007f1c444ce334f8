package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/session"
)

func TestMeter(t *testing.T) {
	pace := session.Pace{PerSecond: 10, Burst: 5}
	var m session.Meter
	for i := range 5 {
		if v, _ := m.Charge(0, 1, pace); v != session.Within {
			t.Fatalf("%d of the burst: %d", i, v)
		}
	}
	v, wait := m.Charge(0, 1, pace)
	if v != session.Over || wait != 200*time.Millisecond { // the one that was refused counts, and one more must fit
		t.Errorf("one too many: %d, wait %v", v, wait)
	}
	if v, _ := m.Charge(wait, 1, pace); v != session.Within {
		t.Errorf("after the wait: %d", v)
	}
	for i := range 100 {
		if v, _ = m.Charge(time.Second, 1, pace); v == session.Beyond {
			if i < 20 {
				t.Errorf("beyond after %d", i)
			}
			break
		}
	}
	if v != session.Beyond {
		t.Error("never beyond")
	}
	if v, _ := m.Charge(time.Hour, 5, pace); v != session.Within {
		t.Errorf("an hour later: %d", v)
	}
	var unbounded session.Meter
	if v, _ := unbounded.Charge(0, 1e12, session.Pace{}); v != session.Within {
		t.Error("the zero Pace is a limit")
	}
}

// Whatever comes, what is let in stays within the pace, and who keeps to the waits is never beyond it.
func TestAMeterKeepsThePace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pace := session.Pace{PerSecond: rapid.Float64Range(0.5, 1000).Draw(t, "rate"), Burst: float64(rapid.IntRange(1, 50).Draw(t, "burst"))}
		var m session.Meter
		var now time.Duration
		let := 0.0
		for range rapid.IntRange(1, 200).Draw(t, "length") {
			now += time.Duration(rapid.IntRange(0, 100).Draw(t, "ms")) * time.Millisecond
			v, wait := m.Charge(now, 1, pace)
			switch v {
			case session.Within:
				let++
			case session.Over:
				now += wait + time.Microsecond
				if v, _ := m.Charge(now, 1, pace); v != session.Within {
					t.Fatalf("after the wait it is %d", v)
				}
				let++
			case session.Beyond:
				t.Fatal("beyond, although it waits")
			}
			if most := pace.Burst + now.Seconds()*pace.PerSecond + 1e-3; let > most {
				t.Fatalf("%v were let in, of %v", let, most)
			}
		}
	})
}
