package outlet_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/outlet"
	"github.com/canopychat/canopy/edge/poll"
)

// link takes as many bytes as it has room for.
type link struct {
	poll.Link
	room    int
	took    bytes.Buffer
	watched bool
}

func (l *link) Write(bufs [][]byte) (int, error) {
	n := 0
	for _, b := range bufs {
		k := min(len(b), l.room)
		l.took.Write(b[:k])
		l.room -= k
		n += k
	}
	return n, nil
}

func (l *link) WatchWrites(on bool) error { l.watched = on; return nil }

// Whatever room a socket has from time to time, it gets whole frames in the order in which they were taken.
func TestFramesComeWholeAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &link{}
		o := outlet.Outlet{Link: l}
		want := ""
		frame := func() string {
			return "<" + strings.Repeat(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "letter"), rapid.IntRange(1, 9).Draw(t, "size")) + ">"
		}
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			l.room += rapid.IntRange(0, 25).Draw(t, "room")
			if rapid.Bool().Draw(t, "flush") {
				if _, err := o.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			if f := frame(); o.Blocked() || rapid.Bool().Draw(t, "own") {
				if err := o.Say([]byte(f), 30); err == nil {
					want += f
				} else if !errors.Is(err, outlet.ErrFull) {
					t.Fatal(err)
				}
			} else {
				frames := []string{f, frame(), frame()}
				taken, err := o.Push([][]byte{[]byte(frames[0]), []byte(frames[1]), []byte(frames[2])})
				if err != nil || taken < 3 && !o.Cut() {
					t.Fatalf("%d, %v", taken, err)
				}
				want += strings.Join(frames[:taken], "")
			}
			if l.watched != o.Blocked() || o.Held() > 200 {
				t.Fatalf("watched %t, blocked %t, %d bytes", l.watched, o.Blocked(), o.Held())
			}
		}
		l.room = 1 << 20
		if _, err := o.Flush(); err != nil || o.Blocked() || o.Held() != 0 || l.watched {
			t.Fatalf("%v", err)
		}
		if got := l.took.String(); got != want {
			t.Fatalf("%s\nnot\n%s", got, want)
		}
	})
}
