package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func editBeforePost(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("helo")
	edit := l.edit(post, "hello")
	apply(t, s, edit)
	apply(t, s, post)
	same(t, "message", chat.Message{
		ChannelID: post.ChannelID, Seq: post.Seq, Epoch: 1, SenderID: post.SenderID, ClientMsgID: post.ClientMsgID,
		Body: "hello", PostedAt: post.At, EditedAt: edit.At,
	}, read(t, s, post.ChannelID, post.Seq))
}

func nothingBeforeThePost(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.reply(l.post("root, never applied"), "reply")
	apply(t, s, l.edit(post, "edited"), l.react(post, event.ReactionAdded, "👍"), l.about(post, event.PinAdded))
	gone := l.post("deleted")
	apply(t, s, l.about(gone, event.MessageDeleted))
	for _, seq := range []chat.Seq{post.Seq, gone.Seq} {
		_, err := s.Message(within(t), l.channel, seq)
		isKind(t, "Message", err, fault.NotFound)
	}
	pinned, err := s.Pins(within(t), l.channel)
	ok(t, err)
	same(t, "pins", []chat.Message{}, pinned)
	for _, q := range []store.PageQuery{
		{}, {Before: l.last}, {After: 1}, {Around: post.Seq}, {Thread: post.Thread},
	} {
		q.ChannelID, q.Limit = l.channel, 10
		same(t, "page", store.Page{}, page(t, s, q))
	}
}

func latestEditWins(t *testing.T, s store.Messages) {
	for _, epochOfLast := range []chat.Epoch{1, 2} {
		l := newLog()
		l.last = 100
		post := l.post("first")
		edit := l.edit(post, "second")
		if epochOfLast == 2 {
			l.epoch, l.last = 2, l.last+1000 // another epoch begins above
		}
		last := l.edit(post, "third")
		for i, order := range orders([]event.Stored{post, edit, last}) {
			order = elsewhere(order)
			for _, e := range append(order, order...) {
				apply(t, s, e)
			}
			m := read(t, s, order[0].ChannelID, post.Seq)
			if m.Body != "third" || !m.EditedAt.Equal(last.At) || m.Epoch != 1 {
				t.Errorf("epoch %d, order %d: %q of epoch %d, edited at %v", epochOfLast, i, m.Body, m.Epoch, m.EditedAt)
			}
		}
	}
}

func deleteDominates(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("secret")
	post.Attachments = []chat.Attachment{{ID: "1", Name: "secret.txt", Size: 1, Type: "text/plain"}}
	gone := l.about(post, event.MessageDeleted)
	late := l.edit(post, "secret, stored after the delete")
	for i, order := range orders([]event.Stored{post, gone, late}) {
		order = elsewhere(order)
		for _, e := range append(order, order...) {
			apply(t, s, e)
		}
		want := chat.Message{
			ChannelID: order[0].ChannelID, Seq: post.Seq, Epoch: 1, SenderID: post.SenderID, ClientMsgID: post.ClientMsgID,
			PostedAt: post.At, Deleted: true,
		}
		same(t, fmt.Sprintf("order %d", i), want, read(t, s, order[0].ChannelID, post.Seq))
	}
}

func deletedTextIsNowhere(t *testing.T, s store.Messages) {
	l := newLog()
	root := l.post("root")
	post := l.reply(root, "secret one")
	post.Attachments = []chat.Attachment{{ID: "1", Name: "secret two", Size: 1, Type: "text/plain"}}
	apply(t, s, root, post, l.edit(post, "secret three"), l.about(post, event.PinAdded),
		l.react(post, event.ReactionAdded, ":secret:"))
	apply(t, s, l.about(post, event.MessageDeleted))
	apply(t, s, l.edit(post, "secret four"), l.about(post, event.PinAdded), l.react(post, event.ReactionAdded, ":secret:"), post)

	var seen strings.Builder
	for _, q := range []store.PageQuery{{}, {Before: l.last}, {After: 1}, {Around: post.Seq}, {Thread: root.Seq}} {
		q.ChannelID, q.Limit = l.channel, 10
		p := page(t, s, q)
		if len(p.Messages) == 0 {
			t.Errorf("%+v: the deleted message has lost its place", q)
		}
		fmt.Fprintf(&seen, "%+v\n", p)
	}
	pinned, err := s.Pins(within(t), l.channel)
	ok(t, err)
	same(t, "pins", []chat.Message{}, pinned)
	fmt.Fprintf(&seen, "%+v\n", read(t, s, l.channel, post.Seq))
	if strings.Contains(seen.String(), "secret") {
		t.Errorf("a deleted text can be read:\n%s", seen.String())
	}
	place, err := s.Send(within(t), sendKey(post))
	ok(t, err)
	same(t, "the send of a deleted message", store.SendPlace{ChannelID: l.channel, Seq: post.Seq, Epoch: 1}, place)
}

func reactions(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("hello")
	ann, bob := chat.UserID("ann"), chat.UserID("bob")
	l.sender = bob
	events := []event.Stored{post, l.react(post, event.ReactionAdded, "👍"), l.react(post, event.ReactionAdded, "🎉")}
	l.sender = ann
	events = append(events, l.react(post, event.ReactionAdded, "👍"))
	l.sender = bob
	events = append(events, l.react(post, event.ReactionRemoved, "🎉"), l.react(post, event.ReactionRemoved, "👍"),
		l.react(post, event.ReactionAdded, "👍"), l.react(post, event.ReactionAdded, ":a b\"'\\:"))
	for _, order := range orders(events) {
		order = elsewhere(order)
		for _, e := range append(order, order...) {
			apply(t, s, e)
		}
		m := read(t, s, order[0].ChannelID, post.Seq)
		same(t, "reactions", []chat.Reaction{
			{Emoji: ":a b\"'\\:", UserIDs: []chat.UserID{bob}},
			{Emoji: "👍", UserIDs: []chat.UserID{ann, bob}},
		}, m.Reactions)
	}
}

func manyReactions(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("hello")
	events := []event.Stored{post}
	for i := range chat.MaxReactions + 20 {
		l.sender = chat.UserID(fmt.Sprintf("user%04d", i/2))
		events = append(events, l.react(post, event.ReactionAdded, []string{"👍", "🎉"}[i%2]))
	}
	apply(t, s, events...)
	want := NewModel(events).Messages(l.channel, 0)[0]
	got := read(t, s, l.channel, post.Seq)
	same(t, "reactions", want.Reactions, got.Reactions)
	n := 0
	for _, r := range got.Reactions {
		n += len(r.UserIDs)
	}
	same(t, "number of reactions", chat.MaxReactions, n)
}

func pins(t *testing.T, s store.Messages) {
	l := newLog()
	a, b, c := l.post("a"), l.post("b"), l.post("c")
	pinA, pinB, pinC := l.about(a, event.PinAdded), l.about(b, event.PinAdded), l.about(c, event.PinAdded)
	unpinB := l.about(b, event.PinRemoved)
	deleteC := l.about(c, event.MessageDeleted)
	again := l.about(a, event.PinAdded)
	for _, order := range orders([]event.Stored{a, b, c, pinA, pinB, pinC, unpinB, deleteC, again}) {
		order = elsewhere(order)
		for _, e := range append(order, order...) {
			apply(t, s, e)
		}
		pinned, err := s.Pins(within(t), order[0].ChannelID)
		ok(t, err)
		if len(pinned) != 1 || pinned[0].Seq != a.Seq || !pinned[0].Pinned || pinned[0].Body != "a" {
			t.Errorf("pins are %+v; want only the first message", pinned)
		}
		if read(t, s, order[0].ChannelID, b.Seq).Pinned {
			t.Error("a message whose pin was removed says that it is pinned")
		}
	}
}

func manyPins(t *testing.T, s store.Messages) {
	l := newLog()
	events := l.posts(chat.MaxPins + 5)
	for _, post := range events {
		events = append(events, l.about(post, event.PinAdded))
	}
	apply(t, s, events...)
	pinned, err := s.Pins(within(t), l.channel)
	ok(t, err)
	same(t, "pins", NewModel(events).Pins(l.channel), pinned)
	same(t, "number of pins", chat.MaxPins, len(pinned))
}

func otherKinds(t *testing.T, s store.Messages) {
	l := newLog()
	post := l.post("hello")
	state := &event.ChannelState{Name: "general", Type: chat.ChannelPublic, CreatorID: l.sender}
	foreign := l.add(event.Event{V: event.Version + 1, Kind: event.MessagePosted, Body: "later", ClientMsgID: "later"})
	events := []event.Stored{
		l.add(event.Event{Kind: event.MemberJoined, UserID: l.sender, Role: chat.RoleMember}),
		l.add(event.Event{Kind: event.MemberLeft, UserID: l.sender}),
		l.add(event.Event{Kind: event.ChannelCreated, Channel: state}),
		l.add(event.Event{Kind: event.ChannelUpdated, Channel: state}),
		l.add(event.Event{Kind: event.ChannelArchived, Channel: state}),
		l.add(event.Event{Kind: event.UserUpdated, UserID: l.sender, User: &event.UserState{}}),
		l.add(event.Event{Kind: "poll.opened", MessageSeq: post.Seq, Body: "unknown"}),
		l.add(event.Event{V: event.Version + 1, Kind: event.MessageDeleted, MessageSeq: post.Seq}),
		foreign,
	}
	apply(t, s, events...)
	same(t, "page", store.Page{}, page(t, s, store.PageQuery{ChannelID: l.channel, Limit: 10}))
	_, err := s.Send(within(t), sendKey(foreign))
	isKind(t, "the send of an event of a later version", err, fault.NotFound)
	apply(t, s, post)
	apply(t, s, events...)
	same(t, "message", NewModel([]event.Stored{post}).Messages(l.channel, 0),
		page(t, s, store.PageQuery{ChannelID: l.channel, Limit: 10}).Messages)
	apply(t, s) // no events are no work
}

func anyText(t *testing.T, s store.Messages) {
	l := newLog()
	var events []event.Stored
	for _, body := range []string{
		strings.Repeat("x", chat.MaxBody), strings.Repeat("🙂", chat.MaxBody/4), "a\r\n\tb", "'; DROP TABLE messages; --",
		`{"json":"\u0000"}`, "%s %d \\ \" ` $1 ?1 :x @y", "\u202eright to left\u2066", "\ufeff\ufffd\uffff\U0010ffff", "\x01\x02\x7f",
	} {
		post := l.post(body)
		events = append(events, post, l.edit(post, body+" "), l.edit(post, body)) // an edit of a post that is as long
	}
	post := l.post("every emoji")
	events = append(events, post)
	for _, emoji := range []string{
		"👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", ":+1:", "\"", "'", "\\", "[]", "\ufeff", "é", "e\u0301", strings.Repeat("🙂", 16),
	} {
		events = append(events, l.react(post, event.ReactionAdded, emoji))
	}
	attached := l.post("")
	attached.Attachments = []chat.Attachment{{ID: "a", Name: "naïve \"plan\".pdf", Size: 1<<53 + 1, Type: "application/pdf"}, {ID: "b"}}
	events = append(events, attached)
	apply(t, s, events...)
	same(t, "messages", NewModel(events).Messages(l.channel, 0), walk(t, s, store.PageQuery{ChannelID: l.channel, Limit: 3}))
}
