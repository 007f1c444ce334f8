package gateway

import (
	"context"
	"time"

	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// feed takes bytes of a client. Nothing of data is kept.
func (l *loop) feed(c *conn, data []byte) {
	if !c.closing {
		c.heard = l.now
	}
	err := c.parser.Feed(data, func(e wsconn.Event) error {
		l.hear(c, e)
		return nil
	})
	if err != nil && !c.gone {
		public := fault.Public(err)
		l.close(c, public.Kind, public.Message)
	}
}

// hear takes one event of a client.
func (l *loop) hear(c *conn, e wsconn.Event) {
	if c.gone {
		return
	}
	if c.closing {
		if e.Kind == wsconn.Close { // the answer to ours
			l.drop(c, c.closedFor)
		}
		return
	}
	switch e.Kind {
	case wsconn.Text:
		l.frame(c, e.Payload)
	case wsconn.Ping:
		l.scratch.own = wsconn.AppendPong(l.scratch.own[:0], e.Payload)
		c.sayOwn(l.scratch.own)
	case wsconn.Close:
		l.hangUp(c, e.Code, "", reasonClient)
		if !c.gone && !c.blocked() && c.link.Sent() { // or it ends when the client has our answer, or after closeGrace
			l.drop(c, reasonClient)
		}
	case wsconn.Pong:
	}
}

// frame takes one message of a client.
func (l *loop) frame(c *conn, payload []byte) {
	in, err := wire.Parse(payload)
	switch {
	case err != nil:
		l.refuse(c, &in, err)
	case in.Type == wire.Ping:
		l.say(c, func(dst []byte) []byte { return wire.AppendPong(dst, in.Ref) })
	default:
		l.send(c, in)
	}
}

// say writes a frame of the socket's own.
func (l *loop) say(c *conn, build func(dst []byte) []byte) {
	if c.gone || c.closing {
		return
	}
	c.sayOwn(wsconn.Frame(build))
}

func (l *loop) refuse(c *conn, in *wire.Inbound, err error) {
	if fault.Is(err, fault.Internal) {
		l.log.Error("a frame failed", "type", string(in.Type), "session_id", string(c.id), "err", err)
	}
	l.say(c, func(dst []byte) []byte { return wire.AppendError(dst, err, in) })
}

// request is a change on its way to the log, and what its answer must name.
type request struct {
	change event.Change
	about  wire.Inbound // without its text
}

// busyPause is when a refused send is worth trying again.
const busyPause = time.Second

// send takes a frame that asks for an event.
func (l *loop) send(c *conn, in wire.Inbound) {
	if l.gw.draining.Load() { // so that what is on its way comes to an end
		l.refuse(c, &in, errMoving())
		return
	}
	place := c.room.feed.Place()
	standing := l.standing(c, in.ChannelID)
	if !standing.InIt {
		l.refuse(c, &in, errNoChannel())
		return
	}
	req := request{about: in, change: event.Change{
		Kind: in.Kind(), Workspace: place.WorkspaceID, Shard: place.Shard, Epoch: place.Epoch,
		ChannelID: in.ChannelID, UserID: c.sess.UserID, Standing: standing,
		ClientMsgID: in.ClientMsgID, Retry: in.Retry, MessageSeq: in.Seq, Thread: in.Thread,
		Body: in.Body, Emoji: in.Emoji, Attachments: in.Attachments,
	}}
	req.about.Body, req.about.Attachments = "", nil
	if c.sends == nil {
		c.sends = new(session.Lane[request])
	}
	start, taken := c.sends.Offer(req)
	if !taken {
		l.refuse(c, &in, fault.New(fault.RateLimited, "%d sends are waiting for their answers already", session.MaxQueued).After(busyPause))
		return
	}
	if start {
		l.launch(c, req)
	}
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

func errNoChannel() error {
	return fault.New(fault.NotFound, "there is no such channel among yours")
}

// launch brings a change to the log, if not too many are on their way.
func (l *loop) launch(c *conn, req request) {
	if l.gw.sending.Add(1) > int64(l.gw.cfg.MaxSending) {
		l.gw.sending.Add(-1)
		// Answered in a turn of its own: a long lane must not be refused in one deep recursion.
		l.post(func() {
			l.answer(c, req, event.Receipt{}, fault.New(fault.Unavailable, "too many sends are on their way").After(busyPause))
			if next, ok := l.nextOf(c); ok {
				l.launch(c, next)
			}
		})
		return
	}
	l.submit(c, req)
}

// submit brings a change to the log on a goroutine of its own, as one of those that gw.sending counts. The next of
// the lane follows in its place when it has its answer, so Drain, which waits until none is on its way, waits for
// whole lanes.
func (l *loop) submit(c *conn, req request) {
	g := l.gw
	g.counts.SendsTaken.Add(1)
	started := g.begin(func(ctx context.Context) {
		receipt, err := g.to.Submitter.Submit(ctx, req.change)
		posted := l.post(func() {
			l.answer(c, req, receipt, err)
			if next, ok := l.nextOf(c); ok {
				l.submit(c, next)
				return
			}
			g.sending.Add(-1)
		})
		if !posted {
			g.sending.Add(-1)
		}
	})
	if !started {
		g.sending.Add(-1)
	}
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

// nextOf is what goes to the log next of a session's lane, with what its user is now. What waits when the
// conversation is over was never on its way: the client has no answer and sends it again.
func (l *loop) nextOf(c *conn) (request, bool) {
	for !c.gone && !c.closing && c.sends != nil {
		next, ok := c.sends.Next()
		if !ok {
			break
		}
		if next.change.Standing = l.standing(c, next.change.ChannelID); next.change.Standing.InIt {
			return next, true
		}
		l.refuse(c, &next.about, errNoChannel()) // left while it waited
	}
	c.sends = nil
	return request{}, false
}
