package session

// MaxQueued is how many sends of one session wait for their answers; one more is refused as rate_limited.
const MaxQueued = 256

// Lane puts what one session sends into an order that retries and elections cannot change. What Take gives goes to the
// log one after the other, each when the one before it has its answer, and nothing else meanwhile. Were two of them on
// their way at once, the first could be lost and sent again after the second was stored.
type Lane[T any] struct {
	waiting []T
	away    int // how many Take gave last; 0: nothing is on its way
}

// Offer takes t, to be given by Take. It is false when MaxQueued are waiting or on their way.
func (l *Lane[T]) Offer(t T) bool {
	if len(l.waiting)+l.away >= MaxQueued {
		return false
	}
	l.waiting = append(l.waiting, t)
	return true
}

// Take gives the next ones to go, at most limit of them, in the order in which they were offered. There are none while
// those that were given before are on their way.
func (l *Lane[T]) Take(limit int) []T {
	if l.away > 0 || len(l.waiting) == 0 {
		return nil
	}
	n := min(limit, len(l.waiting))
	l.away = n
	taken := l.waiting[:n:n]
	if l.waiting = l.waiting[n:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return taken
}

// Return says that what Take gave has its answers, but for rest, which did not go: they are the next ones.
func (l *Lane[T]) Return(rest []T) {
	l.away = 0
	if len(rest) > 0 {
		l.waiting = append(rest[:len(rest):len(rest)], l.waiting...)
	}
}

// Len is how many are waiting; those on their way are not counted.
func (l *Lane[T]) Len() int { return len(l.waiting) }

// Idle reports whether nothing is waiting or on its way.
func (l *Lane[T]) Idle() bool { return l.away == 0 && len(l.waiting) == 0 }
