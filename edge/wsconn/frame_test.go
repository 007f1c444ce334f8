package wsconn_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// The bytes on the wire, written out. A change here breaks every client.
func TestBuiltFramesGolden(t *testing.T) {
	x := strings.Repeat("x", 1<<16)
	for _, c := range []struct {
		name  string
		frame []byte
		want  string // hexadecimal
	}{
		{"text", wsconn.AppendText(nil, []byte("Hello")), "8105 48656c6c6f"},
		{"empty text", wsconn.AppendText(nil, nil), "8100"},
		{"text of 125 bytes", wsconn.AppendText(nil, []byte(x[:125])), "817d" + strings.Repeat("78", 125)},
		{"text of 126 bytes", wsconn.AppendText(nil, []byte(x[:126])), "817e007e" + strings.Repeat("78", 126)},
		{"text of 65535 bytes", wsconn.AppendText(nil, []byte(x[:65535])), "817effff" + strings.Repeat("78", 65535)},
		{"text of 65536 bytes", wsconn.AppendText(nil, []byte(x)), "817f0000000000010000" + strings.Repeat("78", 65536)},
		{"ping", wsconn.AppendPing(nil, []byte("Hello")), "8905 48656c6c6f"},
		{"empty ping", wsconn.AppendPing(nil, nil), "8900"},
		{"pong", wsconn.AppendPong(nil, []byte("Hello")), "8a05 48656c6c6f"},
		{"ping cut to 125 bytes", wsconn.AppendPing(nil, []byte(x)), "897d" + strings.Repeat("78", 125)},
		{"close", wsconn.AppendClose(nil, 1000, ""), "8802 03e8"},
		{"close with a reason", wsconn.AppendClose(nil, 4429, "later"), "8807 114d 6c61746572"},
		{"close without a code", wsconn.AppendClose(nil, 0, "is not sent"), "8800"},
		{"close cut to 123 bytes", wsconn.AppendClose(nil, 1000, x), "887d 03e8" + strings.Repeat("78", 123)},
		{"close cut before half a character", wsconn.AppendClose(nil, 1000, x[:122]+"é"), "887c 03e8" + strings.Repeat("78", 122)},
		{"close whose character just fits", wsconn.AppendClose(nil, 1000, x[:121]+"éa"), "887d 03e8" + strings.Repeat("78", 121) + "c3a9"},
		{"close cut before what is not text", wsconn.AppendClose(nil, 1000, "a\xffb"), "8803 03e8 61"},
		{"after what is there", wsconn.AppendText(wsconn.AppendPing(nil, nil), []byte("a")), "8900 8101 61"},
		{"built in place", wsconn.Frame(func(dst []byte) []byte { return append(dst, "Hello"...) }), "8105 48656c6c6f"},
		{"built empty", wsconn.Frame(func(dst []byte) []byte { return dst }), "8100"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.frame, want) {
			t.Errorf("%s: %.40x…, want %.40x…", c.name, c.frame, want)
		}
	}
}

// Codes that RFC 6455 reserves never go out, whatever a caller says.
func TestAppendCloseLeavesOutWhatMayNotBeSent(t *testing.T) {
	for _, code := range []int{-1, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535, 65536 + 1000} {
		if got := wsconn.AppendClose(nil, code, "reason"); !bytes.Equal(got, []byte{0x88, 0}) {
			t.Errorf("close %d: %x, want a close without a code", code, got)
		}
	}
}

// Every close code of the error table can be sent.
func TestAppendCloseSendsEveryFault(t *testing.T) {
	for _, kind := range []fault.Kind{
		fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.NotAllowed, fault.Conflict, fault.TooLarge,
		fault.Unsupported, fault.RateLimited, fault.Unavailable, fault.SlowReader, fault.Silent, fault.Moving, fault.Protocol,
		fault.NotText, fault.Internal,
	} {
		code := kind.CloseCode()
		want := []byte{0x88, 2, byte(code >> 8), byte(code)}
		if got := wsconn.AppendClose(nil, code, ""); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", kind, got, want)
		}
	}
}

func TestFrameHasNoRoomToSpare(t *testing.T) {
	for _, n := range []int{0, 125, 126, 300, 65535, 65536, 300_000} {
		frame := wsconn.Frame(func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte("x"), n)...) })
		if cap(frame) != len(frame) {
			t.Errorf("a frame of %d bytes takes %d", len(frame), cap(frame))
		}
	}
}

// Frames that are built at the same time, and one after the other in the same scratch space, are apart.
func TestFrameSharesNothing(t *testing.T) {
	build := func(letter byte) []byte {
		return wsconn.Frame(func(dst []byte) []byte { return append(dst, bytes.Repeat([]byte{letter}, 100)...) })
	}
	var wait sync.WaitGroup
	for _, letter := range []byte("abcdefgh") {
		wait.Go(func() {
			var frames [][]byte
			for range 100 {
				frames = append(frames, build(letter))
			}
			want := slices.Concat([]byte{0x81, 100}, bytes.Repeat([]byte{letter}, 100))
			for _, frame := range frames {
				if !bytes.Equal(frame, want) {
					t.Errorf("a frame of %c holds %.20q…", letter, frame)
				}
			}
		})
	}
	wait.Wait()
}
