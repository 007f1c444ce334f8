package live

import (
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// order proves that nothing is missing and nothing comes twice. It is pure: it takes frames, and says which of them
// to show and what is missing before them.
//
// A socket's frames rise in seq, over all channels. Each names the event before it in its channel (prev). So a
// frame that is not above the cursor is a duplicate, and one whose prev is above the last event that is known of
// its channel has a gap before it. Of a channel that was not heard of, everything up to base is known: that is the
// cursor where the proof began.
//
// Three things are no proof. A channel's own events (created, updated, archived) go to people who are not in it too,
// and those saw nothing of what was before. One's own joining begins a channel. The events of the
// whole workspace are not all told to guests, and history has none of them: their prev is not looked at.
type order struct {
	self    chat.UserID
	epoch   chat.Epoch
	base    chat.Seq // see above; never above cursor
	cursor  chat.Seq // the last frame that had a seq
	known   map[chat.ChannelID]known
	begun   bool // the cursor means something
	unsaid  bool // the server did not resume, and has not said why
	skipped chat.Cursor
}

// known is what is known of a channel.
type known struct {
	head chat.Seq // everything up to here was shown
	in   bool     // the user is in it for sure
	out  bool     // the user left for sure: what comes is not for them
}

// newOrder begins at a cursor; the zero Cursor begins wherever the server does.
func newOrder(at chat.Cursor) *order {
	return &order{epoch: at.Epoch, base: at.Seq, cursor: at.Seq, begun: at.Epoch != 0, known: map[chat.ChannelID]known{}}
}

// at is the cursor to come back with; zero before the first hello.
func (o *order) at() chat.Cursor {
	if !o.begun {
		return chat.Cursor{}
	}
	return chat.Cursor{Epoch: o.epoch, Seq: o.cursor}
}

// hello begins a connection that was asked for with at().
func (o *order) hello(f *frame) {
	o.self = f.UserID
	if o.begun && f.Resumed && f.Epoch == o.epoch {
		return
	}
	if o.begun {
		o.unsaid, o.skipped = true, o.at()
	}
	o.restart(f.Epoch, f.Head)
}

func (o *order) restart(epoch chat.Epoch, head chat.Seq) {
	o.epoch, o.base, o.cursor, o.begun = epoch, head, head, true
	clear(o.known)
}

// resync takes the server's word that it cannot give everything.
func (o *order) resync(f *frame) Resync {
	r := Resync{Reason: f.Reason, From: o.at(), Head: f.Head}
	if o.unsaid {
		r.From = o.skipped
	}
	o.unsaid = false
	o.restart(o.epoch, f.Head)
	return r
}

// unsaidReason is the reason of a Resync that the server did not send.
const unsaidReason = "not resumed"

// owed is a Resync that the server should have sent before any stored event, and did not.
func (o *order) owed() (Resync, bool) {
	if !o.unsaid {
		return Resync{}, false
	}
	o.unsaid = false
	return Resync{Reason: unsaidReason, From: o.skipped, Head: o.base}, true
}

// stored takes a message.deliver or an event. It says whether to show it, and whether something is missing in
// its channel before it: the events after gap.After, up to and with gap.Through.
func (o *order) stored(f *frame) (show bool, gap Gap, missing bool) {
	if f.Seq <= o.cursor {
		return false, Gap{}, false
	}
	o.cursor = f.Seq
	if f.ChannelID == "" {
		return true, Gap{}, false
	}
	k, heard := o.known[f.ChannelID]
	if !heard {
		k.head = o.base
	}
	gap = Gap{ChannelID: f.ChannelID, After: k.head, Through: f.Prev}
	missing = f.Prev > k.head
	next := known{head: f.Seq, in: true}
	mine := f.Type == frameEvent && f.UserID == o.self
	switch {
	case mine && f.Kind == event.MemberJoined:
		missing = missing && k.in // then the leaving before it was missed
	case mine && f.Kind == event.MemberLeft:
		next = known{head: f.Seq, out: true}
	case f.Type == frameEvent && ofChannel(f.Kind) && !k.in:
		next = k
		if !missing || k.out {
			next.head = f.Seq
		}
		missing = false // who is in the channel learns of it with what comes next, as head stays
	}
	o.known[f.ChannelID] = next
	return true, gap, missing
}

// ofChannel reports whether everybody who can find the channel hears of it.
func ofChannel(k event.Kind) bool {
	return k == event.ChannelCreated || k == event.ChannelUpdated || k == event.ChannelArchived
}
