package gateway

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/poll"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// maxOwn is how many bytes of frames of its own (acks, pongs, errors) may wait for a socket. A client that
// does not read them is closed. The answers to session.MaxQueued sends, of some 300 bytes each, fit.
const maxOwn = 128 << 10

// conn is one socket and its session. It belongs to its loop; away and moved alone are read by others.
type conn struct {
	// Immutable after add.
	loop *loop
	room *room
	id   chat.SessionID
	link poll.Link

	away  atomic.Bool   // the socket has gone: work for it can stop
	moved atomic.Uint32 // counts changes of what the user may do: sends on their way are looked at anew

	sess   session.Session
	member chat.Seq // up to here, and after it at some moment, the directory knew the user as a member of the workspace
	errand uint32   // counts what was asked for the session: only the answer to the last counts
	parser wsconn.Parser
	ahead  map[session.Number]bool // while behind: memberships that the log changes after the cursor
	sends  *session.Lane[request]  // nil while nothing is on its way
	rest   []byte                  // of a shared frame that the socket took in part; never written to
	own    []byte                  // frames of the socket's own that it has not taken yet

	heard     time.Time // when the client last sent anything; while closing: since when
	progress  time.Time // when the socket last took a byte, or was last empty
	closedFor string    // while closing: the reason for the counters
	finished  uint32    // of the parser, when it was last found partial
	turn      uint32    // of the loop, in which a room last had it in hand
	slot      int       // of the wheel
	behind    bool      // the session is not at the room's position, or cannot be written to
	paging    bool      // somebody is reading for it: it waits
	partial   bool      // at the last look, a frame had begun and not ended
	closing   bool      // a close frame was said
	gone      bool
}

// live reports whether the session is at the room's position and takes what comes next.
func (c *conn) live() bool { return !c.behind && !c.closing && !c.gone }

// blocked reports whether bytes wait for the socket.
func (c *conn) blocked() bool { return c.rest != nil || len(c.own) > 0 }

// write hands shared frames to the socket, which must not be blocked. The result is how many it took; the last
// of them perhaps in part: then c is blocked by what is left of it. Frames after it are not kept: the caller's
// cursor stays before them.
func (c *conn) write(frames [][]byte) int {
	n, err := c.link.Write(frames)
	if err != nil {
		c.loop.drop(c, reasonClient)
		return 0
	}
	for i, f := range frames {
		if n >= len(f) {
			n -= len(f)
			continue
		}
		c.loop.gw.counts.Delivered.Add(uint64(i))
		c.rest = f[n:]
		c.block()
		return i + 1
	}
	c.loop.gw.counts.Delivered.Add(uint64(len(frames)))
	return len(frames)
}

// sayOwn hands a frame of the socket's own to it, or keeps it until the socket takes it. frame is the caller's.
func (c *conn) sayOwn(frame []byte) {
	if c.gone {
		return
	}
	if c.blocked() {
		if len(c.own)+len(frame) > maxOwn {
			c.loop.drop(c, string(fault.SlowReader))
			return
		}
		c.own = append(c.own, frame...)
		return
	}
	n, err := c.link.Write([][]byte{frame})
	if err != nil {
		c.loop.drop(c, reasonClient)
		return
	}
	if n < len(frame) {
		c.own = append(c.own, frame[n:]...)
		c.block()
	}
}

// block notes that bytes wait: the session falls behind where the room stands.
func (c *conn) block() {
	c.progress = c.loop.now
	if !c.behind && !c.closing {
		c.behind = true
		c.sess.Move(c.room.pos)
		c.loop.gw.counts.Behind.Add(1)
	}
	if err := c.link.WatchWrites(true); err != nil {
		c.loop.drop(c, reasonClient)
	}
}

// flush writes what waits. It reports whether the socket has taken everything.
func (c *conn) flush() bool {
	if !c.blocked() {
		return !c.gone
	}
	bufs := [][]byte{c.rest, c.own}
	n, err := c.link.Write(bufs)
	if err != nil {
		c.loop.drop(c, reasonClient)
		return false
	}
	if n > 0 {
		c.progress = c.loop.now
	}
	if n < len(c.rest) {
		c.rest = c.rest[n:]
		return false
	}
	n -= len(c.rest)
	c.rest = nil
	if n < len(c.own) {
		c.own = append(c.own[:0], c.own[n:]...)
		return false
	}
	c.own = nil
	if err := c.link.WatchWrites(false); err != nil {
		c.loop.drop(c, reasonClient)
		return false
	}
	return true
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
		c.loop.drop(c, reasonClient)
	}
}

// reasonClient counts sockets that the client, or the network, ended.
const reasonClient = "client"
