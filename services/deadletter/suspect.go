package deadletter

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// sample is how far a consumer had come at one moment.
type sample struct {
	at          time.Time
	floor       chat.Seq
	delivered   chat.Seq
	redelivered int           // with those that were given up and are still in the stream (nats-server consumer.go, hasMaxDeliveries)
	dying       time.Duration // from the second delivery of an event until it is given up
	once        bool          // it is given up after one delivery
}

// suspects is what is not known to be whole of a consumer. An event that the server gives up is outstanding from its first
// delivery on, and the floor is below it as long. So whoever looks often enough sees, before it ends, a floor that is below what
// was handed out a threshold ago. Everything up to there is suspect then; nothing else can have been given up.
//
// It has no clock and no I/O.
type suspects struct {
	mark chat.Seq // nothing up to here lacks its end or its letter
	upto chat.Seq // from mark to here it is suspect, if this is above mark

	past  []sample // rising; the first is the latest that is older than the threshold
	offer *offer   // the next mark, if notes of everything up to there are handled
}

// offer is a floor that was seen before ADVISORIES was seen to end at needs.
type offer struct{ floor, needs chat.Seq }

// threshold is how long an event is outstanding before it is suspect: a third of the time that it takes to die, so that there are
// looks enough.
func (s sample) threshold(longest time.Duration) time.Duration {
	if s.dying > 0 {
		return min(longest, s.dying/3)
	}
	return longest
}

// look takes a sample, and reports whether there are more suspects than before.
func (u *suspects) look(s sample, longest time.Duration) (more bool) {
	before := max(u.upto, u.mark)
	threshold := s.threshold(longest)
	if s.floor < u.mark { // the consumer, or its stream, was made anew: it is handed everything again
		*u = suspects{mark: s.floor}
		before = s.floor
	}
	switch n := len(u.past); {
	case n == 0, s.at.Sub(u.past[n-1].at) > threshold, s.once: // nobody looked
		u.past = nil
		u.upto = max(u.upto, s.delivered)
	}
	u.past = append(u.past, s)
	for len(u.past) > 1 && s.at.Sub(u.past[1].at) >= threshold {
		u.past = u.past[1:]
	}
	if old := u.past[0]; s.at.Sub(old.at) >= threshold && s.floor < old.delivered && s.redelivered > 0 {
		u.upto = max(u.upto, old.delivered)
	}
	return u.upto > before
}

// doubt makes everything suspect that was handed out.
func (u *suspects) doubt() {
	if n := len(u.past); n > 0 {
		u.upto, u.offer = max(u.upto, u.past[n-1].delivered), nil
	}
}

// open is the suspects that have their outcome and can be looked up; to before from: none.
func (u *suspects) open() (from, to chat.Seq) {
	if len(u.past) == 0 {
		return 1, 0
	}
	return u.mark + 1, min(u.upto, u.past[len(u.past)-1].floor)
}

// clear says that everything up to a position is whole or has its letter.
func (u *suspects) clear(to chat.Seq) { u.mark = max(u.mark, to) }

// tell moves the mark to where all notes are handled: ADVISORIES was seen to end at last after the last sample, and all up to handled
// became letters. It reports whether the mark moved.
func (u *suspects) tell(last, handled chat.Seq) bool {
	moved := false
	if u.upto > u.mark || len(u.past) == 0 {
		u.offer = nil // evidence comes first
		return false
	}
	if u.offer != nil && handled >= u.offer.needs {
		moved = u.offer.floor > u.mark
		u.mark, u.offer = max(u.mark, u.offer.floor), nil
	}
	if floor := u.past[len(u.past)-1].floor; u.offer == nil && floor > u.mark {
		u.offer = &offer{floor, last}
	}
	return moved
}
