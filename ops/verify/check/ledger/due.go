package ledger

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// Due is a message that a view must show.
type Due struct {
	record.Message
	Optional bool // it may be missing: its text was taken out of the log, so a replay tells of it or not
	Nameless bool // what it was is not known
}

// Stated is what a view of states shows, by channel, in rising seq.
func (l *Ledger) Stated(space string) map[string][]Due {
	all := map[string][]Due{}
	for _, seq := range l.Messages(space) {
		m, _ := l.Message(space, seq)
		all[m.Channel] = append(all[m.Channel], Due{Message: m.Shown(), Nameless: m.Nameless()})
	}
	return all
}

// Replayed is what somebody knows of messages who was told of all that they may see, from the beginning of the log's last stream: by
// channel, in rising seq.
func (l *Ledger) Replayed(space, user string) map[string][]Due {
	told, order := map[int64]*Due{}, []record.Event{}
	for _, e := range l.Between(space, l.Ended(space), math.MaxInt64) {
		if sees, _ := l.Visible(space, user, e); !sees {
			continue
		}
		if e.Kind == string(event.MessagePosted) {
			m, _ := l.Message(space, e.Seq)
			told[e.Seq] = &Due{Message: record.Message{Seq: e.Seq, Sender: e.Sender, ID: e.ID, Body: e.Body, Thread: e.Thread}}
			if m.Deleted != 0 { // whoever comes later is shown it without its text, if at all
				told[e.Seq] = &Due{Message: m.Shown(), Optional: true, Nameless: m.Nameless()}
			}
			order = append(order, e)
		} else if d := told[e.Message]; d != nil && !d.Deleted {
			d.change(e)
		}
	}
	all := map[string][]Due{}
	for _, e := range order {
		all[e.Channel] = append(all[e.Channel], *told[e.Seq])
	}
	return all
}

// change does what an event does to a message.
func (d *Due) change(e record.Event) {
	reaction := e.Emoji + " " + e.Sender
	i, there := slices.BinarySearch(d.Reactions, reaction)
	switch kind := event.Kind(e.Kind); {
	case kind == event.MessageEdited:
		d.Body, d.Edited = e.Body, true
	case kind == event.ReactionAdded && !there:
		d.Reactions = slices.Insert(d.Reactions, i, reaction)
	case kind == event.ReactionRemoved && there:
		d.Reactions = slices.Delete(d.Reactions, i, i+1)
	}
}

// Canonical is a message as bytes that no other message has.
func Canonical(m record.Message) (b []byte) {
	b = binary.BigEndian.AppendUint64(b, uint64(m.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Thread))
	for _, s := range []string{m.Sender, m.ID, m.Body, fmt.Sprint(m.Edited, m.Deleted), strings.Join(m.Reactions, "\x00")} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}
