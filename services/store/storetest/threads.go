package storetest

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

func participants(t *testing.T, s store.Messages) {
	isIn := func(what string, thread store.Target, want ...chat.UserID) { // the latest first
		t.Helper()
		got, err := s.Participants(within(t), thread.ChannelID, thread.Seq)
		ok(t, err)
		same(t, what, want, got)
	}
	l := newLog()
	ann, bob, cid := newID[chat.UserID](), newID[chat.UserID](), newID[chat.UserID]()
	by := func(u chat.UserID, e func() event.Stored) event.Stored {
		l.sender = u
		return e()
	}
	root := by(ann, func() event.Stored { return l.post("root") })
	reply := func(u chat.UserID) event.Stored {
		return by(u, func() event.Stored { return l.reply(root, "a reply") })
	}
	first, second, third := reply(bob), reply(cid), reply(bob)
	aside := by(newID[chat.UserID](), func() event.Stored { return l.post("no reply") })
	deleted := l.about(second, event.MessageDeleted)
	edited := by(newID[chat.UserID](), func() event.Stored { return l.edit(first, "moderated") })
	of := func(e event.Stored) store.Target { return store.Target{ChannelID: e.ChannelID, Seq: e.Seq} }

	isIn("a thread that is not there", of(root))
	isIn("of no message", store.Target{ChannelID: root.ChannelID})
	isIn("of a seq that no log has", store.Target{ChannelID: root.ChannelID, Seq: 1<<64 - 1})
	all := []event.Stored{root, first, second, third, aside, deleted, edited}
	for _, order := range orders(all) {
		order = elsewhere(order)
		for _, e := range append(order, order...) {
			apply(t, s, e)
		}
		in := func(e event.Stored) store.Target { return store.Target{ChannelID: order[0].ChannelID, Seq: e.Seq} }
		isIn("who wrote, the latest first", in(root), bob, cid, ann)
		isIn("a thread without replies", in(aside), aside.SenderID)
		isIn("a reply is the root of none", in(second), cid)
	}
	apply(t, s, first, second)
	isIn("while the root is not there", of(root), cid, bob)
	apply(t, s, root)
	isIn("with the root", of(root), cid, bob, ann)
	apply(t, s, reply(ann), l.about(root, event.MessageDeleted))
	isIn("who wrote the root writes again", of(root), ann, cid, bob)
	isIn("the same root in another channel", store.Target{ChannelID: newID[chat.ChannelID](), Seq: root.Seq})
}

func manyParticipants(t *testing.T, s store.Messages) {
	l := newLog()
	root := l.post("root")
	events := []event.Stored{root}
	var want []chat.UserID
	for range chat.MaxFollowers + 20 {
		l.sender = newID[chat.UserID]()
		events = append(events, l.reply(root, "a reply"))
		want = append(want, l.sender)
	}
	l.sender = want[0] // one of the first is again the latest
	events = append(events, l.reply(root, "a reply"))
	want = append(want[1:], l.sender)
	slices.Reverse(want)
	for batch := range slices.Chunk(events, 200) {
		apply(t, s, batch...)
	}
	got, err := s.Participants(within(t), root.ChannelID, root.Seq)
	ok(t, err)
	same(t, "the latest", want[:chat.MaxFollowers], got)
}
