package door

import "time"

// Pacer lets in so many a second, and gives everybody else a place in a queue that nobody stands in: the time at which
// their turn would be. A crowd of n is in after about n/Rate, whatever order it comes in. The zero Pacer lets everybody
// in. It is pure: whoever owns it locks and has the clock.
type Pacer struct {
	Rate  float64 // a second
	Burst int     // at once, when nobody came for a while; at least 1

	next time.Time // when everybody let in so far will have been within the rate
	tail time.Time // the last place that was given
}

// longestWait is the longest that anybody is told to wait: who comes back then and finds a queue waits again.
const longestWait = 2 * time.Minute

// Take asks for one to be let in now. 0: it is. Otherwise it is how long from now its place is.
func (p *Pacer) Take(now time.Time) (wait time.Duration) {
	if p.Rate <= 0 {
		return 0
	}
	each := time.Duration(float64(time.Second) / p.Rate)
	burst := time.Duration(max(1, p.Burst)) * each
	if p.next.Before(now) {
		p.next = now
	}
	if next := p.next.Add(each); next.Sub(now) <= burst {
		p.next = next
		return 0
	}
	if p.tail.Before(now) {
		p.tail = now
	}
	if p.tail = p.tail.Add(each); p.tail.Sub(now) > longestWait {
		p.tail = now.Add(longestWait)
	}
	return max(p.tail.Sub(now), each, time.Millisecond)
}

// leastWait is the shortest that anybody is told to wait: a connection costs more than that.
const leastWait = 100 * time.Millisecond

// Spread is a wait with some chance in it, which grows with the wait: clients that were told the same moment, by two
// gateways or in one millisecond, come apart. chance is in [0, 1).
func Spread(wait time.Duration, chance float64) time.Duration {
	spread := leastWait + wait*3/4 + time.Duration(chance*float64(wait)/2)
	return spread.Round(time.Millisecond)
}
