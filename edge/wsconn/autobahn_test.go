package wsconn_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// The numbers are those of the groups of the Autobahn test suite whose subject a case has. Where that
// suite sends binary messages or megabytes, our answer is a refusal, and that is what is asked here.

func TestAutobahnFragmentation(t *testing.T) {
	run(t, []scenario{
		{name: "5.1 a ping in two fragments", send: [][]byte{frame(ws.OpPing, false, "a"), last("b")}, kind: fault.Protocol},
		{name: "5.2 a pong in two fragments", send: [][]byte{frame(ws.OpPong, false, "a"), last("b")}, kind: fault.Protocol},
		{name: "5.3 a text in two fragments", send: [][]byte{first("a"), last("b")}, want: []string{`text "ab"`}},
		{
			name: "5.6 a ping between two fragments",
			send: [][]byte{first("a"), ping("p"), last("b")},
			want: []string{`ping "p"`, `text "ab"`},
		},
		{name: "5.9 a continuation of nothing, last", send: [][]byte{last("a"), text("b")}, kind: fault.Protocol},
		{name: "5.12 a continuation of nothing, not last", send: [][]byte{more("a"), text("b")}, kind: fault.Protocol},
		{
			name: "5.15 a continuation of nothing after a message",
			send: [][]byte{first("a"), last("b"), more("c"), text("d"), last("e")},
			want: []string{`text "ab"`}, kind: fault.Protocol,
		},
		{name: "5.18 two first fragments", send: [][]byte{first("a"), text("b")}, kind: fault.Protocol},
		{
			name: "5.19 five fragments and two pings",
			send: [][]byte{first("1"), more("2"), ping("p"), more("3"), more("4"), ping("q"), last("5")},
			want: []string{`ping "p"`, `ping "q"`, `text "12345"`},
		},
	})
}

func TestAutobahnText(t *testing.T) {
	const kosme = "κόσμε"
	run(t, []scenario{
		{name: "6.1.2 three empty fragments", send: [][]byte{first(""), more(""), last("")}, want: []string{`text ""`}},
		{name: "6.1.3 one full between two empty", send: [][]byte{first(""), more("a"), last("")}, want: []string{`text "a"`}},
		{name: "6.2.1 characters of many bytes", send: [][]byte{text("Hello-µ@ßöäüàá-UTF-8!!")}, want: []string{`text "Hello-µ@ßöäüàá-UTF-8!!"`}},
		{name: "6.2.2 cut inside no character", send: [][]byte{first("Hello-µ@ß"), last("öäüàá")}, want: []string{`text "Hello-µ@ßöäüàá"`}},
		{name: "6.2.3 a fragment a byte", send: inFragments(kosme), want: []string{`text "` + kosme + `"`}},
		{name: "6.3.1 a bad text", send: [][]byte{text(kosme + "\xed\xa0\x80edited")}, kind: fault.NotText},
		{name: "6.3.2 a bad text, a fragment a byte", send: inFragments(kosme + "\xed\xa0\x80edited"), kind: fault.NotText},
		{
			name: "6.4 refused in the fragment that is bad, before the message ends",
			send: [][]byte{first(kosme + "\xf4\x90")}, kind: fault.NotText,
		},
		{
			name: "6.4 refused at the byte that makes it bad, across fragments",
			send: [][]byte{first(kosme + "\xf4"), more("\x90")}, kind: fault.NotText,
		},
		{name: "6.4 a message that ends inside a character", send: [][]byte{first("a\xce"), last("")}, kind: fault.NotText},
		{name: "6.4 a text that ends inside a character", send: [][]byte{text("a\xf0\x9f\x98")}, kind: fault.NotText},
		{
			name: "6.4 a ping inside a character",
			send: [][]byte{first("a\xf0\x9f"), ping("\x98\x80"), last("\x98\x80")},
			want: []string{`ping "\x98\x80"`, `text "a😀"`},
		},
	})
	good := []string{
		"\u0000", "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff",
		"\U00010000", "\U0001fffe", "\U0010ffff",
	}
	for _, s := range good {
		for _, send := range [][][]byte{{text(s)}, inFragments(s)} {
			if got := parse(t, slices.Concat(send...)); got.kind != "" || !strings.HasPrefix(got.events, "text ") {
				t.Errorf("6.5–6.23 %q: %+v, want it taken", s, got)
			}
		}
	}
	bad := []string{
		"\x80", "\xbf", "\x80\xbf\x80", "\xc0 ", "\xe0 ", "\xf0 ", "\xf8 ", "\xfc ", "\xfe", "\xff", // strays
		"\xc3", "\xe0\xa0", "\xf0\x90\x80", "\xce\xba\xe1\xbd", // cut short
		"\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", // too long
		"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", // five and six bytes
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", // surrogates
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf7\xbf\xbf\xbf", // past the last character
	}
	for _, s := range bad {
		for _, send := range [][][]byte{{text(s)}, {text("x" + s + "x")}, inFragments(s)} {
			if got := parse(t, slices.Concat(send...)); got.kind != fault.NotText || got.events != "" {
				t.Errorf("6.5–6.23 %q: %+v, want it refused as %s", s, got, fault.NotText)
			}
		}
	}
}

// inFragments is s with a frame for every byte.
func inFragments(s string) [][]byte {
	frames := [][]byte{first("")}
	for i := range len(s) {
		frames = append(frames, more(s[i:i+1]))
	}
	return append(frames, last(""))
}

func TestAutobahnClose(t *testing.T) {
	run(t, []scenario{
		{name: "7.1.1 a text, then a close", send: [][]byte{text("a"), closing(1000, "")}, want: []string{`text "a"`, `close 1000 ""`}},
		{name: "7.1.2 two closes", send: [][]byte{closing(1000, ""), closing(1000, "")}, want: []string{`close 1000 ""`}},
		{name: "7.1.3 a ping after it", send: [][]byte{closing(1000, ""), ping("")}, want: []string{`close 1000 ""`}},
		{name: "7.1.4 a text after it", send: [][]byte{closing(1000, ""), text("a")}, want: []string{`close 1000 ""`}},
		{name: "7.1.5 a close between fragments", send: [][]byte{first("a"), closing(1000, ""), last("b")}, want: []string{`close 1000 ""`}},
		{name: "7.3.1 no payload", send: [][]byte{frame(ws.OpClose, true, "")}, want: []string{`close 0 ""`}},
		{name: "7.3.2 one byte", send: [][]byte{frame(ws.OpClose, true, "\x03")}, kind: fault.Protocol},
		{name: "7.3.4 a reason", send: [][]byte{closing(1000, "Hello World!")}, want: []string{`close 1000 "Hello World!"`}},
		{name: "7.3.6 a reason of 124 bytes", send: [][]byte{closing(1000, strings.Repeat("*", 124))}, kind: fault.Protocol},
		{name: "7.5.1 a reason that is not UTF-8", send: [][]byte{closing(1000, "κόσμε\xed\xa0\x80")}, kind: fault.NotText},
		{name: "7.5.1 a reason that ends inside a character", send: [][]byte{closing(1000, "\xce")}, kind: fault.NotText},
	})
}

func TestAutobahnLimits(t *testing.T) {
	most := strings.Repeat("é", wsconn.MaxMessage/2)
	half := most[:wsconn.MaxMessage/2]
	few := slices.Concat([][]byte{first("")}, slices.Repeat([][]byte{more("")}, wsconn.MaxFragments-2))
	run(t, []scenario{
		{name: "9.1 the longest message", send: [][]byte{text(most)}, want: []string{`text "` + most + `"`}},
		{name: "9.1 one byte more", send: [][]byte{text(most + "a")}, kind: fault.TooLarge},
		{name: "9.3 the longest message in two fragments", send: [][]byte{first(half), last(half)}, want: []string{`text "` + most + `"`}},
		{name: "9.3 and an empty one", send: [][]byte{first(half), more(half), last("")}, want: []string{`text "` + most + `"`}},
		{name: "9.3 one byte more", send: [][]byte{first(half), more(half), last("a")}, kind: fault.TooLarge},
		{name: "9.3 two frames that are too long together", send: [][]byte{first(half), last(half + "a")}, kind: fault.TooLarge},
		{name: "9.3 the most fragments", send: append(slices.Clone(few), last("a")), want: []string{`text "a"`}},
		{
			name: "9.3 one fragment more, and a ping does not count",
			send: append(slices.Clone(few), ping(""), more(""), last("a")),
			want: []string{`ping ""`}, kind: fault.TooLarge,
		},
		{
			name: "9.3 the count starts again with each message",
			send: slices.Concat(few, [][]byte{last("a")}, few, [][]byte{last("b")}),
			want: []string{`text "a"`, `text "b"`},
		},
	})
}

// A message of many small fragments is not copied once a fragment.
func TestParserGrowsWithTheMessage(t *testing.T) {
	var p wsconn.Parser
	quiet := func(wsconn.Event) error { return nil }
	piece := more(strings.Repeat("x", 64))
	if err := p.Feed(first(""), quiet); err != nil {
		t.Fatal(err)
	}
	held, grown := 0, 0
	for range 1000 {
		if err := p.Feed(slices.Clone(piece), quiet); err != nil {
			t.Fatal(err)
		}
		if p.Held() != held {
			held, grown = p.Held(), grown+1
		}
	}
	if grown > 12 {
		t.Errorf("64,000 bytes in 1,000 fragments moved the buffer %d times", grown)
	}
}
