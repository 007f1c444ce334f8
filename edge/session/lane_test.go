package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func TestALaneLetsOneGoAtATime(t *testing.T) {
	var l session.Lane[string]
	if !l.Idle() {
		t.Error("a new one is busy")
	}
	offer := func(s string, wantStart, wantTaken bool) {
		t.Helper()
		if start, taken := l.Offer(s); start != wantStart || taken != wantTaken {
			t.Errorf("%s: start %t, taken %t", s, start, taken)
		}
	}
	next := func(want string, wantOK bool) {
		t.Helper()
		if got, ok := l.Next(); got != want || ok != wantOK {
			t.Errorf("next is %q, %t, want %q", got, ok, want)
		}
	}
	offer("a", true, true)
	offer("b", false, true)
	offer("c", false, true)
	next("b", true)
	offer("d", false, true)
	next("c", true)
	next("d", true)
	if l.Idle() {
		t.Error("idle while d is on its way")
	}
	next("", false)
	if !l.Idle() {
		t.Error("busy with nothing")
	}
	offer("e", true, true)
}

func TestALaneIsBounded(t *testing.T) {
	var l session.Lane[int]
	for i := range session.MaxQueued + 1 { // and the one on its way
		if _, taken := l.Offer(i); !taken {
			t.Fatalf("%d was refused", i)
		}
	}
	if start, taken := l.Offer(-1); start || taken {
		t.Error("one too many was taken")
	}
	if got, ok := l.Next(); !ok || got != 1 {
		t.Errorf("%d %t", got, ok)
	}
	if _, taken := l.Offer(1000); !taken {
		t.Error("there is room again")
	}
}

// Whatever is offered and answered: those taken go in their order, once each, one at a time.
func TestALaneKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l session.Lane[int]
		var queue []int // taken and not gone yet
		busy, next := false, 0
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				next++
				start, taken := l.Offer(next)
				if start != !busy || taken != (len(queue) < session.MaxQueued) {
					t.Fatalf("start %t, taken %t", start, taken)
				}
				if taken && !start {
					queue = append(queue, next)
				}
				busy = true
			},
			"answer": func(t *rapid.T) {
				if !busy {
					t.Skip("nothing is on its way")
				}
				got, ok := l.Next()
				if ok != (len(queue) > 0) || ok && got != queue[0] {
					t.Fatalf("%d %t of %v", got, ok, queue)
				}
				if busy = ok; ok {
					queue = queue[1:]
				}
			},
			"": func(t *rapid.T) {
				if l.Idle() == busy {
					t.Fatalf("idle is %t", l.Idle())
				}
			},
		})
	})
}

func TestListen(t *testing.T) {
	const interval = 30 * time.Second
	for silent, want := range map[time.Duration]session.Beat{
		0:                session.Fine,
		interval - 1:     session.Fine,
		interval:         session.Ping,
		2 * interval:     session.Ping,
		3*interval - 1:   session.Ping,
		3 * interval:     session.Dead,
		1000 * interval:  session.Dead,
		-1 * time.Second: session.Fine, // a clock that was set back
	} {
		if got := session.Listen(silent, interval); got != want {
			t.Errorf("silent for %v: %d, want %d", silent, got, want)
		}
	}
}

// Asked once an interval, a peer that has gone is found dead within two intervals of the first ping that it did
// not answer.
func TestADeadPeerIsNoticed(t *testing.T) {
	const interval = 30 * time.Second
	for offset := time.Duration(0); offset < interval; offset += interval / 7 { // of the question, after the last word
		pinged := time.Duration(-1)
		for silent := offset; ; silent += interval {
			beat := session.Listen(silent, interval)
			if beat == session.Ping && pinged < 0 {
				pinged = silent
			}
			if beat == session.Dead {
				if silent-pinged > 2*interval {
					t.Errorf("asked %v after the last word: pinged at %v, dead at %v", offset, pinged, silent)
				}
				break
			}
		}
	}
}

func TestChannels(t *testing.T) {
	c := session.NewChannels()
	if _, ok := c.Lookup("a"); ok {
		t.Error("a is known")
	}
	a, b := c.Number("a"), c.Learn(session.Channel{ID: "b", Type: "public", Archived: true})
	if a == b || c.Number("a") != a || c.Number("b") != b || c.Len() != 2 {
		t.Errorf("%d %d of %d", a, b, c.Len())
	}
	if n, ok := c.Lookup("b"); !ok || n != b {
		t.Error("b is not known")
	}
	if c.At(a) != (session.Channel{ID: "a"}) || c.At(b) != (session.Channel{ID: "b", Type: "public", Archived: true}) {
		t.Errorf("%+v %+v", c.At(a), c.At(b))
	}
	if c.Learn(session.Channel{ID: "b", Type: "private"}); c.At(b).Archived || c.At(b).Type != "private" {
		t.Errorf("%+v", c.At(b))
	}
}

// A session that is behind reads old events of a channel again, and a snapshot can be older than what the log told:
// neither takes back what is newer.
func TestChannelsNeverGoBack(t *testing.T) {
	c := session.NewChannels()
	n := c.Learn(session.Channel{ID: "b", Type: "public", AsOf: 10})
	told := func(seq chat.Seq, kind event.Kind, is chat.ChannelType) {
		c.Note(&fanout.Entry{Seq: seq, ChannelID: "b", Event: event.Event{V: event.Version, Kind: kind, Channel: &event.ChannelState{Type: is}}})
	}
	told(9, event.ChannelArchived, "public")
	if c.At(n).Archived {
		t.Error("an event that the snapshot knows of changed it")
	}
	told(12, event.ChannelUpdated, "private")
	told(11, event.ChannelUpdated, "public")
	c.Learn(session.Channel{ID: "b", Type: "public", AsOf: 11})
	if got := c.At(n); got.Type != "private" || got.AsOf != 12 {
		t.Errorf("%+v", got)
	}
	if c.Learn(session.Channel{ID: "b", Type: "public", AsOf: 13}); c.At(n).Type != "public" {
		t.Errorf("%+v", c.At(n))
	}
}
