package gateway

import (
	"github.com/canopychat/canopy/edge/wsconn"
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
	l.launch(c)
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
		l.launch(c) // what it sent before it closed still goes
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
