package gateway

import (
	"context"
	"errors"

	"github.com/canopychat/canopy/edge/door"
	"github.com/canopychat/canopy/edge/errand"
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

// pump lets a socket take what waits for it, and its session read on, until it is live or blocked.
func (l *loop) pump(c *conn) {
	if c.gone || !c.flush() {
		return
	}
	if c.closing {
		c.out.Link.ShutdownWrites()
		return
	}
	for range pumpSteps {
		if !c.behind || c.paging || c.gone || c.closing || c.out.Blocked() {
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
		c.lag(false)
		c.ahead = nil
		r.loop.tellStale(c)
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
			r.noteRole(c, e)   // as above
			r.show(c, e, r.numberOf(e))
			if e.Seq > c.member && e.ChannelID != "" && e.Event.UserID == c.sess.UserID {
				r.loop.tellChannels(c)
			}
			i++
		}
		if c.gone || c.closing || c.out.Blocked() {
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
	asked := c.errand
	l.gw.begin(func(ctx context.Context) {
		var page fanout.Page
		err := l.gw.desk.Insist(ctx, errand.Errand{Final: fanout.ErrExpired, Gone: c.away.Load, Do: func(ctx context.Context) (err error) {
			page, err = r.feed.Page(ctx, pos)
			return err
		}})
		l.post(func() {
			if c.errand == asked { // or the session was opened again since
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
	c.lag(true)
	c.paging = true
	c.errand++
	asked := c.errand
	user := c.sess.UserID
	l.gw.begin(func(ctx context.Context) {
		var o door.Opened
		err := l.gw.desk.Insist(ctx, errand.Errand{Final: door.ErrMoved, Gone: c.away.Load, Do: func(ctx context.Context) (err error) {
			o, err = l.gw.door.Snapshot(ctx, r.feed, user)
			return err
		}})
		l.post(func() {
			for err == nil && r.pos < o.Head && r.advance() { // which may open the session once more, or end it
			}
			if c.errand == asked {
				r.placeAgain(c, o, reason, err)
			}
		})
	})
}

func (r *room) placeAgain(c *conn, o door.Opened, reason wire.ResyncReason, err error) {
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
		r.members.Part(n, c)
	}
	r.place(c, o)
	r.loop.tellChannels(c)
	r.loop.resync(c, reason, o.Head)
	r.loop.pump(c)
}
