package session

import "time"

// Pace is how much may come, and how much of it at once. The zero Pace is no limit.
type Pace struct {
	PerSecond float64
	Burst     float64
}

// Meter measures what one socket sends against a Pace, as a leaky bucket that holds one number (GCRA). Unlike a bucket
// that lets nothing in when it is full, it counts what it refuses too: who goes on is not let in, and is seen to go on.
type Meter struct{ due time.Duration } // when all that came will have been within the pace

// Verdict is what a Meter says of what came.
type Verdict uint8

// The verdicts.
const (
	Within Verdict = iota // it is within the pace
	Over                  // it is to be refused
	Beyond                // several bursts over: who sends it does not listen
)

// farBeyond is how many bursts over the pace somebody is beyond it.
const farBeyond = 4

// Charge notes that n came at a moment, told as the time since any fixed one. wait is, when it is Over, in how long one
// more is within the pace.
func (m *Meter) Charge(now time.Duration, n float64, p Pace) (v Verdict, wait time.Duration) {
	if p.PerSecond <= 0 {
		return Within, 0
	}
	burst := time.Duration(max(1, p.Burst) / p.PerSecond * float64(time.Second))
	m.due = max(m.due, now) + time.Duration(n/p.PerSecond*float64(time.Second))
	switch over := m.due - now - burst; {
	case over <= 0:
		return Within, 0
	case over > farBeyond*burst:
		return Beyond, over
	default:
		return Over, over + time.Duration(float64(time.Second)/p.PerSecond)
	}
}
