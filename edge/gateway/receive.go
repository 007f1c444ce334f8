package gateway

import (
	"time"

	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/edge/tally"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// feed takes bytes of a client. Nothing of data is kept.
func (l *loop) feed(c *conn, data []byte) {
	over := false
	if !c.closing {
		c.heard = l.now
		v, wait := c.bytes.Charge(l.clock(), float64(len(data)), l.gw.cfg.Bytes)
		if v == session.Beyond {
			l.close(c, fault.RateLimited, tooMuch)
			return
		}
		l.pause, over = wait, v == session.Over
	}
	err := c.parser.Feed(data, func(e wsconn.Event) error {
		l.hear(c, e, over)
		return nil
	})
	l.launch(c)
	if err != nil && !c.gone {
		public := fault.Public(err)
		l.close(c, public.Kind, public.Message)
	}
}

// clock is what meters measure by: it stands still while the process does.
func (l *loop) clock() time.Duration { return l.now.Sub(l.born) }

// tooMuch is what clients read who send far beyond their pace.
const tooMuch = "you send far too much"

// hear takes one event of a client; over: its bytes came too fast.
func (l *loop) hear(c *conn, e wsconn.Event, over bool) {
	if c.gone {
		return
	}
	if c.closing {
		if e.Kind == wsconn.Close { // the answer to ours
			l.drop(c, c.closedFor)
		}
		return
	}
	switch v, wait := c.frames.Charge(l.clock(), 1, l.gw.cfg.Frames); v {
	case session.Beyond:
		l.close(c, fault.RateLimited, tooMuch)
		return
	case session.Over:
		l.pause, over = max(l.pause, wait), true
	case session.Within:
	}
	switch e.Kind {
	case wsconn.Text:
		l.frame(c, e.Payload, over)
	case wsconn.Ping:
		l.scratch.own = wsconn.AppendPong(l.scratch.own[:0], e.Payload)
		c.sayOwn(l.scratch.own)
	case wsconn.Close:
		l.launch(c) // what it sent before it closed still goes
		l.hangUp(c, e.Code, "", tally.Client)
		if !c.gone && !c.out.Blocked() && c.out.Link.Sent() { // or it ends when the client has our answer, or after closeGrace
			l.drop(c, tally.Client)
		}
	case wsconn.Pong:
	}
}

// frame takes one message of a client. It is refused when it is over the pace.
func (l *loop) frame(c *conn, payload []byte, over bool) {
	in, err := wire.Parse(payload)
	switch {
	case err != nil:
		l.refuse(c, &in, err)
	case over:
		l.refuse(c, &in, fault.New(fault.RateLimited, "you send too much at once").After(l.pause.Round(time.Millisecond)+time.Millisecond))
	case in.Type == wire.Ping:
		l.say(c, func(dst []byte) []byte { return wire.AppendPong(dst, in.Ref) })
	case in.Type == wire.CursorRead || in.Type == wire.CursorDelivered:
		l.cursor(c, in)
	case in.Kind() == "":
		l.ephemeral(c, in)
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
	l.gw.counts.Refused.Add(string(fault.KindOf(err)), 1)
	if fault.Is(err, fault.Internal) {
		l.log.Error("a frame failed", "type", string(in.Type), "session_id", string(c.id), "err", err)
	}
	l.say(c, func(dst []byte) []byte { return wire.AppendError(dst, err, in) })
}
