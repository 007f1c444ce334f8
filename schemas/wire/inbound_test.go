package wire_test

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/ijson"
	"github.com/canopychat/canopy/schemas/wire"
)

// inbound is the frames of a client, and what they are read as.
var inbound = []struct {
	name, data string
	want       wire.Inbound
	kind       event.Kind
}{
	{"send", `{"type":"message.send","channel_id":"c1","body":"hi","client_msg_id":"m1"}`,
		wire.Inbound{Type: wire.MessageSend, ChannelID: "c1", Body: "hi", ClientMsgID: "m1"}, event.MessagePosted},
	{"send with everything", `{"type":"message.send","ref":"r","channel_id":"c1","body":"h\u00ef \ud83d\ude00\n","client_msg_id":"m1","thread":41,"attachments":[{"id":"f1","name":"a","size":5,"type":"t"}],"retry":true}`,
		wire.Inbound{Type: wire.MessageSend, Ref: wire.Ref(`"r"`), ChannelID: "c1", Body: "hï 😀\n", ClientMsgID: "m1", Thread: 41, Attachments: []chat.Attachment{{ID: "f1", Name: "a", Size: 5, Type: "t"}}, Retry: true}, event.MessagePosted},
	{"edit", `{"type":"message.edit","channel_id":"c1","seq":41,"body":"ho","ref":1}`,
		wire.Inbound{Type: wire.MessageEdit, ChannelID: "c1", Seq: 41, Body: "ho", Ref: wire.Ref(`1`)}, event.MessageEdited},
	{"delete", `{"type":"message.delete","channel_id":"c1","seq":281474976710655,"ref":-0.5e-3}`,
		wire.Inbound{Type: wire.MessageDelete, ChannelID: "c1", Seq: chat.MaxSeq, Ref: wire.Ref(`-0.5e-3`)}, event.MessageDeleted},
	{"react", `{"type":"reaction.add","channel_id":"c1","seq":41,"emoji":"👍","ref":""}`,
		wire.Inbound{Type: wire.ReactionAdd, ChannelID: "c1", Seq: 41, Emoji: "👍", Ref: wire.Ref(`""`)}, event.ReactionAdded},
	{"unreact", `{"type":"reaction.remove","channel_id":"c1","seq":41,"emoji":"👍"}`,
		wire.Inbound{Type: wire.ReactionRemove, ChannelID: "c1", Seq: 41, Emoji: "👍"}, event.ReactionRemoved},
	{"typing", `{"type":"typing.start","channel_id":"c1"}`, wire.Inbound{Type: wire.TypingStart, ChannelID: "c1"}, ""},
	{"a status", `{"type":"presence.set","status":"away","text":"bäck at 3","ref":"r"}`,
		wire.Inbound{Type: wire.PresenceSet, Ref: wire.Ref(`"r"`), Status: chat.StatusAway, Text: "bäck at 3"}, ""},
	{"a query", `{"type":"presence.query","user_ids":["u1","u2"]}`, wire.Inbound{Type: wire.PresenceQuery, UserIDs: []chat.UserID{"u1", "u2"}}, ""},
	{"a query of nobody", `{"type":"presence.query"}`, wire.Inbound{Type: wire.PresenceQuery}, ""},
	{"a read mark", `{"type":"cursor.read","channel_id":"c1","seq":5,"ref":"r"}`, wire.Inbound{Type: wire.CursorRead, ChannelID: "c1", Seq: 5, Ref: wire.Ref(`"r"`)}, ""},
	{"a read mark without a ref", `{"type":"cursor.read","channel_id":"c1","seq":281474976710655}`, wire.Inbound{Type: wire.CursorRead, ChannelID: "c1", Seq: chat.MaxSeq}, ""},
	{"a delivered cursor", `{"type":"cursor.delivered","seq":5}`, wire.Inbound{Type: wire.CursorDelivered, Seq: 5}, ""},
	{"a delivered cursor with a ref", `{"type":"cursor.delivered","seq":1,"ref":3}`, wire.Inbound{Type: wire.CursorDelivered, Seq: 1, Ref: wire.Ref(`3`)}, ""},
	{"ping", `{"type":"ping","ref":7}`, wire.Inbound{Type: wire.Ping, Ref: wire.Ref(`7`)}, ""},
	{"ping without a ref", `{"type":"ping"}`, wire.Inbound{Type: wire.Ping}, ""},
}

func TestParse(t *testing.T) {
	for _, tt := range inbound {
		t.Run(tt.name, func(t *testing.T) {
			got, err := wire.Parse([]byte(tt.data))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if got.Kind() != tt.kind {
				t.Errorf("it asks for %q", got.Kind())
			}
		})
	}
}

func TestParseTakesLeniently(t *testing.T) {
	ping := wire.Inbound{Type: wire.Ping}
	for _, data := range []string{
		" \r\n\t{ \"type\" : \"ping\" }\n", `{"type":"ping","new":{"Type":[1,null]},"x":-1e5}`, `{"type":"p\u0069ng"}`,
		`{"type":"ping","ref":null,"channel_id":null,"thread":null,"seq":null,"body":null,"attachments":null,"retry":null,"client_msg_id":null,"emoji":null}`,
	} {
		got, err := wire.Parse([]byte(data))
		if diff := cmp.Diff(ping, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", data, err, diff)
		}
	}
}

// The beginnings of the frames below.
const (
	send = `{"type":"message.send","ref":"r","client_msg_id":"m1","channel_id":"c1","body":"hi"`
	edit = `{"type":"message.edit","ref":"r","channel_id":"c1","body":"hi"`
)

// What the answer to a frame that is refused can repeat: of ref and client_msg_id.
const (
	nothing = iota
	ref
	both
)

// badFrames is what Parse must not take, with the kind of the failure.
var badFrames = []struct {
	name, data string
	kind       fault.Kind
	named      int
}{
	{"nothing", ``, fault.Invalid, nothing},
	{"white space", " \n", fault.Invalid, nothing},
	{"no JSON", `hello`, fault.Invalid, nothing},
	{"null", `null`, fault.Invalid, nothing},
	{"an array", `[{"type":"ping"}]`, fault.Invalid, nothing},
	{"a byte order mark", "\ufeff{\"type\":\"ping\"}", fault.Invalid, nothing},
	{"half a frame", send, fault.Invalid, nothing},
	{"two frames", send + `}` + send + `}`, fault.Invalid, nothing},
	{"no type", `{"ref":"r","client_msg_id":"m1"}`, fault.Invalid, both},
	{"an empty type", `{"ref":"r","client_msg_id":"m1","type":""}`, fault.Invalid, both},
	{"type null", `{"ref":"r","client_msg_id":"m1","type":null}`, fault.Invalid, both},
	{"type a number", `{"ref":"r","client_msg_id":"m1","type":5}`, fault.Invalid, both},
	{"type an object", `{"ref":"r","client_msg_id":"m1","type":{"type":"ping"}}`, fault.Invalid, both},
	{"an unknown type", `{"ref":"r","client_msg_id":"m1","type":"message.burn"}`, fault.Invalid, both},
	{"a type of the gateway's", `{"ref":"r","client_msg_id":"m1","type":"message.ack"}`, fault.Invalid, both},
	{"a type in capitals", `{"ref":"r","client_msg_id":"m1","type":"Ping"}`, fault.Invalid, both},
	{"typing nowhere", `{"type":"typing.start","ref":"r"}`, fault.NotFound, ref},
	{"typing everywhere", `{"type":"typing.start","channel_id":">","ref":"r"}`, fault.NotFound, ref},
	{"no status", `{"type":"presence.set","text":"x","ref":"r"}`, fault.Invalid, ref},
	{"another status", `{"type":"presence.set","status":"dancing","ref":"r"}`, fault.Invalid, ref},
	{"a status that is a number", `{"type":"presence.set","status":1,"ref":"r"}`, fault.Invalid, ref},
	{"a long status text", `{"type":"presence.set","status":"away","text":"` + strings.Repeat("x", chat.MaxStatusText+1) + `","ref":"r"}`, fault.Invalid, ref},
	{"a status text that turns round", `{"type":"presence.set","status":"away","text":"a\u202eb","ref":"r"}`, fault.Invalid, ref},
	{"a status text of two lines", `{"type":"presence.set","status":"away","text":"a\nb","ref":"r"}`, fault.Invalid, ref},
	{"a query of nobody's id", `{"type":"presence.query","user_ids":["u1","*"],"ref":"r"}`, fault.Invalid, ref},
	{"a query of one", `{"type":"presence.query","user_ids":"u1","ref":"r"}`, fault.Invalid, ref},
	{"a query of too many", `{"type":"presence.query","user_ids":["u1"` + strings.Repeat(`,"u1"`, chat.MaxWatched) + `],"ref":"r"}`, fault.Invalid, ref},
	{"a read mark of nothing", `{"type":"cursor.read","channel_id":"c1","ref":"r"}`, fault.Invalid, ref},
	{"a read mark at 0", `{"type":"cursor.read","channel_id":"c1","seq":0,"ref":"r"}`, fault.Invalid, ref},
	{"a read mark beyond every log", `{"type":"cursor.read","channel_id":"c1","seq":281474976710656,"ref":"r"}`, fault.Invalid, ref},
	{"a read mark nowhere", `{"type":"cursor.read","seq":5,"ref":"r"}`, fault.NotFound, ref},
	{"a read mark everywhere", `{"type":"cursor.read","channel_id":"*","seq":5,"ref":"r"}`, fault.NotFound, ref},
	{"a delivered cursor of nothing", `{"type":"cursor.delivered","ref":"r"}`, fault.Invalid, ref},
	{"a delivered cursor at 0", `{"type":"cursor.delivered","seq":0,"ref":"r"}`, fault.Invalid, ref},
	{"a delivered cursor with an epoch", `{"type":"cursor.delivered","seq":"1.5","ref":"r"}`, fault.Invalid, ref},
	{"a delivered cursor beyond every log", `{"type":"cursor.delivered","seq":281474976710656,"ref":"r"}`, fault.Invalid, ref},
	{"a frame of the gateway's", `{"type":"cursor.stale","ref":"r"}`, fault.Invalid, ref},

	{"no channel", `{"type":"message.send","ref":"r","client_msg_id":"m1","body":"hi"}`, fault.NotFound, both},
	{"a wildcard", `{"type":"message.send","ref":"r","client_msg_id":"m1","channel_id":"*"}`, fault.NotFound, both},
	{"everything below", `{"type":"message.send","ref":"r","client_msg_id":"m1","channel_id":">"}`, fault.NotFound, both},
	{"a path", `{"type":"message.edit","ref":"r","channel_id":"../c1","seq":1}`, fault.NotFound, ref},
	{"two tokens", `{"type":"message.edit","ref":"r","channel_id":"w.c","seq":1}`, fault.NotFound, ref},
	{"NUL", `{"type":"message.edit","ref":"r","channel_id":"c\u0000","seq":1}`, fault.NotFound, ref},
	{"the workspace's own subject", `{"type":"message.edit","ref":"r","channel_id":"-","seq":1}`, fault.NotFound, ref},
	{"a very long channel", `{"type":"message.edit","ref":"r","channel_id":"` + strings.Repeat("c", 300) + `","seq":1}`, fault.NotFound, ref},
	{"a channel that is a number", `{"type":"message.edit","ref":"r","channel_id":5,"seq":1}`, fault.Invalid, ref},

	{"no client_msg_id", `{"type":"message.send","ref":"r","channel_id":"c1","body":"hi"}`, fault.Invalid, ref},
	{"a client_msg_id of another alphabet", `{"type":"message.send","ref":"r","channel_id":"c1","client_msg_id":"a.b"}`, fault.Invalid, ref},
	{"a client_msg_id that would break the answer", `{"type":"message.send","ref":"r","channel_id":"c1","client_msg_id":"a\",\"code\":\"b"}`, fault.Invalid, ref},
	{"and in no channel", `{"type":"message.send","ref":"r","channel_id":"*","client_msg_id":"a\"b"}`, fault.NotFound, ref},
	{"and of an unknown type", `{"type":"x","ref":"r","client_msg_id":"a\"b"}`, fault.Invalid, ref},
	{"and of a cursor", `{"type":"cursor.delivered","ref":"r","client_msg_id":"\u0000"}`, fault.Invalid, ref},
	{"a long client_msg_id", `{"type":"message.send","ref":"r","channel_id":"c1","client_msg_id":"` + strings.Repeat("m", 65) + `"}`, fault.Invalid, ref},
	{"a client_msg_id that is a number", `{"type":"message.send","ref":"r","channel_id":"c1","client_msg_id":5}`, fault.Invalid, ref},

	{"no seq", edit + `}`, fault.Invalid, ref},
	{"seq 0", edit + `,"seq":0}`, fault.Invalid, ref},
	{"seq null", edit + `,"seq":null}`, fault.Invalid, ref},
	{"seq a string", edit + `,"seq":"5"}`, fault.Invalid, ref},
	{"seq negative", edit + `,"seq":-1}`, fault.Invalid, ref},
	{"seq with a point", edit + `,"seq":5.0}`, fault.Invalid, ref},
	{"seq with an exponent", edit + `,"seq":1e3}`, fault.Invalid, ref},
	{"seq over 48 bits", edit + `,"seq":281474976710656}`, fault.Invalid, ref},
	{"seq 2^63", edit + `,"seq":9223372036854775808}`, fault.Invalid, ref},
	{"seq 2^64", edit + `,"seq":18446744073709551616}`, fault.Invalid, ref},
	{"seq a list", edit + `,"seq":[5]}`, fault.Invalid, ref},
	{"seq in capitals", edit + `,"SEQ":5}`, fault.Invalid, ref},

	{"a body that is a number", `{"type":"message.send","ref":"r","client_msg_id":"m1","channel_id":"c1","body":5}`, fault.Invalid, both},
	{"half a surrogate pair", send[:len(send)-1] + `\ud83d"}`, fault.Invalid, both},
	{"a thread that is a string", send + `,"thread":"41"}`, fault.Invalid, both},
	{"a negative thread", send + `,"thread":-1}`, fault.Invalid, both},
	{"retry as a word", send + `,"retry":"yes"}`, fault.Invalid, both},
	{"attachments that are an object", send + `,"attachments":{}}`, fault.Invalid, both},
	{"an attachment that is a string", send + `,"attachments":["f1"]}`, fault.Invalid, both},
	{"an attachment with a size of words", send + `,"attachments":[{"id":"f","size":"big"}]}`, fault.Invalid, both},
	{"nested garbage", send + `,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, fault.Invalid, both},
	{"garbage nested for parsers", send + `,"x":` + strings.Repeat(`{"a":`, 11000) + `1` + strings.Repeat("}", 11000) + `}`, fault.Invalid, nothing},
	{"a body twice", send + `,"body":"ho"}`, fault.Invalid, both},
	{"an unknown key twice", send + `,"x":1,"x":2}`, fault.Invalid, both},
	{"two spellings of body", send + `,"Body":"ho"}`, fault.Invalid, both},
	{"type twice", `{"ref":"r","type":"ping","type":"ping"}`, fault.Invalid, ref},
	{"type twice, once with an escape", `{"ref":"r","type":"ping","\u0074ype":"message.send"}`, fault.Invalid, ref},
	{"the long s for s", edit + ",\"\u017feq\":5}", fault.Invalid, ref},
	{"bytes that are no UTF-8", send[:len(send)-1] + "\xff\"}", fault.Invalid, both},

	{"a huge ref", `{"type":"ping","ref":"` + strings.Repeat("r", 63) + `"}`, fault.Invalid, nothing},
	{"a ref of many digits", `{"type":"ping","ref":` + strings.Repeat("1", 65) + `}`, fault.Invalid, nothing},
	{"a ref that is true", `{"type":"ping","ref":true}`, fault.Invalid, nothing},
	{"a ref that is an object", `{"type":"ping","ref":{"a":1}}`, fault.Invalid, nothing},
	{"a ref that is a list", `{"type":"ping","ref":["r"]}`, fault.Invalid, nothing},
	{"a ref that is no UTF-8", "{\"type\":\"ping\",\"ref\":\"\xff\"}", fault.Invalid, nothing},
	{"a ref of half a pair", `{"type":"ping","ref":"\ud83d"}`, fault.Invalid, nothing},
	{"a ref that no double holds", `{"type":"ping","ref":1e999}`, fault.Invalid, nothing},
	{"a bad ref in a send", `{"type":"message.send","ref":[],"channel_id":"c1","client_msg_id":"m1"}`, fault.Invalid, nothing},
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range badFrames {
		t.Run(tt.name, func(t *testing.T) {
			in, err := wire.Parse([]byte(tt.data))
			if !fault.Is(err, tt.kind) {
				t.Fatalf("%.200s: %+v, %v", tt.data, in, err)
			}
			if got := string(in.Ref) == `"r"`; got != (tt.named >= ref) {
				t.Errorf("the answer names ref %s", in.Ref)
			}
			if tt.name == "a bad ref in a send" {
				tt.named = both
			}
			if got := in.ClientMsgID == "m1"; got != (tt.named == both) || (!got && in.ClientMsgID != "") {
				t.Errorf("the answer names client_msg_id %q", in.ClientMsgID)
			}
			checkAnswer(t, in, err)
		})
	}
}

// checkAnswer holds the answer to a frame that was refused to what clients need: it can be read, and repeats
// nothing else of what was sent.
func checkAnswer(t *testing.T, in wire.Inbound, err error) {
	t.Helper()
	frame := wire.AppendError(nil, err, &in)
	if ierr := ijson.Check(frame, ijson.Rules{MaxDepth: 1}); ierr != nil || !json.Valid(frame) || len(frame) > 600 {
		t.Fatalf("%q: %v", frame, ierr)
	}
	var got struct {
		Type, Code, Message string
		Ref                 json.RawMessage
		ClientMsgID         chat.ClientMsgID `json:"client_msg_id"`
	}
	if err := json.Unmarshal(frame, &got); err != nil || got.Type != "error" || got.Code == "" || got.Message == "" {
		t.Fatalf("%s: %v", frame, err)
	}
	if got.ClientMsgID != in.ClientMsgID || !bytes.Equal(got.Ref, in.Ref) {
		t.Fatalf("%s does not name %s and %q", frame, in.Ref, in.ClientMsgID)
	}
}

// A client finds its request by the ref that it sent, byte for byte: no number is rounded, no escape undone.
func TestRefsComeBackAsTheyWere(t *testing.T) {
	for _, ref := range []string{
		`0`, `-0`, `1`, `1.0`, `1.50`, `1E5`, `1e-7`, `12345678901234567890123456789012345678901234567890`, `0.1000000000000000055511151231257827`,
		`""`, `"r"`, `" r "`, `"\u0031"`, `"\/"`, `"\"\\"`, `"\n"`, `"\u0000"`, `"ünï👩‍💻"`, `"\ud83d\ude00"`, `"<&>"`, "\"\u2028\"", `"null"`, `"` + strings.Repeat("x", 62) + `"`,
	} {
		in, err := wire.Parse([]byte(`{"ref": ` + ref + ` ,"type":"ping"}`))
		if err != nil || string(in.Ref) != ref {
			t.Errorf("%s is %s, %v", ref, in.Ref, err)
		}
		for _, frame := range [][]byte{wire.AppendPong(nil, in.Ref), wire.AppendAck(nil, in.Ref, 1), wire.AppendError(nil, os.ErrClosed, &in)} {
			var got struct{ Ref json.RawMessage }
			if err := json.Unmarshal(frame, &got); err != nil || string(got.Ref) != ref {
				t.Errorf("%s comes back in %s, %v", ref, frame, err)
			}
		}
	}
}

// The loop reads the next frame into the same buffer while the body of this one is on its way to the log.
func TestAFrameHoldsNothingOfItsBytes(t *testing.T) {
	for _, tt := range inbound {
		data := []byte(tt.data)
		got, err := wire.Parse(data)
		for i := range data {
			data[i] = 'x'
		}
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
	}
	data := []byte(`{"ref":"r","client_msg_id":"m1","type":5}`)
	got, err := wire.Parse(data)
	for i := range data {
		data[i] = 'x'
	}
	if err == nil || string(got.Ref) != `"r"` || got.ClientMsgID != "m1" {
		t.Errorf("%s %s, %v", got.Ref, got.ClientMsgID, err)
	}
}

// Go's own clients write frames with the struct that the gateway reads them into.
func TestAnInboundFrameIsWrittenAsItIsRead(t *testing.T) {
	for _, tt := range inbound {
		b, err := json.Marshal(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.Parse(b)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", b, err, diff)
		}
	}
}

// checkTaken says what Parse promises of a frame that it took.
func checkTaken(t *testing.T, in wire.Inbound) {
	switch in.Type {
	case wire.Ping:
	case wire.PresenceSet:
		if !in.Status.Valid() || chat.CheckStatusText(in.Text) != nil {
			t.Fatalf("%+v", in)
		}
	case wire.PresenceQuery:
		if len(in.UserIDs) > chat.MaxWatched {
			t.Fatalf("%d users", len(in.UserIDs))
		}
		for _, id := range in.UserIDs {
			if !chat.IsID(string(id)) {
				t.Fatalf("%+v", in)
			}
		}
	case wire.CursorDelivered:
		if in.Seq == 0 || in.Seq > chat.MaxSeq {
			t.Fatalf("%+v", in)
		}
	case wire.CursorRead:
		if in.Seq == 0 || in.Seq > chat.MaxSeq || !chat.IsID(string(in.ChannelID)) {
			t.Fatalf("%+v", in)
		}
	default:
		if (in.Kind() == "") != (in.Type == wire.TypingStart) || !chat.IsID(string(in.ChannelID)) {
			t.Fatalf("%+v", in)
		}
	}
}

// FuzzParse: no bytes make Parse panic. What it takes is as its type says; what it refuses gets an answer that
// can be read. Either way nothing stays of the buffer.
func FuzzParse(f *testing.F) {
	for _, tt := range inbound {
		f.Add([]byte(tt.data))
	}
	for _, s := range []string{
		``, `{}`, `{"type":5,"ref":"r"}`, `{"type":"ping","ref":null}`, `{"type":"x","client_msg_id":"a\"b"}`, `{"type":"message.edit","channel_id":"c1","seq":9223372036854775808}`,
		`{"type":"ping","Type":"x"}`, `{"type":"ping","ref":"\ud83d"}`, "{\"type\":\"ping\",\"ref\":\"\xff\"}", `{"type":"ping","ref":[[[[]]]]}`, `{"ref":1e999}`, `{"type":"cursor.read"}`,
		`{"type":"cursor.read","channel_id":"c1","seq":-1}`, `{"type":"cursor.delivered","seq":1e3}`, `{"type":"cursor.delivered","seq":null}`, `{"type":"cursor.stale"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := wire.Parse(data)
		buffer := bytes.Clone(data)
		in, again := wire.Parse(buffer)
		for i := range buffer {
			buffer[i] = math.MaxUint8
		}
		if (err == nil) != (again == nil) || !cmp.Equal(first, in) {
			t.Fatalf("%+v, %v and then %+v, %v", first, err, in, again)
		}
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
				t.Fatalf("%q: %v", data, err)
			}
			checkAnswer(t, in, err)
			return
		}
		if len(in.Ref) > wire.MaxRef || !utf8.Valid(in.Ref) || !utf8.ValidString(in.Body+in.Emoji) {
			t.Fatalf("%q is %+v", data, in)
		}
		checkTaken(t, in)
		if in.Kind() != "" && in.Kind() != event.MessagePosted && (in.Seq == 0 || in.Seq > chat.MaxSeq) {
			t.Fatalf("%q is %+v", data, in)
		}
		if pong := wire.AppendPong(nil, in.Ref); !json.Valid(pong) || !utf8.Valid(pong) {
			t.Fatalf("%q", pong)
		}
	})
}
