package session

import (
	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Number names a channel inside one Channels.
type Number uint32

// Channels is what a gateway knows of a workspace's channels: those that its sessions are in, or that
// events told of. Each loop has its own.
type Channels struct {
	numbers map[chat.ChannelID]Number
	known   []Channel // by Number
}

// Channel is what the rules need of a channel.
type Channel struct {
	ID       chat.ChannelID
	Type     chat.ChannelType // empty: not known, so it is nobody's to find
	Archived bool
	AsOf     chat.Seq // every event up to it is in this; later ones may be
	Members  int      // roughly: what a snapshot said, and who came and went after it

	counted chat.Seq // Members has the member events up to it
}

// Quiet reports whether the channel is too large for typing and presence.
func (c Channel) Quiet() bool { return c.Members > chat.BroadcastMembers }

// NewChannels knows no channel.
func NewChannels() *Channels { return &Channels{numbers: make(map[chat.ChannelID]Number)} }

// Number is a channel's number, given when it is first asked for.
func (c *Channels) Number(id chat.ChannelID) Number {
	n, ok := c.numbers[id]
	if !ok {
		n = Number(len(c.known))
		c.numbers[id] = n
		c.known = append(c.known, Channel{ID: id})
	}
	return n
}

// Lookup is a channel's number, if it has one.
func (c *Channels) Lookup(id chat.ChannelID) (Number, bool) {
	n, ok := c.numbers[id]
	return n, ok
}

// At is the channel with a number that Number gave.
func (c *Channels) At(n Number) Channel { return c.known[n] }

// Len is how many channels have a number: every Number is below it.
func (c *Channels) Len() int { return len(c.known) }

// Learn notes what a session's snapshot says of a channel, unless something newer is known.
func (c *Channels) Learn(ch Channel) Number {
	n := c.Number(ch.ID)
	old := c.known[n]
	if ch.AsOf < old.AsOf {
		return n
	}
	if ch.counted = ch.AsOf; old.counted > ch.AsOf {
		ch.Members, ch.counted = old.Members, old.counted
	}
	c.known[n] = ch
	return n
}

// Note takes what an event says of a channel. A session that is behind reads old ones again: they change nothing.
func (c *Channels) Note(e *fanout.Entry) {
	if e.ChannelID == "" || !e.Event.Known() {
		return
	}
	ch := &c.known[c.Number(e.ChannelID)]
	switch {
	case e.Seq <= ch.counted:
	case e.Event.Kind == event.MemberJoined:
		ch.Members, ch.counted = ch.Members+1, e.Seq
	case e.Event.Kind == event.MemberLeft:
		ch.Members, ch.counted = max(0, ch.Members-1), e.Seq
	}
	if e.Event.Channel == nil || e.Seq <= ch.AsOf {
		return
	}
	ch.AsOf, ch.Type = e.Seq, e.Event.Channel.Type
	if e.Event.Kind == event.ChannelArchived {
		ch.Archived = true
	}
}

// Small is the channels that a session's user is in and that are not Quiet, at most limit of them. ahead says of some
// whether the user is in them at a later position than the session's.
func (s *Session) Small(known *Channels, ahead map[Number]bool, limit int) []chat.ChannelID {
	var small []chat.ChannelID
	add := func(n Number) {
		if ch := known.At(n); !ch.Quiet() && len(small) < limit {
			small = append(small, ch.ID)
		}
	}
	for _, n := range s.in {
		if in, ok := ahead[n]; in || !ok {
			add(n)
		}
	}
	for n, in := range ahead {
		if in && !s.In(n) {
			add(n)
		}
	}
	return small
}
