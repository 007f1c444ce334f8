package ingest

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// mayBeOld reports whether a post with this id may have been stored so long ago that the log has forgotten
// its Msg-Id: then it is looked up before it is published. window is how long the log remembers.
//
// The log forgets window after the first send was stored. What we know of that moment is the time in the
// id, by the client's clock, which may be ahead of ours by some skew (behind it does no harm: the id looks
// older than it is). An id that was made at a true time T reads T+skew, so at the true time now its age
// looks like now-T-skew. We look up from an apparent age of window/2 on: then an id that is truly older
// than window is always looked up while skew < window/2. The other half also pays for the time that a send
// spends between this question and the log, at most the publisher's budget.
//
// A client whose clock is ahead by more makes ids from the future. Those are looked up as well, from
// window/8 on, so that such a client's usual resend (which comes soon) is recognised for as long as its id
// is still in our future. What remains is a resend, without retry set, in the short time when our clock
// passes the id's: nothing in an id can show that. DESIGN §9 gives clients retry for it, and the ts of
// every ack by which they can correct their clock.
func mayBeOld(id chat.ClientMsgID, retry bool, now time.Time, window time.Duration) bool {
	made, ok := id.Time()
	if retry || !ok {
		return true
	}
	age := now.Sub(made)
	return age > window/2 || age < -window/8
}

// madeSince is a time that the first send of this id was certainly not stored before, by the same
// reasoning; false when the id does not tell.
func madeSince(id chat.ClientMsgID, now time.Time, window time.Duration) (time.Time, bool) {
	made, ok := id.Time()
	if !ok || made.Sub(now) > window/8 {
		return time.Time{}, false
	}
	return made.Add(-window / 2), true
}
