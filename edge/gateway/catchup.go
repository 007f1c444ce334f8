package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// Why a session is opened again where it stands.
const (
	reopenGap     = wire.ResyncGap
	reopenExpired = wire.ResyncExpired
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// pump lets a socket take what waits for it, and its session read on, until it is live or blocked.
func (l *loop) pump(c *conn) {
	if c.gone || !c.flush() {
		return
	}
	if c.closing {
		c.shutdownWrites()
		return
	}
	for range pumpSteps {
		if !c.behind || c.paging || c.gone || c.closing || c.blocked() {
			return
		}
		if !c.room.readOn(c) {
			return
		}
	}
	l.post(func() { l.pump(c) }) // the others have their turn first
}

// readOn is one step of a session that is behind. It reports whether another step makes sense.
func (r *room) readOn(c *conn) bool {
	pos := c.sess.Cursor()
	entries, reach := r.feed.After(pos, pumpEntries)
	if reach.Generation != r.generation {
		return false // the room is about to begin it, and opens every session again
	}
	if reach.Floor > pos {
		r.fetch(c, pos)
		return false
	}
	for i, e := range entries {
		if e.Seq > r.pos { // not yet the room's: it comes when the session is live
			entries = entries[:i]
			break
		}
	}
	if len(entries) == 0 {
		c.sess.Move(r.pos)
		c.behind, c.ahead = false, nil
		return false
	}
	return r.walk(c, entries)
}

// walk lets a session that is behind read entries. It reports whether it read them all.
func (r *room) walk(c *conn, entries []*fanout.Entry) bool {
	for i := 0; i < len(entries); {
		j := i
		for j < len(entries) && session.Plain(entries[j]) {
			j++
		}
		if j > i {
			r.give(c, entries[i:j])
			i = j
		} else {
			e := entries[i]
			if e.Seq <= r.pos { // what the room has not come to, it notes itself
				r.channels.Note(e)
			}
			r.show(c, e, r.numberOf(e))
			i++
		}
		if c.gone || c.closing || c.blocked() {
			return false
		}
	}
	return true
}

// fetch has a page of the log read for a session that is behind the ring.
func (r *room) fetch(c *conn, pos chat.Seq) {
	l := r.loop
	c.paging = true
	l.gw.begin(func(ctx context.Context) {
		var page fanout.Page
		err := l.gw.insist(ctx, c, func(ctx context.Context) (err error) {
			page, err = r.feed.Page(ctx, pos)
			return err
		}, fanout.ErrExpired)
		l.post(func() { r.takePage(c, page, err) })
	})
}

func (r *room) takePage(c *conn, page fanout.Page, err error) {
	c.paging = false
	switch {
	case c.gone || c.closing:
	case errors.Is(err, fanout.ErrExpired):
		r.reopen(c, reopenExpired)
	case err != nil:
		// The gateway is stopping: it closes the socket.
	default:
		r.loop.gw.counts.Pages.Add(1)
		if r.walk(c, page.Entries) {
			c.sess.Move(page.Next)
		}
		r.loop.pump(c)
	}
}

// reopen puts a session at the head, because what lies between cannot be given: joins and leaves may lie there
// too, so what the user is in is asked anew. The client is told to resync.
func (r *room) reopen(c *conn, reason wire.ResyncReason) {
	if c.gone || c.closing {
		return
	}
	l := r.loop
	c.behind, c.paging = true, true
	user, place := c.sess.UserID, r.feed.Place()
	l.gw.begin(func(ctx context.Context) {
		var o opened
		err := l.gw.insist(ctx, c, func(ctx context.Context) (err error) {
			o, err = l.gw.snapshot(ctx, r.feed, place, user, 0)
			return err
		}, errMoved)
		l.post(func() { r.placeAgain(c, o, reason, err) })
	})
}

func (r *room) placeAgain(c *conn, o opened, reason wire.ResyncReason, err error) {
	c.paging = false
	switch {
	case c.gone || c.closing:
		return
	case fault.Is(err, fault.NotFound):
		r.loop.close(c, fault.Forbidden, "no longer a member of this workspace")
		return
	case err != nil:
		r.loop.close(c, fault.Moving, "the workspace has moved")
		return
	}
	for r.pos < o.head && r.advance() {
	}
	for _, n := range c.sess.Channels() {
		r.part(c, n)
	}
	r.place(c, o)
	r.loop.resync(c, reason, o.head)
	r.loop.pump(c)
}

// insist does something until it succeeds or fails for good: with the error final, or with one that a user may
// read and that asking again does not cure. It gives up when the socket has gone or the gateway stops.
func (g *Gateway) insist(ctx context.Context, c *conn, do func(context.Context) error, final error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := do(ctx)
		if err == nil || errors.Is(err, final) || fault.Is(err, fault.NotFound) || c.away.Load() {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
