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
		c.link.ShutdownWrites()
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
	entries = r.reached(entries)
	if len(entries) == 0 {
		c.sess.Move(r.pos)
		c.behind, c.ahead = false, nil
		return false
	}
	return r.walk(c, entries)
}

// reached is the entries that the room has come to. What follows comes to a session that is live then: no session
// is ever before its room.
func (r *room) reached(entries []*fanout.Entry) []*fanout.Entry {
	for i, e := range entries {
		if e.Seq > r.pos {
			return entries[:i]
		}
	}
	return entries
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
			r.channels.Note(e) // the room may have been overrun by it
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
	c.errand++
	errand := c.errand
	l.gw.begin(func(ctx context.Context) {
		var page fanout.Page
		err := l.gw.insist(ctx, c, func(ctx context.Context) (err error) {
			page, err = r.feed.Page(ctx, pos)
			return err
		}, fanout.ErrExpired)
		l.post(func() {
			if c.errand == errand { // or the session was opened again since
				r.takePage(c, page, err)
			}
		})
	})
}

func (r *room) takePage(c *conn, page fanout.Page, err error) {
	c.paging = false
	switch {
	case c.gone || c.closing:
	case errors.Is(err, fanout.ErrExpired):
		r.reopen(c, reopenExpired)
	case err != nil: // the gateway is stopping
		r.loop.close(c, fault.Moving, "restarting")
	default:
		r.loop.gw.counts.Pages.Add(1)
		if r.walk(c, r.reached(page.Entries)) {
			c.sess.Move(min(page.Next, r.pos))
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
	c.errand++
	errand := c.errand
	user := c.sess.UserID
	l.gw.begin(func(ctx context.Context) {
		var o opened
		err := l.gw.insist(ctx, c, func(ctx context.Context) (err error) {
			o, err = l.gw.snapshot(ctx, r.feed, user, chat.MaxSeq)
			return err
		}, errMoved)
		l.post(func() {
			for err == nil && r.pos < o.head && r.advance() { // which may open the session once more, or end it
			}
			if c.errand == errand {
				r.placeAgain(c, o, reason, err)
			}
		})
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
	for _, n := range c.sess.Channels() {
		r.part(c, n)
	}
	r.place(c, o)
	r.loop.resync(c, reason, o.head)
	r.loop.pump(c)
}

// maxErrands is how many questions to the log and to the directory are on their way at once for sessions that are
// open: what their answers hold in memory is bounded, however many fell behind.
const maxErrands = 64

// attempt does something in its turn, within openTimeout.
func (g *Gateway) attempt(ctx context.Context, do func(context.Context) error) error {
	select {
	case g.errands <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.errands }()
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return do(ctx)
}

// insist does something until it succeeds or fails for good: with the error final, or with one that a user may
// read and that asking again does not cure. It gives up when the socket has gone or the gateway stops.
func (g *Gateway) insist(ctx context.Context, c *conn, do func(context.Context) error, final error) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := g.attempt(ctx, do)
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
