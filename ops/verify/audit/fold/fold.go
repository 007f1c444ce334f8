// Package fold makes messages of what a socket told of them, from the first event on.
package fold

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// Fold is messages as they are after what was told, by rules of our own: the product's must give the same.
type Fold struct {
	Last int64 // the seq of what was told last

	messages map[int64]*record.Kept
	stands   map[int64]map[string]bool // reactions, by message
}

// New makes a Fold of nothing.
func New() *Fold {
	return &Fold{messages: map[int64]*record.Kept{}, stands: map[int64]map[string]bool{}}
}

// Take takes what was told. The error is that this is no replay from the beginning.
func (f *Fold) Take(t record.Told) error {
	switch t.T {
	case record.Resync:
		return fmt.Errorf("there is no replay from the beginning: resync %s up to %d", t.Code, t.Head)
	case record.Gap:
		return fmt.Errorf("events of %s up to %d did not come", t.Channel, t.Seq)
	case record.Posted:
		f.Last = max(f.Last, t.Seq)
		f.messages[t.Seq] = &record.Kept{Channel: t.Channel, Message: record.Message{
			Seq: t.Seq, Sender: t.Sender, ID: t.ID, Body: t.Body, Thread: t.Thread, Deleted: t.Deleted,
		}}
	case record.Changed:
		f.Last = max(f.Last, t.Seq)
		f.change(t)
	}
	return nil
}

// change leaves alone what was not told: its message was taken out of the log, or posted before its reader came.
func (f *Fold) change(t record.Told) {
	k, seq := f.messages[t.Message], t.Message
	if k == nil || k.Deleted {
		return
	}
	line := Reaction(t.Emoji, t.Sender)
	switch event.Kind(t.Kind) {
	case event.MessageEdited:
		k.Body, k.Edited = t.Body, true
	case event.MessageDeleted:
		k.Message = record.Message{Seq: seq, Sender: k.Sender, ID: k.ID, Thread: k.Thread, Deleted: true}
		delete(f.stands, seq)
	case event.ReactionAdded:
		if f.stands[seq] == nil {
			f.stands[seq] = map[string]bool{}
		}
		f.stands[seq][line] = true
	case event.ReactionRemoved:
		delete(f.stands[seq], line)
	}
}

// Kept is all messages, by their seqs, each with what view says.
func (f *Fold) Kept(view record.Kept) (all []record.Kept) {
	for seq, k := range f.messages {
		for line := range f.stands[seq] {
			k.Reactions = append(k.Reactions, line)
		}
		slices.Sort(k.Reactions)
		view.Channel, view.Message = k.Channel, k.Message
		all = append(all, view)
	}
	slices.SortFunc(all, func(a, b record.Kept) int { return cmp.Compare(a.Seq, b.Seq) })
	return all
}

// Reaction is one as record.Message has it.
func Reaction(emoji, user string) string { return emoji + " " + user }
