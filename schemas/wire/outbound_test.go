package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	channel = chat.ChannelID("069mz9tyc5w00n2k8q4r6s7w1x")
	alice   = chat.UserID("069mz9tyc5w00a11ce00000000")
	bob     = chat.UserID("069mz9tyc5w00b0b0000000000")
	msgID   = chat.ClientMsgID("01936b2e-7c00-7000-8000-000000000001")
)

// at is written in UTC, and its microseconds are cut off, not rounded.
var at = time.Date(2026, 3, 1, 13, 30, 45, 678_999_999, time.FixedZone("CET", 3600))

func place(seq, prev chat.Seq) wire.Place {
	return wire.Place{Epoch: 2, ChannelID: channel, Seq: seq, Prev: prev, At: at}
}

// stored is the frame of an event.
func stored(t testing.TB, p wire.Place, e event.Event) []byte {
	t.Helper()
	e.Epoch, e.ChannelID = p.Epoch, p.ChannelID
	payload, err := event.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return wire.AppendStored(nil, p, e.Kind, payload)
}

// outbound is every frame that a gateway writes, by the name of the file that holds its bytes.
func outbound(t testing.TB) map[string][]byte {
	workspaceWide := place(46, 0)
	workspaceWide.ChannelID = ""
	deleted := event.Event{SenderID: alice, ClientMsgID: msgID, Body: "secret", Attachments: []chat.Attachment{{ID: "secret"}}}
	deletedReply := deleted
	deletedReply.Thread = 41
	about := &wire.Inbound{Type: wire.MessageSend, Ref: wire.Ref(`"r\u0031"`), ClientMsgID: msgID}
	return map[string][]byte{
		"hello": wire.AppendHello(nil, wire.Hello{
			SessionID: "069mz9tyc5w00s0000000000", UserID: alice, WorkspaceID: "069mz9tyc5w00w0000000000", Epoch: 2, Head: 41, Heartbeat: 30 * time.Second,
		}),
		"hello.resumed": wire.AppendHello(nil, wire.Hello{SessionID: "s", UserID: "u", WorkspaceID: "w", Epoch: chat.MaxEpoch, Head: chat.MaxSeq, Resumed: true, Heartbeat: 1500 * time.Millisecond}),
		"message.deliver": stored(t, place(42, 40), event.Event{
			Kind: event.MessagePosted, SenderID: alice, ClientMsgID: msgID, Body: "<hello> \"all\"\u2028👩‍💻",
		}),
		"message.deliver.full": stored(t, place(chat.MaxSeq, chat.MaxSeq-1), event.Event{
			Kind: event.MessagePosted, SenderID: alice, ClientMsgID: msgID, Thread: 41,
			Attachments: []chat.Attachment{{ID: "f1", Name: "plan.pdf", Size: 12, Type: "application/pdf"}},
		}),
		"message.deliver.deleted":       wire.AppendDeleted(nil, place(42, 0), &deleted),
		"message.deliver.deleted.reply": wire.AppendDeleted(nil, place(42, 41), &deletedReply),
		"event.message.edited":          stored(t, place(43, 42), event.Event{Kind: event.MessageEdited, SenderID: alice, MessageSeq: 42, Body: "hello, all"}),
		"event.message.deleted":         stored(t, place(43, 42), event.Event{Kind: event.MessageDeleted, SenderID: alice, MessageSeq: 42}),
		"event.reaction.added":          stored(t, place(44, 43), event.Event{Kind: event.ReactionAdded, SenderID: bob, MessageSeq: 42, Emoji: "👍"}),
		"event.reaction.removed":        stored(t, place(45, 44), event.Event{Kind: event.ReactionRemoved, SenderID: bob, MessageSeq: 42, Emoji: "👍"}),
		"event.pin.added":               stored(t, place(45, 44), event.Event{Kind: event.PinAdded, SenderID: bob, MessageSeq: 42}),
		"event.pin.removed":             stored(t, place(46, 45), event.Event{Kind: event.PinRemoved, SenderID: bob, MessageSeq: 42}),
		"event.member.joined":           stored(t, place(47, 46), event.Event{Kind: event.MemberJoined, SenderID: alice, UserID: bob, Role: chat.RoleMember}),
		"event.member.left":             stored(t, workspaceWide, event.Event{Kind: event.MemberLeft, SenderID: alice, UserID: bob}),
		"event.channel.created":         stored(t, place(1, 0), event.Event{Kind: event.ChannelCreated, SenderID: alice, Channel: &event.ChannelState{Name: "general", Type: chat.ChannelPublic, CreatorID: alice}}),
		"event.channel.updated":         stored(t, place(48, 47), event.Event{Kind: event.ChannelUpdated, SenderID: alice, Channel: &event.ChannelState{Name: "alle", Type: chat.ChannelPublic, Topic: "t", CreatorID: alice}}),
		"event.channel.archived":        stored(t, place(49, 48), event.Event{Kind: event.ChannelArchived, SenderID: alice, Channel: &event.ChannelState{Name: "alle", Type: chat.ChannelPublic, CreatorID: alice}}),
		"event.member.updated":          stored(t, place(48, 47), event.Event{Kind: event.MemberUpdated, SenderID: alice, UserID: bob, ChannelRole: chat.ChannelManager}),
		"event.workspace.updated":       stored(t, workspaceWide, event.Event{Kind: event.WorkspaceUpdated, SenderID: alice, Workspace: &event.WorkspaceState{Name: "Söhne"}}),
		"typing":                        wire.AppendTyping(nil, channel, bob),
		"presence.update":               wire.AppendPresence(nil, bob, chat.Presence{Status: chat.StatusOnline}, nil),
		"presence.update.answer":        wire.AppendPresence(nil, bob, chat.Presence{Status: chat.StatusAway, Text: "\"back\" at 3 <soon>"}, wire.Ref(`7`)),
		"cursor.read":                   wire.AppendRead(nil, channel, 42, nil),
		"cursor.read.answer":            wire.AppendRead(nil, channel, chat.MaxSeq, wire.Ref(`"r1"`)),
		"cursor.stale":                  wire.AppendStale(nil),
		"event.user.updated":            stored(t, workspaceWide, event.Event{Kind: event.UserUpdated, SenderID: bob, UserID: bob, User: &event.UserState{Login: "bob", DisplayName: "Bob"}}),
		"event.unknown":                 wire.AppendStored(nil, place(50, 49), "poll.opened", []byte(`{"v":1,"kind":"poll.opened","epoch":2,"channel_id":"`+string(channel)+`","sender_id":"u1","body":{"question":"when?"}}`)),
		"message.ack":                   wire.AppendMessageAck(nil, wire.Ack{ClientMsgID: msgID, ChannelID: channel, Epoch: 2, Seq: 42, At: at}),
		"message.ack.duplicate":         wire.AppendMessageAck(nil, wire.Ack{ClientMsgID: "-", ChannelID: "c", Epoch: 1, Seq: chat.MaxSeq, At: at.Truncate(time.Hour), Duplicate: true}),
		"ack":                           wire.AppendAck(nil, wire.Ref(`"r1"`), 43),
		"ack.number":                    wire.AppendAck(nil, wire.Ref(`-1.50e+2`), 43),
		"ack.unnamed":                   wire.AppendAck(nil, nil, 43),
		"pong":                          wire.AppendPong(nil, wire.Ref(`7`)),
		"pong.unnamed":                  wire.AppendPong(nil, nil),
		"resync.expired":                wire.AppendResync(nil, wire.ResyncExpired, 41),
		"resync.epoch":                  wire.AppendResync(nil, wire.ResyncEpoch, 0),
		"resync.ahead":                  wire.AppendResync(nil, wire.ResyncAhead, 41),
		"resync.gap":                    wire.AppendResync(nil, wire.ResyncGap, 41),
		"error":                         wire.AppendError(nil, fault.New(fault.Moving, "connect again"), nil),
		"error.about":                   wire.AppendError(nil, fault.New(fault.RateLimited, "256 sends are waiting").After(1500*time.Millisecond), about),
		"error.internal":                wire.AppendError(nil, os.ErrPermission, &wire.Inbound{Ref: wire.Ref(`1`)}),
	}
}

func goldenFrame(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "outbound", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Clients are written against these bytes. The order of fields is not promised to them, but a change of it
// shows here, as everything does.
func TestGoldenFrames(t *testing.T) {
	frames := outbound(t)
	for name, got := range frames {
		if *update {
			if err := os.WriteFile(filepath.Join("testdata", "outbound", name+".json"), got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := goldenFrame(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	files, err := filepath.Glob("testdata/outbound/*.json")
	if err != nil || len(files) != len(frames) {
		t.Errorf("%d files for %d frames, %v", len(files), len(frames), err)
	}
}

// Every Append adds to what is there, so that many frames are made in one buffer.
func TestFramesAreAppended(t *testing.T) {
	payload := []byte(`{"v":1,"kind":"pin.added"}`)
	e := event.Event{SenderID: alice, ClientMsgID: msgID}
	for name, build := range map[string]func([]byte) []byte{
		"hello":   func(b []byte) []byte { return wire.AppendHello(b, wire.Hello{}) },
		"stored":  func(b []byte) []byte { return wire.AppendStored(b, place(2, 1), event.PinAdded, payload) },
		"message": func(b []byte) []byte { return wire.AppendStored(b, place(2, 1), event.MessagePosted, payload) },
		"deleted": func(b []byte) []byte { return wire.AppendDeleted(b, place(2, 1), &e) },
		"m.ack":   func(b []byte) []byte { return wire.AppendMessageAck(b, wire.Ack{}) },
		"ack":     func(b []byte) []byte { return wire.AppendAck(b, wire.Ref("1"), 2) },
		"pong":    func(b []byte) []byte { return wire.AppendPong(b, nil) },
		"read":    func(b []byte) []byte { return wire.AppendRead(b, "c1", 2, nil) },
		"stale":   func(b []byte) []byte { return wire.AppendStale(b) },
		"resync":  func(b []byte) []byte { return wire.AppendResync(b, wire.ResyncGap, 2) },
		"error":   func(b []byte) []byte { return wire.AppendError(b, os.ErrClosed, nil) },
	} {
		alone := build(nil)
		if got := build([]byte("before ")); string(got) != "before "+string(alone) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if string(payload) != `{"v":1,"kind":"pin.added"}` {
		t.Errorf("the payload was written to: %s", payload)
	}
}

func TestADeletedMessageSaysNothing(t *testing.T) {
	for _, name := range []string{"message.deliver.deleted", "message.deliver.deleted.reply"} {
		if frame := goldenFrame(t, name); bytes.Contains(frame, []byte("secret")) || !bytes.Contains(frame, []byte(`"body":"","deleted":true`)) {
			t.Errorf("%s", frame)
		}
	}
}

func TestAppendError(t *testing.T) {
	for _, message := range []string{
		`say "please"`, `back\slash`, "tab\tline\nreturn\rnul\x00del\x7f\x01\x1f", "</script>&", "half \xf0\x9f a character\xff", "\u2028\u2029\u202e", "日本語 👩‍💻", strings.Repeat("long ", 2000), "%s %d %!",
	} {
		frame := wire.AppendError(nil, fault.New(fault.Invalid, "%s", message), nil)
		var got struct{ Type, Code, Message string }
		if err := json.Unmarshal(frame, &got); err != nil || !utf8.Valid(frame) {
			t.Fatalf("%q: %v", frame, err)
		}
		if got.Type != "error" || got.Code != "invalid" || got.Message != string([]rune(message)) {
			t.Errorf("%q is %+v", message, got)
		}
	}
}

func TestAppendErrorNeverLeaks(t *testing.T) {
	const secret = "10.0.0.7 refused"
	cause := &os.PathError{Op: "dial", Path: secret, Err: os.ErrClosed}
	for _, err := range []error{cause, fault.Wrap(fault.Unavailable, cause, "try again"), fault.Wrap(fault.Internal, cause, secret), fault.New(`x","y":"`+secret, secret)} {
		if frame := wire.AppendError(nil, err, nil); bytes.Contains(frame, []byte(secret)) || !json.Valid(frame) {
			t.Errorf("%s", frame)
		}
	}
}

func TestAppendTime(t *testing.T) {
	for want, at := range map[string]time.Time{
		"2026-03-01T12:30:45.678Z": at,
		"2026-01-01T00:00:00.000Z": time.Date(2026, 1, 1, 0, 0, 0, 999_999, time.UTC),
		"1970-01-01T00:00:00.001Z": time.UnixMilli(1),
		"2025-12-31T23:59:59.999Z": time.Date(2026, 1, 1, 1, 59, 59, 999_999_999, time.FixedZone("", 7200)),
	} {
		if got := string(wire.AppendTime(nil, at)); got != want {
			t.Errorf("%v is %s, not %s", at, got, want)
		}
	}
}
