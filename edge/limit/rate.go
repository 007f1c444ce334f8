package limit

import (
	"math"
	"time"
)

// Rate is how much a key may take. A PerSecond of 0 or less, or one that is no number, is no limit.
type Rate struct {
	PerSecond float64 // on average; above 1e9 it counts as 1e9
	Burst     int     // at once, after a pause of Burst/PerSecond; less than 1 counts as 1
}

// Limited reports whether r limits anything.
func (r Rate) Limited() bool { return r.PerSecond > 0 }

// maxSpan bounds every time here, so that no sum of three overflows. A rate below one in maxSpan counts as that.
const maxSpan = 50 * 365 * 24 * time.Hour

// step is the time in which one unit comes back, at least a nanosecond. It is rounded up, so never more than the rate
// is allowed.
func (r Rate) step() time.Duration {
	ns := math.Ceil(float64(time.Second) / r.PerSecond)
	return time.Duration(min(max(ns, 1), float64(maxSpan)))
}

// span is the time in which n units come back, at most maxSpan.
func (r Rate) span(n int) time.Duration {
	step := r.step()
	if int64(n) > int64(maxSpan/step) {
		return maxSpan
	}
	return step * time.Duration(n)
}

func (r Rate) burst() int { return max(r.Burst, 1) }

// Never is the retryAfter of what is more than a burst: it is allowed at no time.
const Never = time.Duration(math.MaxInt64)

// Bucket is how far one key is. The zero Bucket is full: nothing was taken. It belongs to one goroutine.
type Bucket struct {
	full time.Duration // when everything will have come back
	last time.Duration // the latest time that was given: a clock that goes back gives nothing back twice
}

// Take takes n units at now, if they are there. If not, nothing is taken, and retryAfter is how long after now they
// will be, if nothing else is taken meanwhile; Never if n is more than a burst. Without a limit, or for n below 1, it
// always allows. All times of a bucket are counted from one moment of its owner's choice, and are at least 0.
func (b *Bucket) Take(r Rate, n int, now time.Duration) (ok bool, retryAfter time.Duration) {
	if !r.Limited() || n < 1 {
		return true, 0
	}
	if n > r.burst() {
		return false, Never
	}
	given := min(max(now, 0), maxSpan)
	b.last = max(b.last, given)
	after := max(b.full, b.last) + r.span(n)
	if at := after - r.span(r.burst()); at > b.last {
		return false, at - given
	}
	b.full = after
	return true, 0
}

// idle reports whether everything has come back at now: forgetting the bucket changes nothing, if no earlier time is given later.
func (b *Bucket) idle(now time.Duration) bool { return b.full <= now && b.last <= now }
