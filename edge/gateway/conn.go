package gateway

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/courier"
	"github.com/canopychat/canopy/edge/outlet"
	"github.com/canopychat/canopy/edge/readmark"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/tally"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// maxOwn is how many bytes of frames of its own (acks, pongs, errors) may wait for a socket. A client that
// does not read them is closed. The answers to session.MaxQueued sends, of some 300 bytes each, fit.
const maxOwn = 128 << 10

// conn is one socket and its session. It belongs to its loop; away and moved alone are read by others.
type conn struct {
	// Immutable after add.
	loop   *loop
	room   *room
	id     chat.SessionID
	signIn token.SignInID

	away  atomic.Bool   // the socket has gone: work for it can stop
	moved atomic.Uint32 // counts changes of what the user may do: sends on their way are looked at anew

	sess   session.Session
	role   chat.Role // the newest: it counts for what the user sends, also while the session is behind
	roleAt chat.Seq  // as of which it is that
	member chat.Seq  // up to here, and after it at some moment, the directory knew the user as a member of the workspace
	errand uint32    // counts what was asked for the session: only the answer to the last counts
	parser wsconn.Parser
	ahead  map[session.Number]bool        // while behind: memberships that the log changes after the cursor
	sends  *session.Lane[courier.Request] // nil while nothing is on its way
	queued int                            // bytes of what is in sends
	frames session.Meter                  // of what the client sends
	bytes  session.Meter
	watch  []chat.UserID  // whose presence the client asked for
	marks  *readmark.Lane // of what the client says it has read; nil while there is nothing
	given  chat.Seq       // up to where the device has everything, as far as the client said so; 0: it said nothing
	out    outlet.Outlet  // to the client
	held   int            // bytes that the gateway counts for it: see account

	heard     time.Time // when the client last sent anything; while closing: since when
	progress  time.Time // when the socket last took a byte, or was last empty
	closedFor string    // while closing: the reason for the counters
	finished  uint32    // of the parser, when it was last found partial
	turn      uint32    // of the loop, in which a room last had it in hand
	slot      int       // of the wheel
	behind    bool      // the session is not at the room's position, or cannot be written to
	asking    bool      // a presence.query is on its way
	paging    bool      // somebody is reading for it: it waits
	partial   bool      // at the last look, a frame had begun and not ended
	closing   bool      // a close frame was said
	stale     bool      // read marks may have moved unseen, and the client is to be told
	gone      bool
}

// live reports whether the session is at the room's position and takes what comes next.
func (c *conn) live() bool { return !c.behind && !c.closing && !c.gone }

// lag puts the session behind, or at the room's position, and counts it.
func (c *conn) lag(behind bool) {
	if c.behind == behind {
		return
	}
	c.behind = behind
	if behind {
		c.loop.gw.counts.BehindNow.Add(1)
	} else {
		c.loop.gw.counts.BehindNow.Add(-1)
	}
}

// account tells the gateway what is held for the socket now.
func (c *conn) account() {
	held := c.out.Held() + c.queued
	if c.gone {
		held = 0
	}
	if held != c.held {
		c.loop.gw.held.Add(int64(held - c.held))
		c.held = held
	}
}

// write hands shared frames to the socket, which must not be blocked. The result is how many it took; the last
// of them perhaps in part: then c is blocked by what is left of it. Frames after it are not kept: the caller's
// cursor stays before them.
func (c *conn) write(frames [][]byte) int {
	taken := c.push(frames)
	whole := taken
	if taken > 0 && c.out.Cut() {
		whole--
	}
	c.loop.gw.counts.Delivered.Add(uint64(whole))
	return taken
}

// push is write for frames that are no events.
func (c *conn) push(frames [][]byte) int {
	taken, err := c.out.Push(frames)
	if err != nil {
		c.loop.drop(c, tally.Client)
	} else if c.out.Blocked() {
		c.block()
	}
	return taken
}

// sayOwn hands a frame of the socket's own to it, or keeps it until the socket takes it. frame is the caller's.
func (c *conn) sayOwn(frame []byte) {
	if c.gone {
		return
	}
	was, most := c.out.Blocked(), maxOwn
	if c.loop.gw.held.Load() > c.loop.gw.cfg.MaxBytes {
		most = 0
	}
	switch err := c.out.Say(frame, most); {
	case errors.Is(err, outlet.ErrFull):
		c.loop.drop(c, string(fault.SlowReader))
	case err != nil:
		c.loop.drop(c, tally.Client)
	case was:
		c.account()
	case c.out.Blocked():
		c.block()
	}
}

// block notes that bytes wait: the session falls behind where the room stands.
func (c *conn) block() {
	c.progress = c.loop.now
	c.account()
	if !c.behind && !c.closing {
		c.lag(true)
		c.sess.Move(c.room.pos)
		c.loop.gw.counts.Behind.Add(1)
	}
}

// flush writes what waits. It reports whether the socket has taken everything.
func (c *conn) flush() bool {
	moved, err := c.out.Flush()
	if err != nil {
		c.loop.drop(c, tally.Client)
		return false
	}
	if moved {
		c.progress = c.loop.now
		c.account()
	}
	return !c.gone && !c.out.Blocked()
}

// sayClose writes the close frame.
func (c *conn) sayClose(code int, reason string) {
	c.loop.scratch.own = wsconn.AppendClose(c.loop.scratch.own[:0], code, reason)
	c.sayOwn(c.loop.scratch.own)
}

// ping asks the client whether it is there.
func (c *conn) ping() {
	c.loop.scratch.own = wsconn.AppendPing(c.loop.scratch.own[:0], nil)
	c.sayOwn(c.loop.scratch.own)
}

// dawdles reports whether the same frame has been partial since the last look, which was a heartbeat ago.
func (c *conn) dawdles() bool {
	was, finished := c.partial, c.finished
	c.partial, c.finished = c.parser.Partial(), c.parser.Finished()
	return was && c.partial && finished == c.finished
}

// Take is poll.Handler.
func (c *conn) Take(data []byte) {
	if !c.gone {
		c.loop.feed(c, data)
	}
}

// Writable is poll.Handler.
func (c *conn) Writable() { c.loop.pump(c) }

// Ended is poll.Handler.
func (c *conn) Ended(err error) {
	switch {
	case c.closing:
		c.loop.drop(c, c.closedFor)
	case errors.Is(err, os.ErrDeadlineExceeded): // of a stream's writer
		c.loop.drop(c, string(fault.SlowReader))
	default:
		c.loop.drop(c, tally.Client)
	}
}
