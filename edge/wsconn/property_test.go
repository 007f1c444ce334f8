package wsconn_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/wsconn"
)

// Whatever legal conversation a client has, and however the network cuts it, the parser says what the
// client said.
func TestPropertyLegalConversations(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		wire, want := conversation(rt)
		cut := rapid.IntRange(1, 40)
		got := feed(t, wire, func() int { return cut.Draw(rt, "piece") })
		if got.kind != "" || got.partial || got.events != strings.Join(want, "\n") {
			rt.Fatalf("cut at random: %+v, want %q", got, want)
		}
		for name, piece := range map[string]func() int{"whole": whole(len(wire)), "one byte at a time": bytewise} {
			if again := feed(t, wire, piece); again != got {
				rt.Fatalf("%s: %+v, want %+v", name, again, got)
			}
		}
	})
}

// Whatever bytes come, legal or spoilt, the cuts change neither the events nor the error.
func TestPropertyCutsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		wire, _ := conversation(rt)
		for range rapid.IntRange(0, 3).Draw(rt, "spoilt") {
			if len(wire) > 0 {
				wire[rapid.IntRange(0, len(wire)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
			}
		}
		want := feed(t, wire, whole(len(wire)))
		cut := rapid.IntRange(1, 40)
		for name, piece := range map[string]func() int{
			"one byte at a time": bytewise,
			"at random":          func() int { return cut.Draw(rt, "piece") },
		} {
			if got := feed(t, wire, piece); got != want {
				rt.Fatalf("%s: %+v\nall at once: %+v", name, got, want)
			}
		}
	})
}

// conversation is the frames of some messages, cut into fragments anywhere, with control frames
// anywhere, and the events that they are.
func conversation(rt *rapid.T) (wire []byte, want []string) {
	send := func(op ws.OpCode, fin bool, payload []byte) {
		m := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "mask"))
		wire = append(wire, ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, payload), m))...)
	}
	control := func() {
		payload := rapid.SliceOfN(rapid.Byte(), 0, wsconn.MaxControl).Draw(rt, "control")
		if rapid.Bool().Draw(rt, "ping") {
			send(ws.OpPing, true, payload)
			want = append(want, fmt.Sprintf("ping %q", payload))
		} else {
			send(ws.OpPong, true, payload)
			want = append(want, fmt.Sprintf("pong %q", payload))
		}
	}
	for range rapid.IntRange(0, 8).Draw(rt, "messages") {
		message := []byte(rapid.StringN(0, 100, 400).Draw(rt, "text"))
		rest, op := message, ws.OpText
		for range rapid.IntRange(0, 4).Draw(rt, "cuts") {
			n := rapid.IntRange(0, len(rest)).Draw(rt, "fragment")
			send(op, false, rest[:n])
			rest, op = rest[n:], ws.OpContinuation
			if rapid.Bool().Draw(rt, "interrupted") {
				control()
			}
		}
		send(op, true, rest)
		want = append(want, fmt.Sprintf("text %q", message))
		if rapid.Bool().Draw(rt, "followed") {
			control()
		}
	}
	return wire, want
}

// Our header codec reads what gobwas/ws reads, and refuses besides only a length in a long form.
func TestPropertyHeaderAgreesWithGobwas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, ws.MaxHeaderSize).Draw(rt, "header")
		if len(b) > 1 && rapid.Bool().Draw(rt, "long") {
			b[1] |= 0x7e
		}
		want, wantErr := ws.ReadHeader(bytes.NewReader(b))
		got, n, err := wsconn.DecodeHeader(b)
		switch {
		case n == 0:
			if wantErr == nil || err != nil {
				rt.Fatalf("%x: incomplete (%v), gobwas reads %+v, %v", b, err, want, wantErr)
			}
		case err != nil:
			if wantErr == nil && ws.HeaderSize(want) == n {
				rt.Fatalf("%x: %v, gobwas reads %+v", b, err, want)
			}
		case wantErr != nil || got != want || ws.HeaderSize(got) != n:
			rt.Fatalf("%x: %+v in %d bytes, gobwas reads %+v, %v", b, got, n, want, wantErr)
		}
	})
}

// Any client reads our frames back.
func TestPropertyBuiltFrames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom([]int{125, 126, 65535, 65536, 70000})).Draw(rt, "size")
		payload := bytes.Repeat([]byte("p"), size)
		want := ws.MustCompileFrame(ws.NewTextFrame(payload))
		if got := wsconn.AppendText([]byte("before"), payload); !bytes.Equal(got, slices.Concat([]byte("before"), want)) {
			rt.Fatalf("AppendText of %d bytes is not gobwas's frame", size)
		}
		if got := wsconn.Frame(func(dst []byte) []byte { return append(dst, payload...) }); !bytes.Equal(got, want) {
			rt.Fatalf("Frame of %d bytes is not gobwas's frame", size)
		}
		code := rapid.SampledFrom([]int{1000, 1009, 4999}).Draw(rt, "code")
		reason := rapid.String().Draw(rt, "reason")
		//lint:ignore SA1019 the reference decoder; the bytes are ours and short
		closed, err := ws.ReadFrame(bytes.NewReader(wsconn.AppendClose(nil, code, reason)))
		if err != nil || len(closed.Payload) > wsconn.MaxControl {
			rt.Fatalf("a close of %d bytes, %v", len(closed.Payload), err)
		}
		gotCode, gotReason := ws.ParseCloseFrameData(closed.Payload)
		if err := ws.CheckCloseFrameData(gotCode, gotReason); err != nil || int(gotCode) != code || !strings.HasPrefix(reason, gotReason) {
			rt.Fatalf("close %d %q came out as %d %q, %v", code, reason, gotCode, gotReason, err)
		}
	})
}
