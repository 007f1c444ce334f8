//go:build linux

package rig

import (
	"bytes"
	"strings"
	"testing"
)

func TestFramesComeBackHoweverTheyAreCut(t *testing.T) {
	payloads := []string{"", "a", strings.Repeat("b", 125), strings.Repeat("c", 126), strings.Repeat("d", 5000)}
	var bytesOfAll []byte
	for _, p := range payloads {
		bytesOfAll = appendFrame(bytesOfAll, opText, []byte(p), len(p)%2 == 0)
	}
	for _, step := range []int{1, 2, 7, 126, len(bytesOfAll)} {
		var s stream
		var got []string
		for rest := bytesOfAll; len(rest) > 0; {
			n := min(step, len(rest))
			if err := s.take(rest[:n:n], func(op byte, payload []byte) error {
				if op != opText {
					t.Errorf("opcode %d", op)
				}
				got = append(got, string(payload))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if strings.Join(got, "|") != strings.Join(payloads, "|") || s.rest != nil {
			t.Errorf("cut into pieces of %d: %d frames, %d bytes left", step, len(got), len(s.rest))
		}
	}
}

func FuzzNextFrame(f *testing.F) {
	f.Add([]byte{0x81, 0x05, 'h', 'e', 'l', 'l', 'o'})
	f.Add([]byte{0x81, 0x85, 1, 2, 3, 4, 'h', 'e', 'l', 'l', 'o'})
	f.Add([]byte{0x89, 0x00})
	f.Add([]byte{0x81, 0x7e, 0x00})
	f.Add([]byte{0x81, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		op, payload, n := nextFrame(data)
		switch {
		case n == 0 && (payload != nil || !bytes.Equal(before, data)):
			t.Error("a frame that is not all there was touched")
		case n > len(data) || len(payload) > n:
			t.Errorf("%d bytes of %d, payload %d", n, len(data), len(payload))
		case n > 0 && op != data[0]&0x0f:
			t.Errorf("opcode %d", op)
		}
	})
}
