package event_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	channel = chat.ChannelID("069mz9tyc5w00n2k8q4r6s7w1x")
	alice   = chat.UserID("069mz9tyc5w00a11ce00000000")
	bob     = chat.UserID("069mz9tyc5w00b0b0000000000")
)

// golden is an event of every kind, and what they look like with everything in them, by the name of the file
// that holds the stored bytes. Logs and outboxes hold these bytes for ever: a file is added, never changed.
var golden = map[string]event.Event{
	"message.posted": {
		Kind: event.MessagePosted, Epoch: 1, ChannelID: channel, SenderID: alice,
		ClientMsgID: "01936b2e-7c00-7000-8000-000000000001", Body: "hello",
	},
	"message.posted.full": {
		Kind: event.MessagePosted, Epoch: chat.MaxEpoch, ChannelID: channel, SenderID: alice,
		ClientMsgID: "msg-1_B", Thread: chat.MaxSeq,
		Body:        "<b>&amp; \"quoted\" \\ /\n\ttab \u2028 \u2029 \u202e \u0001 \x7f ünï 日本語 👩‍💻 \U0010ffff",
		Attachments: []chat.Attachment{{ID: "f1", Name: "plan <1>.pdf", Size: 1 << 40, Type: "application/pdf"}, {ID: "f2"}},
	},
	"message.posted.file": {
		Kind: event.MessagePosted, Epoch: 1, ChannelID: channel, SenderID: alice,
		ClientMsgID: "01936b2e-7c00-7000-8000-000000000002", Attachments: []chat.Attachment{{ID: "f1", Name: "plan.pdf", Size: 12, Type: "application/pdf"}},
	},
	"message.edited":  {Kind: event.MessageEdited, Epoch: 1, ChannelID: channel, SenderID: alice, MessageSeq: 41, Body: "hello, all"},
	"message.deleted": {Kind: event.MessageDeleted, Epoch: 1, ChannelID: channel, SenderID: alice, MessageSeq: 41},
	"message.deleted.post": {
		Kind: event.MessageDeleted, Epoch: 2, ChannelID: channel, SenderID: alice, MessageSeq: 41,
		Post: &event.PostState{
			Epoch: 1, SenderID: bob, ClientMsgID: "01936b2e-7c00-7000-8000-000000000001", Thread: 40,
			At: time.Date(2026, 3, 1, 12, 30, 45, 678901234, time.UTC),
		},
	},
	"reaction.added":           {Kind: event.ReactionAdded, Epoch: 1, ChannelID: channel, SenderID: bob, MessageSeq: 41, Emoji: "👍🏽"},
	"reaction.removed":         {Kind: event.ReactionRemoved, Epoch: 1, ChannelID: channel, SenderID: bob, MessageSeq: 41, Emoji: ":+1:"},
	"pin.added":                {Kind: event.PinAdded, Epoch: 1, ChannelID: channel, SenderID: bob, MessageSeq: chat.MaxSeq},
	"pin.removed":              {Kind: event.PinRemoved, Epoch: 1, ChannelID: channel, SenderID: bob, MessageSeq: 1},
	"member.joined":            {Kind: event.MemberJoined, Epoch: 1, ChannelID: channel, SenderID: alice, UserID: bob, Role: chat.RoleGuest},
	"member.joined.workspace":  {Kind: event.MemberJoined, Epoch: 1, SenderID: alice, UserID: bob, Role: chat.RoleMember},
	"member.left":              {Kind: event.MemberLeft, Epoch: 1, ChannelID: channel, SenderID: bob, UserID: bob},
	"member.left.workspace":    {Kind: event.MemberLeft, Epoch: 1, SenderID: alice, UserID: bob},
	"member.updated":           {Kind: event.MemberUpdated, Epoch: 1, ChannelID: channel, SenderID: alice, UserID: bob, ChannelRole: chat.ChannelManager},
	"member.updated.workspace": {Kind: event.MemberUpdated, Epoch: 1, SenderID: alice, UserID: bob, Role: chat.RoleAdmin},
	"workspace.updated":        {Kind: event.WorkspaceUpdated, Epoch: 1, SenderID: alice, Workspace: &event.WorkspaceState{Name: "Ünïted & Söhne"}},
	"channel.created":          {Kind: event.ChannelCreated, Epoch: 1, ChannelID: channel, SenderID: alice, Channel: &event.ChannelState{Name: "general", Type: chat.ChannelPublic, Topic: "What we ship next", CreatorID: alice}},
	"channel.created.group_dm": {Kind: event.ChannelCreated, Epoch: 1, ChannelID: channel, SenderID: alice, Channel: &event.ChannelState{Type: chat.ChannelGroupDM, CreatorID: alice}},
	"channel.updated":          {Kind: event.ChannelUpdated, Epoch: 1, ChannelID: channel, SenderID: bob, Channel: &event.ChannelState{Name: "alle", Type: chat.ChannelPrivate, CreatorID: alice}},
	"channel.archived":         {Kind: event.ChannelArchived, Epoch: 1, ChannelID: channel, SenderID: bob, Channel: &event.ChannelState{Name: "general", Type: chat.ChannelPublic, CreatorID: alice}},
	"user.updated":             {Kind: event.UserUpdated, Epoch: 1, SenderID: bob, UserID: bob, User: &event.UserState{Login: "bob", DisplayName: "Bob Ünal", Deactivated: true}},
}

// kinds is every kind of version 1.
var kinds = []event.Kind{
	event.MessagePosted, event.MessageEdited, event.MessageDeleted, event.ReactionAdded, event.ReactionRemoved,
	event.PinAdded, event.PinRemoved, event.MemberJoined, event.MemberLeft, event.MemberUpdated,
	event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived, event.UserUpdated, event.WorkspaceUpdated,
}

func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenBytes(t *testing.T) {
	for name, e := range golden {
		t.Run(name, func(t *testing.T) {
			got, err := event.Encode(e)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(filepath.Join("testdata", name+".json"), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want := goldenBytes(t, name)
			if !bytes.Equal(got, want) {
				t.Errorf("encoded\n%s\nstored\n%s", got, want)
			}
			e.V = event.Version
			parsed, err := event.Parse(want)
			if diff := cmp.Diff(e, parsed); err != nil || diff != "" {
				t.Errorf("parsed: %v\n%s", err, diff)
			}
			if !parsed.Known() {
				t.Error("it is not known")
			}
		})
	}
}

func TestEveryKindHasGoldenBytes(t *testing.T) {
	for _, k := range kinds {
		if golden[string(k)].Kind != k {
			t.Errorf("%s has none", k)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(golden) {
		t.Errorf("%d files for %d events, %v", len(files), len(golden), err)
	}
}

// An operator reads the log, and a shell passes it on: one line, no control character.
func TestStoredBytesAreOneLine(t *testing.T) {
	for name := range golden {
		if i := bytes.IndexFunc(goldenBytes(t, name), func(r rune) bool { return r < ' ' || r == '\u2028' || r == '\u2029' }); i >= 0 {
			t.Errorf("%s has a control character at %d", name, i)
		}
	}
}

func TestAPostAlwaysHasABody(t *testing.T) {
	var m struct{ Body *string }
	if err := json.Unmarshal(goldenBytes(t, "message.posted.file"), &m); err != nil || m.Body == nil || *m.Body != "" {
		t.Errorf("a client of a post without text reads %v, %v", m.Body, err)
	}
}

func TestEncodeRefusesWhatParseWould(t *testing.T) {
	for name, change := range map[string]func(*event.Event){
		"no kind":             func(e *event.Event) { e.Kind = "" },
		"no epoch":            func(e *event.Event) { e.Epoch = 0 },
		"an epoch too large":  func(e *event.Event) { e.Epoch = chat.MaxEpoch + 1 },
		"no sender":           func(e *event.Event) { e.SenderID = "" },
		"a negative version":  func(e *event.Event) { e.V = -1 },
		"a hostile channel":   func(e *event.Event) { e.ChannelID = "a.>" },
		"no channel":          func(e *event.Event) { e.ChannelID = "" },
		"no body":             func(e *event.Event) { e.Body = "" },
		"half a character":    func(e *event.Event) { e.Body = "\xf0\x9f" },
		"a thread too large":  func(e *event.Event) { e.Thread = chat.MaxSeq + 1 },
		"a file without id":   func(e *event.Event) { e.Attachments = []chat.Attachment{{Name: "a"}} },
		"a file of less than": func(e *event.Event) { e.Attachments = []chat.Attachment{{ID: "a", Size: -1}} },
		"too many files":      func(e *event.Event) { e.Attachments = make([]chat.Attachment, chat.MaxAttachments+1) },
		"no client_msg_id":    func(e *event.Event) { e.ClientMsgID = "" },
	} {
		e := golden["message.posted"]
		change(&e)
		if b, err := event.Encode(e); !errors.Is(err, event.ErrMalformed) || b != nil {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

// The largest text that is allowed fits the log when it needs no escapes. One that does is refused by who takes it in.
func TestTheLargestBody(t *testing.T) {
	e := golden["message.posted"]
	e.Body = strings.Repeat("é", chat.MaxBody/2)
	b, err := event.Encode(e)
	if err != nil || len(b) > chat.MaxStoredEvent/2 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	if got, err := event.Parse(b); err != nil || got.Body != e.Body {
		t.Error(err)
	}
}

func TestVersionOfAStoredEvent(t *testing.T) {
	s := event.Stored{Event: event.Event{Epoch: 2}, Seq: 7}
	if s.Version() != 2<<48+7 {
		t.Errorf("%d", s.Version())
	}
}
