package chat_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/chat"
	nouns "github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it anew):\n%s", path, diff)
	}
}

var at = time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)

func said(seq nouns.Seq, by nouns.UserID, body string) rest.Message {
	return rest.Message{Seq: seq, ChannelID: "c1", SenderID: by, Body: body, TS: rest.Time(at.Add(time.Duration(seq) * time.Minute))}
}

// play is a conversation with one of everything.
func play(p *chat.Painter) {
	edited, deleted, reply, elsewhere := said(3, "u2", "good morning"), said(4, "u2", ""), said(12, "u2", "a reply"), said(13, "u2", "over there")
	when := rest.Time(at)
	edited.EditedAt, edited.Reactions = &when, []nouns.Reaction{{Emoji: "👍", UserIDs: []nouns.UserID{"u1", "u2"}}}
	deleted.Deleted, reply.Thread, elsewhere.ChannelID = true, 3, "c2"
	reply.Attachments = []nouns.Attachment{{Name: "plan.pdf\x1b[2J"}}
	p.Event(live.Online{Cursor: nouns.Cursor{Epoch: 1, Seq: 10}})
	p.Open(rest.Channel{ID: "c1", Name: "general"}, rest.MessageList{Messages: []rest.Message{said(11, "u2", "history has it first"), deleted, edited}})
	p.Event(live.Posted{Message: said(11, "u2", "history has it first")})
	p.Event(live.Typing{ChannelID: "c1", UserID: "u2"})
	p.Event(live.Posted{Message: reply})
	p.Event(live.Typing{ChannelID: "c2", UserID: "u2"})
	p.Event(live.Typing{ChannelID: "c1", UserID: "u1"})
	p.Event(live.Changed{Kind: event.ChannelCreated, ChannelID: "c2", SenderID: "u2", Channel: &event.ChannelState{Name: "plans", Type: nouns.ChannelPublic}})
	p.Event(live.Posted{Message: elsewhere})
	// Two sends: one is the last line when it is stored, the other is not.
	p.Send("m1", "hello")
	p.Stored("m1", said(14, "u1", "hello"))
	mine := said(14, "u1", "hello")
	mine.ClientMsgID = "m1"
	p.Event(live.Posted{Message: mine})
	p.Send("m2", "two\nlines")
	p.Send("m3", "and once more")
	p.Event(live.Posted{Message: said(15, "u2", "between")})
	p.Stored("m2", said(16, "u1", "two\nlines"))
	p.Stored("m3", said(17, "u1", "and once more"))
	// From one's own other device.
	p.Event(live.Posted{Message: said(18, "u1", "from my telephone")})
	for _, c := range []live.Changed{
		{Kind: event.MessageEdited, ChannelID: "c1", SenderID: "u2", MessageSeq: 15, Body: "in \x1b[31mred"},
		{Kind: event.MessageDeleted, ChannelID: "c2", SenderID: "u2", MessageSeq: 13},
		{Kind: event.ReactionAdded, ChannelID: "c1", SenderID: "u2", MessageSeq: 14, Emoji: "🎉"},
		{Kind: event.ReactionRemoved, ChannelID: "c1", SenderID: "u2", MessageSeq: 14, Emoji: "🎉"},
		{Kind: event.PinAdded, ChannelID: "c1", SenderID: "u2", MessageSeq: 14},
		{Kind: event.PinRemoved, ChannelID: "c1", SenderID: "u2", MessageSeq: 14},
		{Kind: event.MemberJoined, ChannelID: "c1", SenderID: "u2", UserID: "u2"},
		{Kind: event.MemberJoined, ChannelID: "c1", SenderID: "u2", UserID: "u3"},
		{Kind: event.MemberLeft, ChannelID: "", SenderID: "u2", UserID: "u3"},
		{Kind: event.ChannelUpdated, ChannelID: "c2", SenderID: "u2", Channel: &event.ChannelState{Name: "ideas", Type: nouns.ChannelPublic}},
		{Kind: event.ChannelUpdated, ChannelID: "c2", SenderID: "u2", Channel: &event.ChannelState{Name: "ideas", Type: nouns.ChannelPublic, Topic: "all of them"}},
		{Kind: event.ChannelArchived, ChannelID: "c2", SenderID: "u2", Channel: &event.ChannelState{Name: "ideas", Type: nouns.ChannelPublic, Topic: "all of them"}},
		{Kind: event.UserUpdated, UserID: "u2", User: &event.UserState{Login: "robert"}},
		{Kind: "poll.opened", ChannelID: "c1", SenderID: "u2"},
	} {
		p.Event(c)
	}
	for _, e := range []live.Event{
		live.Presence{UserID: "u3", Status: "offline"},
		live.Presence{UserID: "u2", Status: "online"},
		live.Presence{UserID: "u2", Status: "online"},
		live.Presence{UserID: "u2", Status: "away", Text: "lunch\nat noon"},
		live.Presence{UserID: "u1", Status: "away"},
		live.Offline{Err: errors.New("broken\npipe"), Retry: 1500 * time.Millisecond},
		live.Online{Resumed: true},
		live.Online{},
		live.Gap{ChannelID: "c1", After: 18, Through: 20},
		live.Gap{ChannelID: "c1", After: 20, Through: 22, Filled: true},
		live.Resync{Reason: "expired", Head: 90},
		live.Refused{Err: &client.Error{Code: fault.RateLimited, Message: "slower"}},
		live.Posted{Message: said(91, "u9", "who am I?\u202e\u2028\xff\tx")},
	} {
		p.Event(e)
	}
}

func TestWhatIsShown(t *testing.T) {
	for name, terminal := range map[string]bool{"plain.txt": false, "terminal.txt": true} {
		var out strings.Builder
		people := []rest.Member{{UserID: "u2", Login: "bob"}, {UserID: "u3", Login: "carol"}}
		play(chat.NewPainter(&out, terminal, rest.User{ID: "u1", Login: "alice"}, people...))
		if !terminal && strings.ContainsAny(out.String(), "\x1b\r") {
			t.Error("a pipe gets the sequences of a terminal")
		}
		golden(t, name, strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(out.String()))
	}
}
