package unread_test

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/edge/client/unread"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// seeded is a device of alice in c1, which is public, with an answer of the server.
func seeded(s rest.ReadState) *unread.Tracker {
	t := unread.New("alice", "alice")
	t.SetType("c1", chat.ChannelPublic)
	s.ChannelID = "c1"
	t.Answer(t.Begin(), []rest.ReadState{s})
	return t
}

func posted(seq chat.Seq, body string) unread.Event {
	return unread.Event{Kind: event.MessagePosted, ChannelID: "c1", Seq: seq, SenderID: "bob", Body: body}
}

func about(kind event.Kind, seq, message chat.Seq, body string) unread.Event {
	return unread.Event{Kind: kind, ChannelID: "c1", Seq: seq, MessageSeq: message, Body: body}
}

func moved(kind event.Kind, seq chat.Seq) unread.Event {
	return unread.Event{Kind: kind, ChannelID: "c1", Seq: seq, UserID: "alice"}
}

func wants(t *testing.T, tr *unread.Tracker, what string, want unread.Count) {
	t.Helper()
	if got, in := tr.Channel("c1"); !in || got != want {
		t.Errorf("%s: %+v, in it %t; want %+v", what, got, in, want)
	}
}

func TestEventsAfterAnAnswerCountOnTopOfIt(t *testing.T) {
	tr := seeded(rest.ReadState{Seq: 4, Through: 10, Messages: []rest.UnreadMessage{{Seq: 9, Mention: true}, {Seq: 6}}})
	wants(t, tr, "the answer", unread.Count{Unread: 2, Mentions: 1, Read: 4, Sure: true})
	tr.Tell(posted(8, "it was deleted before the answer"))
	tr.Tell(about(event.MessageEdited, 10, 9, "no name"))
	wants(t, tr, "what it has already", unread.Count{Unread: 2, Mentions: 1, Read: 4, Sure: true})
	tr.Tell(posted(12, "@here"))
	tr.Tell(about(event.MessageEdited, 14, 9, "no name"))
	tr.Tell(about(event.MessageDeleted, 16, 6, ""))
	tr.Tell(about(event.MessageDeleted, 18, 6, ""))
	tr.Tell(about(event.MessageEdited, 20, 6, "@alice"))
	tr.Tell(unread.Event{Kind: event.MessagePosted, ChannelID: "c1", Seq: 22, SenderID: "alice", Body: "mine"})
	wants(t, tr, "what came after", unread.Count{Unread: 2, Mentions: 1, Read: 4, Sure: true})
	tr.Read("c1", 11)
	tr.Read("c1", 5)
	wants(t, tr, "a mark", unread.Count{Unread: 1, Mentions: 1, Read: 11, Sure: true})
	tr.Read("c1", 30)
	tr.Tell(posted(24, "read before it came here"))
	wants(t, tr, "a mark that was faster than its messages", unread.Count{Read: 30, Sure: true})
}

func TestWhatCameWhileTheServerAnswersIsPlayedUponIt(t *testing.T) {
	tr := unread.New("alice", "alice")
	tr.SetType("c1", chat.ChannelPublic)
	q := tr.Begin()
	tr.Tell(posted(6, "in the answer"))
	tr.Tell(posted(8, "after it"))
	tr.Tell(about(event.MessageDeleted, 10, 4, ""))
	tr.Read("c1", 3)
	if tr.Due() {
		t.Error("it asks while it asks")
	}
	tr.Answer(q, []rest.ReadState{{ChannelID: "c1", Through: 7, Messages: []rest.UnreadMessage{{Seq: 6}, {Seq: 4, Mention: true}, {Seq: 2}}}})
	wants(t, tr, "all of it", unread.Count{Unread: 2, Read: 3, Sure: true})
	tr.Answer(q, nil)
	if tr.Due() {
		t.Error("it asks again")
	}
	wants(t, tr, "an answer that nobody waits for", unread.Count{Unread: 2, Read: 3, Sure: true})
}

func TestAnAnswerOlderThanWhatIsKnownIsNotTaken(t *testing.T) {
	tr := seeded(rest.ReadState{Through: 2})
	tr.Tell(posted(4, "x"))
	tr.Stale()
	tr.Answer(tr.Begin(), []rest.ReadState{{ChannelID: "c1", Seq: 1, Through: 2}})
	wants(t, tr, "it stays", unread.Count{Unread: 1, Read: 1})
	if !tr.Due() {
		t.Error("and is not asked for again")
	}
	tr.Failed(tr.Begin())
	if !tr.Due() {
		t.Error("nor after a failure")
	}
}

// Above chat.MaxUnread the newest are held, and what is missing of them is asked for when it would show.
func TestMoreThanAreCounted(t *testing.T) {
	tr := seeded(rest.ReadState{Through: 1})
	for i := range chat.Seq(chat.MaxUnread + 10) {
		tr.Tell(posted(2+i, "x"))
	}
	wants(t, tr, "the newest", unread.Count{Unread: chat.MaxUnread, More: true, Sure: true})
	tr.Tell(about(event.MessageDeleted, 5000, 2, "")) // one that is not held
	wants(t, tr, "an old one is deleted", unread.Count{Unread: chat.MaxUnread, More: true, Sure: true})
	tr.Tell(about(event.MessageDeleted, 5001, 500, ""))
	if wants(t, tr, "a new one is deleted", unread.Count{Unread: chat.MaxUnread - 1, More: true}); !tr.Due() {
		t.Error("it is not asked which takes its place")
	}
	tr.Read("c1", 1000)
	wants(t, tr, "those that are not held are read", unread.Count{Unread: 11, Read: 1000})
}

func TestAMarkAmongWhatIsNotHeld(t *testing.T) {
	full := rest.ReadState{More: true, Through: 5000}
	for i := range chat.Seq(chat.MaxUnread) {
		full.Messages = append(full.Messages, rest.UnreadMessage{Seq: 4000 - i})
	}
	tr := seeded(full)
	tr.Read("c1", 100)
	if wants(t, tr, "it may be all", unread.Count{Unread: chat.MaxUnread, More: true, Read: 100}); !tr.Due() {
		t.Error("it is not asked")
	}
}

func TestWhoLeavesAndComesBackBeginsAnew(t *testing.T) {
	tr := seeded(rest.ReadState{Seq: 4, JoinedSeq: 2, Through: 10, Messages: []rest.UnreadMessage{{Seq: 6}}})
	tr.Tell(moved(event.MemberLeft, 12))
	if _, in := tr.Channel("c1"); in || len(tr.All()) != 0 {
		t.Error("they are still in it")
	}
	tr.Tell(moved(event.MemberJoined, 20))
	tr.Tell(posted(22, "welcome back, @alice"))
	wants(t, tr, "after it", unread.Count{Unread: 1, Mentions: 1, Read: 20, Sure: true})
	tr.Tell(moved(event.MemberJoined, 24)) // they are in it: it says nothing
	wants(t, tr, "twice", unread.Count{Unread: 1, Mentions: 1, Read: 20, Sure: true})
	if tr.Due() {
		t.Error("it asks for what it was told")
	}
}

func TestADirectChannelWhoseTypeComesLate(t *testing.T) {
	tr := unread.New("alice", "alice")
	tr.Answer(tr.Begin(), []rest.ReadState{{ChannelID: "c1", Through: 2}})
	tr.Tell(posted(4, "hi"))
	if got := tr.Untyped(); !slices.Equal(got, []chat.ChannelID{"c1"}) {
		t.Errorf("%v", got)
	}
	wants(t, tr, "nobody knows what it is", unread.Count{Unread: 1})
	tr.SetType("c1", chat.ChannelDM)
	tr.Tell(posted(6, "ho"))
	if wants(t, tr, "it is direct", unread.Count{Unread: 2, Mentions: 2, Sure: true}); len(tr.Untyped()) != 0 {
		t.Error("it is still asked")
	}
}

func TestAMessageFromNowhereIsAskedFor(t *testing.T) {
	tr := seeded(rest.ReadState{Through: 2})
	tr.Tell(unread.Event{Kind: event.MessagePosted, ChannelID: "c2", Seq: 4, SenderID: "bob", Body: "x"})
	if !tr.Due() {
		t.Error("it is not asked")
	}
	tr.Reset()
	if len(tr.All()) != 0 || !tr.Due() {
		t.Error("it remembers")
	}
}

// Events that are kept for an answer are bounded: with too many, the answer is not waited for.
func TestAnAnswerThatTakesTooLong(t *testing.T) {
	tr := seeded(rest.ReadState{Through: 2})
	q := tr.Begin()
	for i := range chat.Seq(25_000) {
		tr.Tell(posted(4+i, "x"))
	}
	if !tr.Due() {
		t.Error("it still waits")
	}
	tr.Answer(q, nil)
	wants(t, tr, "the answer came too late", unread.Count{Unread: chat.MaxUnread, More: true, Sure: true})
}
