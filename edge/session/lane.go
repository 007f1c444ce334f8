package session

// MaxQueued is how many sends of one session wait for their turn; one more is refused as rate_limited.
const MaxQueued = 256

// Lane puts what one session sends into an order that retries and elections cannot change: the next goes to
// the log when the one before it has its answer. Were two of them on their way at once, the first could be
// lost and sent again after the second was stored.
type Lane[T any] struct {
	waiting []T
	busy    bool
}

// Offer takes t. start says that it goes at once; otherwise Next gives it later. It is refused (false, false)
// when MaxQueued are waiting.
func (l *Lane[T]) Offer(t T) (start, taken bool) {
	if !l.busy {
		l.busy = true
		return true, true
	}
	if len(l.waiting) >= MaxQueued {
		return false, false
	}
	l.waiting = append(l.waiting, t)
	return false, true
}

// Next says that the one on its way has its answer, and gives the one that goes now.
func (l *Lane[T]) Next() (t T, ok bool) {
	if len(l.waiting) == 0 {
		l.busy, l.waiting = false, nil
		return t, false
	}
	t = l.waiting[0]
	var none T
	l.waiting[0] = none
	l.waiting = l.waiting[1:]
	return t, true
}

// Idle reports whether nothing is waiting or on its way.
func (l *Lane[T]) Idle() bool { return !l.busy }
