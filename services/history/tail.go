package history

import (
	"cmp"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams/bus"
)

// eventCost is what an event takes in memory besides its bytes, roughly.
const eventCost = 384

// span is a part of a log: after a position, up to and with another.
type span struct{ after, upTo chat.Seq }

// tail is a part of a channel's log: every event of the channel after from, up to through. It is pure; tails
// does the reading. Its events are never changed in place, because readers hold parts of them.
type tail struct {
	limit   int // bytes
	begun   bool
	whole   bool // the log had forgotten nothing after from when the reading began
	from    chat.Seq
	through chat.Seq
	events  []event.Stored // rising by seq
	bytes   int
	over    bool // there is more, and no room for it
}

// covers reports whether what was read begins early enough, and without a hole, for what is after a position.
func (t *tail) covers(after chat.Seq) bool { return t.begun && t.from <= after && after <= t.through }

// serves reports whether no more can be read for s.
func (t *tail) serves(s span) bool { return t.covers(s.after) && (t.through >= s.upTo || t.over) }

// begin makes the tail an empty one after from.
func (t *tail) begin(from chat.Seq, whole bool) {
	*t = tail{limit: t.limit, begun: true, whole: whole, from: from, through: from}
}

// add takes what was read after through, as far as there is room. An entry that is not an event of the channel
// is passed over: nobody is shown it, and it has its seq.
func (t *tail) add(entries []bus.Entry) {
	for _, e := range entries {
		if t.bytes >= t.limit {
			t.over = true
			return
		}
		if s, ok := storedOf(e); ok {
			t.events = append(t.events, s)
			t.bytes += cost(&s)
		}
		t.through = max(t.through, e.Seq)
	}
}

// trim forgets what is up to after, once it would make room worth having. Readers who still need it, because
// they asked for the progress a little earlier, make the tail begin again.
func (t *tail) trim(after chat.Seq) {
	if t.bytes < t.limit/2 || !t.covers(after) {
		return
	}
	n, _ := slices.BinarySearchFunc(t.events, after+1, func(e event.Stored, seq chat.Seq) int {
		return cmp.Compare(e.Seq, seq)
	})
	freed := 0
	for i := range t.events[:n] {
		freed += cost(&t.events[i])
	}
	if freed < t.limit/8 {
		return
	}
	t.events = slices.Clone(t.events[n:])
	t.from, t.bytes, t.over = after, t.bytes-freed, false
}

func cost(e *event.Stored) int {
	n := eventCost + len(e.Body)
	for _, a := range e.Attachments {
		n += len(a.ID) + len(a.Name) + len(a.Type)
	}
	return n
}

// piece is what a reader gets of a tail.
type piece struct {
	events  []event.Stored // not to be changed
	from    chat.Seq
	through chat.Seq
	whole   bool
	over    bool
}

func (t *tail) piece() piece {
	return piece{events: slices.Clip(t.events), from: t.from, through: t.through, whole: t.whole, over: t.over}
}

// completeAfter is how far a page is complete whose store had applied everything up to p.
func (c piece) completeAfter(p chat.Seq) chat.Seq {
	if !c.whole {
		return p
	}
	return max(p, c.through)
}

// storedOf reads an event of a channel. It is false for what the persister parks.
func storedOf(e bus.Entry) (event.Stored, bool) {
	if e.Foreign {
		return event.Stored{}, false
	}
	parsed, err := event.Parse(e.Payload)
	if err != nil || parsed.ChannelID != e.Place.ChannelID {
		return event.Stored{}, false
	}
	return event.Stored{Event: parsed, WorkspaceID: e.Place.WorkspaceID, Seq: e.Seq, At: e.At}, true
}
