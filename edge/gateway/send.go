package gateway

import (
	"context"

	"github.com/canopychat/canopy/edge/courier"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/tally"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// burst is how many sends of one session go to the log, one after the other, before the loop is asked for more:
// while it writes the first one to a thousand sockets, the others are stored already, and go out together.
const burst = 16

// send takes a frame that asks for an event. It goes when everything that came with it has been read (launch).
func (l *loop) send(c *conn, in wire.Inbound) {
	if err := l.mayQueue(c, &in); err != nil {
		l.refuse(c, &in, err)
		return
	}
	req := courier.NewRequest(in, c.sess.UserID, c.room.feed.Place())
	if c.sends == nil {
		c.sends = new(session.Lane[courier.Request])
	}
	if !c.sends.Offer(req) {
		l.refuse(c, &in, fault.New(fault.RateLimited, "%d sends are waiting for their answers already", session.MaxQueued).After(busyPause))
		return
	}
	c.queued += courier.Size(&req.Change)
	c.account()
}

// mayQueue says why a send is refused before it has cost anything.
func (l *loop) mayQueue(c *conn, in *wire.Inbound) error {
	g := l.gw
	switch {
	case g.draining.Load(): // so that what is on its way comes to an end
		return errMoving()
	case g.crowded():
		return fault.New(fault.Unavailable, "too much is on its way").After(busyPause)
	case g.to.Gate == nil:
		return nil
	}
	if err := g.to.Gate.User(c.sess.UserID); err != nil {
		return err
	}
	return g.to.Gate.Channel(in.ChannelID)
}

// launch brings what waits in a session's lane to the log, unless something of it is on its way.
func (l *loop) launch(c *conn) {
	if c.sends == nil || c.gone || c.closing {
		return
	}
	if next := l.take(c); next != nil {
		if !l.gw.courier.Book() {
			l.turnBack(c, next)
			return
		}
		l.submit(c, next)
	}
}

// take is what goes next of a session's lane, with what its user is towards the channels now.
func (l *loop) take(c *conn) []courier.Request {
	next := c.sends.Take(burst)
	for i := range next {
		next[i].Change.Standing = l.standing(c, next[i].Change.ChannelID)
	}
	return next
}

// turnBack refuses sends because too many of others are on their way.
func (l *loop) turnBack(c *conn, refused []courier.Request) {
	for i := range refused {
		l.answer(c, refused[i], event.Receipt{}, fault.New(fault.Unavailable, "too many sends are on their way").After(busyPause))
	}
	l.post(func() { // in a turn of its own: a long lane must not be refused in one deep recursion
		if c.sends != nil {
			c.sends.Return(nil)
			l.launch(c)
		}
	})
}

// submit brings sends to the log on a goroutine of its own, in the place that the courier gave. The next of the lane
// follow in its place when it has its answers, so Drain, which waits until none is on its way, waits for whole lanes.
// After one that failed, and when what the user may do has changed meanwhile, the loop looks at the rest again.
func (l *loop) submit(c *conn, next []courier.Request) {
	g, place, asOf := l.gw, c.room.feed.Place(), c.moved.Load()
	g.counts.SendsTaken.Add(uint64(len(next)))
	started := g.begin(func(ctx context.Context) {
		for i := range next {
			receipt, err := g.courier.Submit(ctx, place, next[i].Change)
			end := i == len(next)-1 || err != nil || c.away.Load() || c.moved.Load() != asOf
			posted := l.post(func() {
				l.answer(c, next[i], receipt, err)
				if end {
					l.goOn(c, next[i+1:])
				}
			})
			if !posted {
				g.courier.Free()
				return
			}
			if end {
				return
			}
		}
	})
	if !started {
		g.courier.Free()
	}
}

// goOn ends a burst, of which rest did not go, and launches the next one in its place.
func (l *loop) goOn(c *conn, rest []courier.Request) {
	if c.gone || c.closing || c.sends == nil {
		if c.sends != nil { // what waits was never on its way
			c.sends.Return(rest)
			l.gw.counts.Dropped.Add(tally.SendAbandoned, uint64(c.sends.Len()))
		}
		c.sends, c.queued = nil, 0
		c.account()
		l.gw.courier.Free()
		return
	}
	c.sends.Return(rest)
	if next := l.take(c); next != nil {
		l.submit(c, next)
		return
	}
	c.sends = nil
	l.gw.courier.Free()
}

// standing is what the user is towards a channel now: at the room's position, also when the session is behind it.
func (l *loop) standing(c *conn, id chat.ChannelID) chat.Standing {
	n, known := c.room.channels.Lookup(id)
	if !known {
		return chat.Standing{}
	}
	standing := c.sess.Standing(n, c.room.channels.At(n))
	standing.Role = c.role
	if in, ok := c.ahead[n]; ok {
		standing.InIt = in
	}
	return standing
}

// answer tells the client what became of a send.
func (l *loop) answer(c *conn, req courier.Request, receipt event.Receipt, err error) {
	c.queued = max(0, c.queued-courier.Size(&req.Change))
	c.account()
	if err != nil {
		l.refuse(c, &req.About, err)
		return
	}
	l.say(c, func(dst []byte) []byte { return req.AppendAck(dst, receipt) })
}
