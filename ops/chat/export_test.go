package chat

import (
	"io"
	"time"

	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/chat/screen"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// Painter is a view and a screen, for tests that play what happens.
type Painter struct {
	v *view
	s *screen.Screen
}

// NewPainter is at a channel with some people.
func NewPainter(to io.Writer, terminal bool, me rest.User, people ...rest.Member) *Painter {
	p := &Painter{newView(me, time.UTC), screen.New(to, terminal)}
	for _, m := range people {
		p.v.people[m.UserID] = m.Login
	}
	return p
}

// Open opens a channel with what history has of it.
func (p *Painter) Open(c rest.Channel, page rest.MessageList) {
	p.v.channels[c.ID], p.v.here = c, c.ID
	p.s.Line(p.v.page(page)...)
}

// Event shows an event.
func (p *Painter) Event(e live.Event) {
	if typing, is := e.(live.Typing); is {
		p.s.Pass(p.v.typing(typing))
		return
	}
	p.s.Line(p.v.event(e))
}

// Send shows a message that is sent.
func (p *Painter) Send(id chat.ClientMsgID, body string) {
	p.s.Typed()
	p.v.own[id] = struct{}{}
	p.s.Sending(id, body)
}

// Stored shows that it is stored.
func (p *Painter) Stored(id chat.ClientMsgID, m rest.Message) { p.s.Settled(id, p.v.message(m)) }
