package door

import (
	"weak"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rpc"
)

// projection is a user's place in a workspace, at a position of its feed.
type projection struct {
	whose whose

	feed       weak.Pointer[fanout.Feed] // a feed that ended is not held by what is remembered of it
	generation uint32
	since      chat.Seq // tenures that ended before it are not here
	at         chat.Seq // every event up to it is in this

	role    chat.Role
	members int
	tenures []tenure
}

// tenure is a time in a channel.
type tenure struct {
	channel      *channel
	joined, left chat.Seq // as in rpc.Tenure
}

const (
	stepEntries = 256 // taken from the ring at once
	maxTenures  = 512 // of one user; who has more is asked for
)

// advance takes a projection to the feed's head, under mu. It is false when that cannot be proved, or when something
// happened of which the log does not say enough.
func (m *memory) advance(p *projection, f *fanout.Feed) bool {
	if weak.Make(f) != p.feed {
		return false
	}
	for {
		entries, reach := f.After(p.at, stepEntries)
		if reach.Generation != p.generation || reach.Floor > p.at {
			return false
		}
		for _, e := range entries {
			if !m.apply(p, e) {
				return false
			}
			p.at = e.Seq
		}
		if len(entries) < stepEntries {
			p.at = max(p.at, reach.Head)
			return len(p.tenures) <= maxTenures
		}
	}
}

// apply takes the next entry. It is false when the directory is to be asked.
func (m *memory) apply(p *projection, e *fanout.Entry) bool {
	if !e.Event.Known() {
		return true
	}
	mine := e.Event.UserID == p.whose.user
	if e.ChannelID != "" {
		m.applyInChannel(p, e, mine)
		return true
	}
	switch e.Event.Kind {
	case event.MemberUpdated:
		if mine {
			p.role = e.Event.Role
		}
	case event.MemberJoined, event.MemberLeft:
		if mine {
			return false // what they were in before counts no more
		}
		p.members += change(e)
	case event.UserUpdated:
		return !mine || e.Event.User == nil || !e.Event.User.Deactivated
	}
	return true
}

// change is how many more there are after a member event.
func change(e *fanout.Entry) int {
	if e.Event.Kind == event.MemberJoined {
		return 1
	}
	return -1
}

func (m *memory) applyInChannel(p *projection, e *fanout.Entry, mine bool) {
	switch e.Event.Kind {
	case event.MemberJoined, event.MemberLeft, event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived:
	default:
		return
	}
	if ch := p.channel(e.ChannelID); ch != nil {
		ch.note(e)
	}
	switch {
	case !mine:
	case e.Event.Kind == event.MemberJoined:
		p.join(e.ChannelID, e.Seq)
	case e.Event.Kind == event.MemberLeft:
		p.leave(e.ChannelID, e.Seq)
	}
}

// note takes what an event says of the channel. Projections come to it one after the other: it counts once.
func (c *channel) note(e *fanout.Entry) {
	if e.Seq <= c.asOf {
		return
	}
	c.asOf = e.Seq
	switch e.Event.Kind {
	case event.MemberJoined, event.MemberLeft:
		c.fact.Members = max(0, c.fact.Members+change(e))
	case event.ChannelArchived:
		c.fact.Archived = true
	}
	if e.Event.Channel != nil {
		c.fact.Type = e.Event.Channel.Type
	}
}

func (p *projection) channel(id chat.ChannelID) *channel {
	for _, t := range p.tenures {
		if t.channel.fact.ChannelID == id {
			return t.channel
		}
	}
	return nil
}

// join begins a tenure at seq. The answer may have had it already: it was given after its position.
func (p *projection) join(id chat.ChannelID, seq chat.Seq) {
	var ch *channel
	for i := range p.tenures {
		t := &p.tenures[i]
		if t.channel.fact.ChannelID != id {
			continue
		}
		ch = t.channel
		switch {
		case t.joined == 0 && t.left == 0: // it was on its way to the log
			t.joined = seq
			return
		case t.joined >= seq, t.left == 0: // it is that one, or one after it; or it lasts, and they joined again
			return
		}
	}
	if ch == nil { // what others hold of it may lack what happened before: of this one only what follows is known
		ch = &channel{fact: rpc.Tenure{ChannelID: id}, asOf: seq}
	}
	p.tenures = append(p.tenures, tenure{channel: ch, joined: seq})
}

// leave ends the tenure that lasts at seq.
func (p *projection) leave(id chat.ChannelID, seq chat.Seq) {
	for i := range p.tenures {
		t := &p.tenures[i]
		if t.channel.fact.ChannelID == id && t.left == 0 && t.joined != 0 && t.joined < seq {
			t.left = seq
		}
	}
}
