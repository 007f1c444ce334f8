package wsconn_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/edge/wsconn"
)

// FuzzParser: no bytes make the parser panic, hold more than it may (see feed), emit what an event
// must not be, or depend on how they were cut.
func FuzzParser(f *testing.F) {
	for _, wire := range [][]byte{
		text("Hello"),
		slices.Concat(first("Hel"), ping("p"), last("lo"), closing(1000, "bye")),
		slices.Concat(first("\xf0\x9f"), last("\x98\x80")),
		slices.Concat(text(strings.Repeat("x", 126)), pong("")),
		text(strings.Repeat("x", wsconn.MaxFrame)),
		frame(ws.OpBinary, true, "b"),
		closing(1005, ""),
		raw([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, ""),
		{0x81, 0x00},
		slices.Concat(slices.Repeat([]byte{0x01, 0x80, 0, 0, 0, 0}, 1), slices.Repeat([]byte{0x00, 0x80, 0, 0, 0, 0}, 1100)),
	} {
		f.Add(wire, uint64(len(wire)))
	}
	f.Fuzz(func(t *testing.T, wire []byte, seed uint64) {
		want := feed(t, wire, whole(len(wire)))
		if got := feed(t, wire, bytewise); got != want {
			t.Fatalf("one byte at a time: %+v\nall at once: %+v", got, want)
		}
		random := rand.New(rand.NewPCG(seed, 0))
		if got := feed(t, wire, func() int { return 1 + random.IntN(100) }); got != want {
			t.Fatalf("cut at random: %+v\nall at once: %+v", got, want)
		}
		checkEvents(t, wire)
	})
}

// checkEvents holds every event of wire to what Event promises.
func checkEvents(t *testing.T, wire []byte) {
	t.Helper()
	var p wsconn.Parser
	over := false
	err := p.Feed(slices.Clone(wire), func(e wsconn.Event) error {
		if over {
			t.Fatal("an event after a close")
		}
		switch e.Kind {
		case wsconn.Text:
			if !utf8.Valid(e.Payload) || len(e.Payload) > wsconn.MaxMessage {
				t.Fatalf("a text of %d bytes: %.100q", len(e.Payload), e.Payload)
			}
		case wsconn.Ping, wsconn.Pong:
			if len(e.Payload) > wsconn.MaxControl {
				t.Fatalf("a control frame of %d bytes", len(e.Payload))
			}
		case wsconn.Close:
			over = true
			if echo := wsconn.AppendClose(nil, e.Code, string(e.Payload)); len(e.Payload) > wsconn.MaxReason ||
				e.Code != 0 && string(echo[4:]) != string(e.Payload) {
				t.Fatalf("close %d %q cannot be sent back: %x", e.Code, e.Payload, echo)
			}
		default:
			t.Fatalf("an event of kind %d", e.Kind)
		}
		return nil
	})
	if err != nil && (over || p.Partial()) {
		t.Fatalf("%v, after a close: %v, with something partial: %v", err, over, p.Partial())
	}
}
