package wsconn_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// mask is what the tests' clients mask with, unless a test is about masks.
var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// frame is a client's masked frame, built by gobwas/ws and not by the code under test.
func frame(op ws.OpCode, fin bool, payload string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, []byte(payload)), mask))
}

func text(s string) []byte  { return frame(ws.OpText, true, s) }
func ping(s string) []byte  { return frame(ws.OpPing, true, s) }
func pong(s string) []byte  { return frame(ws.OpPong, true, s) }
func first(s string) []byte { return frame(ws.OpText, false, s) }
func more(s string) []byte  { return frame(ws.OpContinuation, false, s) }
func last(s string) []byte  { return frame(ws.OpContinuation, true, s) }

func closing(code uint16, reason string) []byte {
	return frame(ws.OpClose, true, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// raw is the bytes of a frame that gobwas/ws would not build: its header, then the mask, then the
// payload masked.
func raw(header []byte, payload string) []byte {
	body := []byte(payload)
	ws.Cipher(body, mask, 0)
	return slices.Concat(header, mask[:], body)
}

// show is an event as the tests write it down.
func show(e wsconn.Event) string {
	switch e.Kind {
	case wsconn.Text:
		return fmt.Sprintf("text %q", e.Payload)
	case wsconn.Ping:
		return fmt.Sprintf("ping %q", e.Payload)
	case wsconn.Pong:
		return fmt.Sprintf("pong %q", e.Payload)
	case wsconn.Close:
		return fmt.Sprintf("close %d %q", e.Code, e.Payload)
	}
	return fmt.Sprintf("unknown kind %d", e.Kind)
}

// outcome is what a parser made of some bytes.
type outcome struct {
	events  string // one a line
	kind    fault.Kind
	message string
	partial bool
}

// feed gives wire to a new parser in pieces of the sizes that piece returns, each in one read buffer
// that is overwritten after the call, as a loop's is.
func feed(t testing.TB, wire []byte, piece func() int) outcome {
	t.Helper()
	var p wsconn.Parser
	var events []string
	emit := func(e wsconn.Event) error {
		events = append(events, show(e))
		return nil
	}
	buffer := make([]byte, len(wire))
	var err error
	for fed := 0; fed < len(wire) && err == nil; {
		n := copy(buffer, wire[fed:min(fed+max(piece(), 1), len(wire))])
		err = p.Feed(buffer[:n], emit)
		for i := range n {
			buffer[i] = 0xff
		}
		fed += n
		if most := min(2*fed, wsconn.MaxMessage+wsconn.MaxControl); p.Held() > most {
			t.Fatalf("the parser holds %d bytes after %d have come", p.Held(), fed)
		}
		if !p.Partial() && p.Held() > 0 {
			t.Fatalf("the parser holds %d bytes while nothing is partial", p.Held())
		}
	}
	got := outcome{events: strings.Join(events, "\n"), kind: fault.KindOf(err), partial: p.Partial()}
	if err != nil {
		got.message = fault.Public(err).Message
	}
	return got
}

// whole gives everything in one read.
func whole(n int) func() int { return func() int { return n } }

// bytewise gives one byte a read.
func bytewise() int { return 1 }

// parse is the outcome of wire in one read, after it has been shown to be the same one byte at a time
// and cut in two anywhere (anywhere near the start and the end, when wire is long).
func parse(t testing.TB, wire []byte) outcome {
	t.Helper()
	want := feed(t, wire, whole(len(wire)))
	if got := feed(t, wire, bytewise); got != want {
		t.Fatalf("one byte at a time: %+v\nall at once: %+v", got, want)
	}
	const near = 200
	for cut := 1; cut < len(wire); cut++ {
		if cut == near && len(wire) > 2*near {
			cut = len(wire) - near
		}
		sizes := []int{cut, len(wire)}
		next := func() int {
			n := sizes[0]
			sizes = sizes[1:]
			return n
		}
		if got := feed(t, wire, next); got != want {
			t.Fatalf("cut at %d: %+v\nall at once: %+v", cut, got, want)
		}
	}
	return want
}

// scenario is what a client sends and what becomes of it.
type scenario struct {
	name string
	send [][]byte
	want []string   // events
	kind fault.Kind // of the error after them; empty: none
}

func (s scenario) check(t *testing.T) {
	t.Helper()
	got := parse(t, bytes.Join(s.send, nil))
	if want := strings.Join(s.want, "\n"); got.events != want {
		t.Errorf("events:\n%.400s\nwant:\n%.400s", got.events, want)
	}
	if got.kind != s.kind {
		t.Errorf("refused as %q (%s), want %q", got.kind, got.message, s.kind)
	}
	if got.partial {
		t.Error("something is partial at the end")
	}
}

func run(t *testing.T, scenarios []scenario) {
	t.Helper()
	for _, s := range scenarios {
		t.Run(s.name, s.check)
	}
}
