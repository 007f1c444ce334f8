// Package outlet is the bytes that wait for one socket: the rest of a shared frame that it took in part, and frames of its
// own. It owns their order: the rest comes first, so that a frame is never cut by another. It queues no shared frame: who
// writes them keeps a cursor. It promises that the link tells of room for more just while something waits.
package outlet

import (
	"errors"

	"github.com/canopychat/canopy/edge/poll"
)

// ErrFull says that a socket's own frames are more than may wait.
var ErrFull = errors.New("the socket does not take its own frames")

// Outlet belongs to the loop of its socket.
type Outlet struct {
	Link poll.Link // set before the first use

	rest []byte // of a shared frame that the socket took in part; never written to
	own  []byte // frames of the socket's own that it has not taken yet
}

// Blocked reports whether bytes wait for the socket.
func (o *Outlet) Blocked() bool { return o.rest != nil || len(o.own) > 0 }

// Cut reports whether a shared frame was taken in part.
func (o *Outlet) Cut() bool { return o.rest != nil }

// Held is how many bytes are kept for the socket.
func (o *Outlet) Held() int { return len(o.rest) + cap(o.own) }

// Push hands shared frames to the socket, which must not be blocked. The result is how many it took; the last of them
// perhaps in part: then it is blocked by what is left of it. Frames after it are not kept.
func (o *Outlet) Push(frames [][]byte) (int, error) {
	n, err := o.Link.Write(frames)
	if err != nil {
		return 0, err
	}
	for i, f := range frames {
		if n >= len(f) {
			n -= len(f)
			continue
		}
		o.rest = f[n:]
		return i + 1, o.Link.WatchWrites(true)
	}
	return len(frames), nil
}

// Say hands a frame of the socket's own to it, or keeps it until the socket takes it: most bytes of them at most, else
// the error is ErrFull. frame is the caller's.
func (o *Outlet) Say(frame []byte, most int) error {
	if o.Blocked() {
		if len(o.own)+len(frame) > most {
			return ErrFull
		}
		o.own = append(o.own, frame...)
		return nil
	}
	n, err := o.Link.Write([][]byte{frame})
	if err != nil || n == len(frame) {
		return err
	}
	o.own = append(o.own, frame[n:]...)
	return o.Link.WatchWrites(true)
}

// Flush writes what waits. moved says that the socket took some of it; it took everything when it is not Blocked then.
func (o *Outlet) Flush() (moved bool, err error) {
	if !o.Blocked() {
		return false, nil
	}
	n, err := o.Link.Write([][]byte{o.rest, o.own})
	if err != nil {
		return false, err
	}
	moved = n > 0
	if n < len(o.rest) {
		o.rest = o.rest[n:]
		return moved, nil
	}
	n -= len(o.rest)
	o.rest = nil
	if n < len(o.own) {
		o.own = append(o.own[:0], o.own[n:]...)
		return moved, nil
	}
	o.own = nil
	return moved, o.Link.WatchWrites(false)
}
