package history_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
)

// bob is who asks. In the tests everybody else writes as u1.
var bob = chat.User{ID: "ubob", Login: "bob"}

func (w *world) by(sender chat.UserID, body string, thread chat.Seq) chat.Seq {
	return w.add(event.Event{Kind: event.MessagePosted, SenderID: sender, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", w.log.last())), Body: body, Thread: thread}).Seq
}

func (w *world) edit(seq chat.Seq, body string) {
	w.add(event.Event{Kind: event.MessageEdited, MessageSeq: seq, Body: body})
}

func (w *world) delete(seq chat.Seq) { w.add(event.Event{Kind: event.MessageDeleted, MessageSeq: seq}) }

// question asks for all that bob has not read of channel c1.
func question(in store.ReadIn) store.UnreadQuery {
	in.ChannelID = "c1"
	return store.UnreadQuery{User: bob, WorkspaceID: "w1", Channels: []store.ReadIn{in}, Messages: true}
}

func (w *world) unread(in store.ReadIn) store.Unread {
	w.t.Helper()
	got, err := w.reader.Unread(w.t.Context(), question(in))
	if err != nil || len(got) != 1 {
		w.t.Fatalf("%+v: %+v, %v", in, got, err)
	}
	return got[0]
}

// model is what is unread of the log up to a seq.
func (w *world) model(in store.ReadIn, upTo chat.Seq) store.Unread {
	u := store.Unread{ChannelID: "c1", Through: upTo}
	for _, m := range w.truth(store.PageQuery{Limit: 1_000_000}, upTo).Messages {
		if m.Seq <= in.Read || m.Seq <= in.Joined || m.Deleted || m.SenderID == bob.ID {
			continue
		}
		if u.Count == chat.MaxUnread {
			u.More = true
			break
		}
		named := in.Type.Direct() || chat.MentionsOf(m.Body).Names(bob.Login)
		u.Count++
		u.Messages = append(u.Messages, store.UnreadMessage{Seq: m.Seq, Mention: named})
		if named {
			u.Mentions++
		}
	}
	return u
}

func (w *world) check(what string, in store.ReadIn, want store.Unread) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.unread(in)); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Each rule by itself; before the persister has come, and after.
func TestWhatIsUnread(t *testing.T) {
	w := newWorld(t, history.Config{})
	before := w.by("u1", "before bob came", 0)
	read := w.by("u1", "@bob, read", 0)
	plain := w.by("u1", "plain", 0)
	w.by(bob.ID, "his own", 0)
	reply := w.by("u1", "a reply for @Bob", read)
	gone := w.by("u1", "@bob, deleted", 0)
	w.delete(gone)
	named := w.by("u1", "named later", 0)
	w.edit(named, "named later, @bob")
	unnamed := w.by("u1", "@bob, not any more", 0)
	w.edit(unnamed, "not any more")
	w.edit(read, "@bob, read and edited")
	channel := w.by("u1", "@channel", 0)
	code := w.by("u1", "`@bob` and bob@example.org", 0)
	last := w.by("u2", "@bobby", 0)
	all := []store.UnreadMessage{{Seq: last}, {Seq: code}, {Seq: channel, Mention: true}, {Seq: unnamed}, {Seq: named, Mention: true}, {Seq: reply, Mention: true}, {Seq: plain}}
	for _, persisted := range []chat.Seq{0, reply, last} {
		w.persist(persisted, 0.5)
		what := fmt.Sprint("persisted through ", persisted)
		w.check(what, store.ReadIn{Joined: before, Read: read}, store.Unread{ChannelID: "c1", Count: 7, Mentions: 3, Through: last, Messages: all})
		w.check(what+", in a dm", store.ReadIn{Joined: before, Read: read, Type: chat.ChannelDM}, w.model(store.ReadIn{Joined: before, Read: read, Type: chat.ChannelDM}, last))
		w.check(what+", nothing read", store.ReadIn{Joined: before}, store.Unread{ChannelID: "c1", Count: 8, Mentions: 4, Through: last, Messages: append(all[:7:7], store.UnreadMessage{Seq: read, Mention: true})})
		w.check(what+", joined again", store.ReadIn{Joined: unnamed, Read: read}, store.Unread{ChannelID: "c1", Count: 3, Mentions: 1, Through: last, Messages: all[:3]})
		w.check(what+", all read", store.ReadIn{Joined: before, Read: last}, store.Unread{ChannelID: "c1", Through: last})
		w.check(what+", read further than the log goes", store.ReadIn{Joined: before, Read: chat.MaxSeq}, store.Unread{ChannelID: "c1", Through: last})
	}
}

// Whatever the persister has done so far, the counts are those of the log.
func TestCountsAreWhatTheLogSays(t *testing.T) {
	for round := range 6 {
		w := newWorld(t, history.Config{})
		w.by("u1", "the first", 0)
		for range 6 {
			w.talk(60)
			w.by(bob.ID, "mine", 0)
			w.by("u1", "@bob", 0)
			w.persist(chat.Seq(w.rand.IntN(int(w.log.last())+1)), w.rand.Float64())
			in := store.ReadIn{Joined: 1 + chat.Seq(w.rand.IntN(40)), Read: chat.Seq(w.rand.IntN(int(w.log.last()) + 20))}
			if round%3 == 0 {
				in.Type = chat.ChannelGroupDM
			}
			got := w.unread(in)
			if diff := cmp.Diff(w.model(in, w.lastOfChannel()), got); diff != "" {
				t.Fatalf("%+v at %d (-model +got):\n%s", in, w.log.last(), diff)
			}
		}
	}
}

func TestNotMoreThanTheLimitIsCounted(t *testing.T) {
	w := newWorld(t, history.Config{})
	for range chat.MaxUnread {
		w.by("u1", "@bob", 0)
	}
	in := store.ReadIn{}
	w.persist(w.log.last()-30, 0)
	if got := w.unread(in); got.Count != chat.MaxUnread || got.Mentions != chat.MaxUnread || got.More {
		t.Errorf("of %d: %d, %d, more %v", chat.MaxUnread, got.Count, got.Mentions, got.More)
	}
	w.by("u1", "one more", 0)
	want := w.model(in, w.log.last())
	if want.Count != chat.MaxUnread || want.Mentions != chat.MaxUnread-1 || !want.More {
		t.Fatalf("the model says %d, %d, more %v", want.Count, want.Mentions, want.More)
	}
	w.check("one more than that", in, want)
	w.delete(5)
	w.delete(6)
	w.check("two less", in, w.model(in, w.log.last()))
}

// What nobody is to read of somebody's own thousands is not looked at for ever.
func TestAMonologueIsNotReadToItsBeginning(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.by("u1", "long ago", 0)
	for range 4*chat.MaxUnread + 300 {
		w.by(bob.ID, "and another thing", 0)
	}
	w.persist(w.log.last(), 0)
	if got := w.unread(store.ReadIn{}); got.Count != 0 || !got.More {
		t.Errorf("%d are unread, more %v", got.Count, got.More)
	}
}

// pages counts the pages that the store is asked for.
type pages struct {
	store.Messages
	n atomic.Int32
}

func (p *pages) Page(ctx context.Context, q store.PageQuery) (store.Page, error) {
	p.n.Add(1)
	return p.Messages.Page(ctx, q)
}

func TestWhatItCosts(t *testing.T) {
	w := newWorld(t, history.Config{})
	for range 200 {
		w.by("u1", "x", 0)
	}
	post := w.log.last()
	w.add(event.Event{Kind: event.ReactionAdded, MessageSeq: post, Emoji: "x"})
	w.persist(w.log.last(), 0)
	counted := &pages{Messages: w.store.Messages}
	w.store.Messages = counted
	for _, c := range []struct {
		what string
		read chat.Seq
		want int32
	}{
		{"all was read", w.log.last(), 0},
		{"nothing is unread, but somebody reacted", post, 1},
		{"a few are unread", post - 20, 1},
		{"more than the first page has", post - 60, 2},
	} {
		counted.n.Store(0)
		w.unread(store.ReadIn{Read: c.read})
		if got := counted.n.Load(); got != c.want {
			t.Errorf("%s: %d pages, want %d", c.what, got, c.want)
		}
	}
}

func TestManyChannelsKeepTheirOrder(t *testing.T) {
	w := newWorld(t, history.Config{})
	q := store.UnreadQuery{User: bob, WorkspaceID: "w1"}
	for i := range 60 {
		ch := chat.ChannelID(fmt.Sprint("k", i))
		for range i % 7 {
			w.add(event.Event{Kind: event.MessagePosted, ChannelID: ch, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", w.log.last())), Body: "x"})
		}
		q.Channels = append(q.Channels, store.ReadIn{ChannelID: ch})
	}
	got, err := w.reader.Unread(t.Context(), q)
	if err != nil || len(got) != 60 {
		t.Fatalf("%d, %v", len(got), err)
	}
	for i, u := range got {
		if u.ChannelID != q.Channels[i].ChannelID || u.Count != i%7 || u.Messages != nil {
			t.Errorf("%d is %+v", i, u)
		}
	}
	q.Channels[30].ChannelID = "no.id"
	if _, err := w.reader.Unread(t.Context(), q); !fault.Is(err, fault.Invalid) {
		t.Errorf("an id that is none: %v", err)
	}
}

// A wrong number is worse than none.
func TestWhatCannotBeCountedIsUnavailable(t *testing.T) {
	w := newWorld(t, history.Config{})
	for range 300 {
		w.by("u1", "@bob", 0)
	}
	w.persist(w.log.last(), 0)
	w.store.set(true)
	in := store.ReadIn{Read: 10}
	w.log.set(func() { w.log.first = 200 })
	w.check("the log has all that counts", store.ReadIn{Read: 250}, w.model(store.ReadIn{Read: 250}, w.log.last()))
	if got, err := w.reader.Unread(t.Context(), question(in)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the log has forgotten a part: %+v, %v", got, err)
	}
	w.log.set(func() { w.log.down = true })
	if got, err := w.reader.Unread(t.Context(), question(in)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("neither store nor log: %+v, %v", got, err)
	}
}

// Without the log's end the counts are those of an earlier moment, and say of which.
func TestCountsSayHowFarTheyAreRight(t *testing.T) {
	w := newWorld(t, history.Config{})
	for range 20 {
		w.by("u1", "@bob", 0)
	}
	w.persist(12, 0.9)
	w.log.set(func() { w.log.down = true })
	in := store.ReadIn{Read: 3}
	w.check("as far as the store has come", in, w.model(in, 12))
	w.log.set(func() { w.log.down, w.log.shown = false, 15 })
	if got, err := w.reader.Unread(t.Context(), question(in)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the leader has 20 and a replica shows 15, so nobody can count what came between: %+v, %v", got, err)
	}
}
