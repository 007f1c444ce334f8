package gateway

import (
	"context"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/wire"
)

const (
	// burst is how many sends of one session go to the log, one after the other, before the loop is asked for more:
	// while it writes the first one to a thousand sockets, the others are stored already, and go out together.
	burst = 16
	// busyPause is when a refused send is worth trying again.
	busyPause = time.Second
)

// request is a change on its way to the log, and what its answer must name.
type request struct {
	change event.Change
	about  wire.Inbound // without its text
}

// send takes a frame that asks for an event. It goes when everything that came with it has been read (launch).
func (l *loop) send(c *conn, in wire.Inbound) {
	if l.gw.draining.Load() { // so that what is on its way comes to an end
		l.refuse(c, &in, errMoving())
		return
	}
	place := c.room.feed.Place()
	req := request{about: in, change: event.Change{
		Kind: in.Kind(), Workspace: place.WorkspaceID, Shard: place.Shard, Epoch: place.Epoch,
		ChannelID: in.ChannelID, UserID: c.sess.UserID,
		ClientMsgID: in.ClientMsgID, Retry: in.Retry, MessageSeq: in.Seq, Thread: in.Thread,
		Body: in.Body, Emoji: in.Emoji, Attachments: in.Attachments,
	}}
	req.about.Body, req.about.Attachments = "", nil
	if c.sends == nil {
		c.sends = new(session.Lane[request])
	}
	if !c.sends.Offer(req) {
		l.refuse(c, &in, fault.New(fault.RateLimited, "%d sends are waiting for their answers already", session.MaxQueued).After(busyPause))
	}
}

// launch brings what waits in a session's lane to the log, unless something of it is on its way.
func (l *loop) launch(c *conn) {
	if c.sends == nil || c.gone || c.closing {
		return
	}
	if next := l.take(c); next != nil {
		if l.gw.sending.Add(1) > int64(l.gw.cfg.MaxSending) {
			l.gw.sending.Add(-1)
			l.turnBack(c, next)
			return
		}
		l.submit(c, next)
	}
}

// take is what goes next of a session's lane, with what its user is towards the channels now.
func (l *loop) take(c *conn) []request {
	next := c.sends.Take(burst)
	for i := range next {
		next[i].change.Standing = l.standing(c, next[i].change.ChannelID)
	}
	return next
}

// turnBack refuses sends because too many of others are on their way.
func (l *loop) turnBack(c *conn, refused []request) {
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

// submit brings sends to the log on a goroutine of its own, as one of those that gw.sending counts. The next of the lane
// follow in its place when it has its answers, so Drain, which waits until none is on its way, waits for whole lanes.
// After one that failed, and when what the user may do has changed meanwhile, the loop looks at the rest again.
func (l *loop) submit(c *conn, next []request) {
	g, place, asOf := l.gw, c.room.feed.Place(), c.moved.Load()
	g.counts.SendsTaken.Add(uint64(len(next)))
	started := g.begin(func(ctx context.Context) {
		for i := range next {
			receipt, err := g.submitOne(ctx, place, next[i].change)
			end := i == len(next)-1 || err != nil || c.away.Load() || c.moved.Load() != asOf
			posted := l.post(func() {
				l.answer(c, next[i], receipt, err)
				if end {
					l.goOn(c, next[i+1:])
				}
			})
			if !posted {
				g.sending.Add(-1)
				return
			}
			if end {
				return
			}
		}
	})
	if !started {
		g.sending.Add(-1)
	}
}

// submitOne brings one change to the log. A user who is not in the channel as far as this gateway knows may have come in
// a moment ago, by another way than the log: the directory knows.
func (g *Gateway) submitOne(ctx context.Context, place fanout.Place, change event.Change) (event.Receipt, error) {
	if !change.Standing.InIt {
		var err error
		if change.Standing, err = g.confirm(ctx, place, change); err != nil {
			return event.Receipt{}, err
		}
	}
	return g.to.Submitter.Submit(ctx, change)
}

// confirm asks the directory what a user is towards a channel. The error is NotFound when they are not in it.
func (g *Gateway) confirm(ctx context.Context, place fanout.Place, change event.Change) (chat.Standing, error) {
	reply, err := g.to.Directory.Session(ctx, rpc.SessionRequest{UserID: change.UserID, WorkspaceID: place.WorkspaceID, Since: chat.MaxSeq})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return chat.Standing{}, err
	}
	for _, t := range reply.Tenures {
		if t.ChannelID == change.ChannelID && t.JoinedSeq != 0 && t.LeftSeq == 0 {
			return chat.Standing{Role: reply.Role, Type: t.Type, Archived: t.Archived, InIt: true}, nil
		}
	}
	return chat.Standing{}, fault.New(fault.NotFound, "there is no such channel among yours")
}

// goOn ends a burst, of which rest did not go, and launches the next one in its place.
func (l *loop) goOn(c *conn, rest []request) {
	if c.gone || c.closing || c.sends == nil {
		// What waits was never on its way: the client has no answer and sends it again.
		c.sends = nil
		l.gw.sending.Add(-1)
		return
	}
	c.sends.Return(rest)
	if next := l.take(c); next != nil {
		l.submit(c, next)
		return
	}
	c.sends = nil
	l.gw.sending.Add(-1)
}

// standing is what the user is towards a channel now: at the room's position, also when the session is behind it.
func (l *loop) standing(c *conn, id chat.ChannelID) chat.Standing {
	n, known := c.room.channels.Lookup(id)
	if !known {
		return chat.Standing{}
	}
	standing := c.sess.Standing(n, c.room.channels.At(n))
	if in, ok := c.ahead[n]; ok {
		standing.InIt = in
	}
	return standing
}

// answer tells the client what became of a send.
func (l *loop) answer(c *conn, req request, receipt event.Receipt, err error) {
	switch {
	case err != nil:
		l.refuse(c, &req.about, err)
	case req.change.Kind == event.MessagePosted:
		ack := wire.Ack{
			ClientMsgID: req.change.ClientMsgID, ChannelID: req.change.ChannelID, Epoch: req.change.Epoch,
			Seq: receipt.Seq, At: receipt.At, Duplicate: receipt.Duplicate,
		}
		l.say(c, func(dst []byte) []byte { return wire.AppendMessageAck(dst, ack) })
	default:
		l.say(c, func(dst []byte) []byte { return wire.AppendAck(dst, req.about.Ref, receipt.Seq) })
	}
}
