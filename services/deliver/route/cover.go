package route

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
)

// ActiveFor is how long somebody counts as active after a device of theirs confirmed something: whom @here reaches.
const ActiveFor = 10 * time.Minute

// Covers reports whether a cursor has come to a message. Seqs rise over all epochs of a workspace, so who confirms an old message in
// a later epoch has not got what came between.
func Covers(c, message chat.Cursor) bool { return c.Epoch >= message.Epoch && c.Seq >= message.Seq }

// CoveredBy finds the device of a user that told first that it has a message; nil: none has.
func CoveredBy(devices []store.DeviceCursor, message chat.Cursor) *store.DeviceCursor {
	var first *store.DeviceCursor
	for i := range devices {
		d := &devices[i]
		if Covers(d.Cursor, message) && (first == nil || d.At.Before(first.At)) {
			first = d
		}
	}
	return first
}

// Active reports whether one of a user's devices confirmed something from ActiveFor before a moment on. A router that is behind
// also sees what was confirmed since.
func Active(devices []store.DeviceCursor, at time.Time) bool {
	for _, d := range devices {
		if !d.At.Before(at.Add(-ActiveFor)) {
			return true
		}
	}
	return false
}
