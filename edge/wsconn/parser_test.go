package wsconn_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

func TestParserTakes(t *testing.T) {
	long := strings.Repeat("x", wsconn.MaxFrame)
	run(t, []scenario{
		{name: "nothing"},
		{name: "a text", send: [][]byte{text("Hello")}, want: []string{`text "Hello"`}},
		{name: "an empty text", send: [][]byte{text("")}, want: []string{`text ""`}},
		{name: "a text of 125 bytes", send: [][]byte{text(long[:125])}, want: []string{`text "` + long[:125] + `"`}},
		{name: "a text of 126 bytes", send: [][]byte{text(long[:126])}, want: []string{`text "` + long[:126] + `"`}},
		{name: "a ping", send: [][]byte{ping("are you there")}, want: []string{`ping "are you there"`}},
		{name: "an empty ping", send: [][]byte{ping("")}, want: []string{`ping ""`}},
		{name: "a pong", send: [][]byte{pong("7")}, want: []string{`pong "7"`}},
		{name: "a close with nothing", send: [][]byte{frame(ws.OpClose, true, "")}, want: []string{`close 0 ""`}},
		{name: "a close with a code", send: [][]byte{closing(1000, "")}, want: []string{`close 1000 ""`}},
		{name: "a close with a reason", send: [][]byte{closing(1001, "bye ✓")}, want: []string{`close 1001 "bye ✓"`}},
		{
			name: "a close with the longest reason",
			send: [][]byte{closing(1000, long[:wsconn.MaxReason])},
			want: []string{`close 1000 "` + long[:wsconn.MaxReason] + `"`},
		},
		{
			name: "fifty frames in one read",
			send: slices.Repeat([][]byte{text("a"), ping("b")}, 25),
			want: slices.Repeat([]string{`text "a"`, `ping "b"`}, 25),
		},
		{
			name: "a message in three fragments, one of them empty",
			send: [][]byte{first("Hel"), more(""), last("lo")},
			want: []string{`text "Hello"`},
		},
		{
			name: "control frames between fragments",
			send: [][]byte{first("a"), ping("1"), more("b"), pong("2"), ping(""), last("c"), text("d")},
			want: []string{`ping "1"`, `pong "2"`, `ping ""`, `text "abc"`, `text "d"`},
		},
		{
			name: "a close inside a message, which ends both",
			send: [][]byte{first("a"), closing(1000, ""), last("b")},
			want: []string{`close 1000 ""`},
		},
		{
			name: "nothing after a close",
			send: [][]byte{closing(1000, ""), text("late"), {0xff, 0xff}, closing(1000, "")},
			want: []string{`close 1000 ""`},
		},
	})
}

func TestParserRefuses(t *testing.T) {
	protocol := func(name string, send ...[]byte) scenario {
		return scenario{name: name, send: send, kind: fault.Protocol}
	}
	run(t, []scenario{
		protocol("a frame that is not masked", ws.MustCompileFrame(ws.NewTextFrame([]byte("a")))),
		protocol("an empty frame that is not masked", []byte{0x81, 0x00}),
		protocol("a ping that is not masked", []byte{0x89, 0x00}),
		protocol("RSV1, which would be a compressed frame", raw([]byte{0xc1, 0x81}, "a")),
		protocol("RSV2", raw([]byte{0xa1, 0x81}, "a")),
		protocol("RSV3", raw([]byte{0x91, 0x81}, "a")),
		protocol("RSV1 on a ping", raw([]byte{0xc9, 0x80}, "")),
		protocol("a ping in fragments", frame(ws.OpPing, false, "a")),
		protocol("a close in fragments", frame(ws.OpClose, false, "")),
		protocol("a ping of 126 bytes", frame(ws.OpPing, true, strings.Repeat("x", 126))),
		protocol("a close of 126 bytes", closing(1000, strings.Repeat("x", 124))),
		protocol("a ping that announces 2^62 bytes", raw([]byte{0x89, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0}, "")),
		protocol("a continuation of nothing", last("a")),
		protocol("a continuation after a whole message", first("a"), last("b"), last("c")).after(`text "ab"`),
		protocol("a text inside a message", first("a"), text("b")),
		protocol("a first fragment inside a message", first("a"), first("b")),
		protocol("a binary frame inside a message", first("a"), frame(ws.OpBinary, true, "b")),
		protocol("a length of 125 in two bytes", raw([]byte{0x81, 0xfe, 0, 125}, strings.Repeat("x", 125))),
		protocol("a length of 0 in two bytes", raw([]byte{0x81, 0xfe, 0, 0}, "")),
		protocol("a length of 126 in eight bytes", raw([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 126}, "")),
		protocol("a length of 65535 in eight bytes", raw([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, "")),
		protocol("a length with its top bit set", raw([]byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0}, "")),
		protocol("a close of one byte", frame(ws.OpClose, true, "a")),
		protocol("what came before it is still taken", text("a"), ping("b"), []byte{0x81, 0x00}).after(`text "a"`, `ping "b"`),
		{name: "a binary message", send: [][]byte{frame(ws.OpBinary, true, "a")}, kind: fault.Unsupported},
		{name: "a binary message in fragments", send: [][]byte{frame(ws.OpBinary, false, "a")}, kind: fault.Unsupported},
	})
	for op := range byte(16) {
		if op > 2 && op < 8 || op > 10 {
			run(t, []scenario{protocol("reserved opcode "+string("0123456789abcdef"[op]), raw([]byte{0x80 | op, 0x81}, "a"))})
		}
	}
}

// after says which events come before the refusal.
func (s scenario) after(events ...string) scenario {
	s.want = events
	return s
}

func TestParserCloseCodes(t *testing.T) {
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4499, 4999} {
		if got := parse(t, closing(code, "")); got.kind != "" || !strings.HasPrefix(got.events, "close ") {
			t.Errorf("close code %d: %+v, want it taken", code, got)
		}
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		if got := parse(t, closing(code, "")); got.kind != fault.Protocol || got.events != "" {
			t.Errorf("close code %d: %+v, want it refused as %s", code, got, fault.Protocol)
		}
	}
}

// A header is refused before any of its payload has come: nobody makes us wait, or keep, 2^62 bytes.
func TestParserRefusesByTheHeaderAlone(t *testing.T) {
	for name, header := range map[string]struct {
		bytes []byte
		kind  fault.Kind
	}{
		"a frame over the limit":  {[]byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1}, fault.TooLarge},
		"2^63-1 bytes":            {[]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, fault.TooLarge},
		"binary":                  {[]byte{0x82, 0x85}, fault.Unsupported},
		"a reserved opcode":       {[]byte{0x83, 0x85}, fault.Protocol},
		"a long control frame":    {[]byte{0x8a, 0xfe, 0xff, 0xff}, fault.Protocol},
		"a continuation of none":  {[]byte{0x80, 0x85}, fault.Protocol},
		"a length in a long form": {[]byte{0x81, 0xfe, 0x00, 0x05}, fault.Protocol},
	} {
		if got := parse(t, raw(header.bytes, "")); got.kind != header.kind {
			t.Errorf("%s: refused as %q, want %q", name, got.kind, header.kind)
		}
	}
}

func TestParserIsOverAfterAnError(t *testing.T) {
	var p wsconn.Parser
	events := 0
	emit := func(wsconn.Event) error { events++; return nil }
	if err := p.Feed([]byte{0x81, 0x00}, emit); !fault.Is(err, fault.Protocol) {
		t.Fatalf("a frame that is not masked: %v", err)
	}
	if err := p.Feed(text("late"), emit); err != nil || events != 0 {
		t.Errorf("after an error: %d events, %v; want what follows dropped", events, err)
	}
	if p.Partial() {
		t.Error("a parser that is over holds something partial")
	}
}

func TestParserEndsWithTheReceiversError(t *testing.T) {
	var p wsconn.Parser
	enough := errors.New("enough")
	events := 0
	emit := func(wsconn.Event) error {
		events++
		return enough
	}
	wire := slices.Concat(text("a"), text("b"))
	if err := p.Feed(wire, emit); err != enough || events != 1 {
		t.Errorf("%d events and error %v, want one event and the receiver's own error", events, err)
	}
	if err := p.Feed(text("c"), emit); err != nil || events != 1 {
		t.Errorf("fed after that: %d events, %v; want it dropped", events, err)
	}
}

func TestParserPartial(t *testing.T) {
	var p wsconn.Parser
	quiet := func(wsconn.Event) error { return nil }
	step := func(what string, data []byte, partial bool, finished uint32) {
		t.Helper()
		if err := p.Feed(data, quiet); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if p.Partial() != partial || p.Finished() != finished {
			t.Errorf("%s: Partial %v, Finished %d; want %v, %d", what, p.Partial(), p.Finished(), partial, finished)
		}
	}
	step("at first", nil, false, 0)
	step("a whole text", text("a"), false, 1)
	step("one byte of a header", text("ab")[:1], true, 1)
	step("the header", text("ab")[1:6], true, 1)
	step("half of the payload", text("ab")[6:7], true, 1)
	step("its end", text("ab")[7:], false, 2)
	step("a fragment", first("a"), true, 2)
	step("a ping in between, which ends nothing", ping("b"), true, 2)
	step("half of another", ping("b")[:3], true, 2)
	step("its other half", ping("b")[3:], true, 2)
	step("the last fragment, and the start of a text", slices.Concat(last("c"), text("d")[:2]), true, 3)
	step("the end of that text, and half of a ping", slices.Concat(text("d")[2:], ping("e")[:5]), true, 4)
	step("its other half", ping("e")[5:], false, 5)
	step("a close", closing(1000, ""), false, 6)
}

// The payload of a frame that is whole in the read buffer is unmasked there, and an append to it does
// not reach the frame after it.
func TestParserPayloadLiesInTheReadBuffer(t *testing.T) {
	var p wsconn.Parser
	const header = 6
	wire := slices.Concat(text("first"), text("second"))
	places := []*byte{&wire[header], &wire[header+len("first")+header]}
	var got []string
	err := p.Feed(wire, func(e wsconn.Event) error {
		if &e.Payload[0] != places[len(got)] {
			t.Errorf("the payload %q was copied", e.Payload)
		}
		got = append(got, string(e.Payload))
		_ = append(e.Payload, "overwritten"...) // what a careless receiver may do
		return nil
	})
	if err != nil || !slices.Equal(got, []string{"first", "second"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestParserIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(wsconn.Parser{}); size > 16 {
		t.Errorf("a parser takes %d bytes of every idle connection, want at most 16", size)
	}
}

func TestParserAllocatesNothingForWholeFrames(t *testing.T) {
	var p wsconn.Parser
	wire := slices.Concat(text(strings.Repeat("x", 100)), ping("1"), pong("2"))
	buffer := make([]byte, len(wire))
	events := 0
	emit := func(wsconn.Event) error { events++; return nil }
	allocs := testing.AllocsPerRun(100, func() {
		copy(buffer, wire)
		if err := p.Feed(buffer, emit); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 || events == 0 {
		t.Errorf("%v allocations for three whole frames, want 0", allocs)
	}
}
