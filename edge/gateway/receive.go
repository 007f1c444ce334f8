package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// reader is a link that the loop reads from itself.
type reader interface {
	// read takes what is there. (0, nil): nothing is. io.EOF: the client has ended.
	read(buf []byte) (int, error)
}

// receive reads a socket that has something to read.
func (l *loop) receive(c *conn) {
	r, ok := c.link.(reader)
	if !ok {
		return
	}
	n, err := r.read(l.buf)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			l.log.Debug("read", "session_id", string(c.id), "err", err)
		}
		l.drop(c, c.reasonOr(reasonClient))
		return
	}
	if n > 0 {
		l.feed(c, l.buf[:n])
	}
}

// reasonOr is why the socket was closed, or other when the client went first.
func (c *conn) reasonOr(other string) string {
	if c.closing {
		return c.closedFor
	}
	return other
}

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
		if !c.gone && !c.blocked() {
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
	place := c.room.feed.Place()
	standing := l.standing(c, in.ChannelID)
	if !standing.InIt {
		l.refuse(c, &in, fault.New(fault.NotFound, "there is no such channel among yours"))
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

// launch brings a change to the log on a goroutine of its own. The next of the lane follows when it has its answer.
func (l *loop) launch(c *conn, req request) {
	g := l.gw
	if g.sending.Add(1) > int64(g.cfg.MaxSending) {
		g.sending.Add(-1)
		// Answered in a turn of its own: a long lane must not be refused in one deep recursion.
		l.post(func() {
			l.answer(c, req, event.Receipt{}, fault.New(fault.Unavailable, "too many sends are on their way").After(busyPause))
		})
		return
	}
	g.counts.SendsTaken.Add(1)
	started := g.begin(func(ctx context.Context) {
		receipt, err := g.to.Submitter.Submit(ctx, req.change)
		l.post(func() {
			g.sending.Add(-1)
			l.answer(c, req, receipt, err)
		})
	})
	if !started {
		g.sending.Add(-1)
	}
}

// answer tells the client what became of a send, and launches the next one.
func (l *loop) answer(c *conn, req request, receipt event.Receipt, err error) {
	switch {
	case c.gone:
		c.sends = nil // what was waiting was never on its way: the client sends it again
		return
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
	if c.gone || c.sends == nil {
		return
	}
	if next, ok := c.sends.Next(); ok {
		l.launch(c, next)
	} else {
		c.sends = nil
	}
}
