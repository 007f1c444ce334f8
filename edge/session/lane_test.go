package session_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func TestALaneLetsOneBurstGoAtATime(t *testing.T) {
	var l session.Lane[string]
	if !l.Idle() {
		t.Error("a new one is busy")
	}
	offer := func(all ...string) {
		t.Helper()
		for _, s := range all {
			if !l.Offer(s) {
				t.Errorf("%s was refused", s)
			}
		}
	}
	take := func(want ...string) {
		t.Helper()
		if got := l.Take(2); !slices.Equal(got, want) {
			t.Errorf("took %q, want %q", got, want)
		}
	}
	take()
	offer("a", "b", "c")
	take("a", "b")
	take() // while those are on their way
	offer("d")
	l.Return(nil)
	take("c", "d")
	offer("e")
	l.Return([]string{"d"}) // it did not go
	take("d", "e")
	l.Return(nil)
	take()
	if !l.Idle() {
		t.Error("busy with nothing")
	}
}

func TestALaneIsBounded(t *testing.T) {
	var l session.Lane[int]
	for i := range session.MaxQueued {
		if !l.Offer(i) {
			t.Fatalf("%d was refused", i)
		}
	}
	if l.Offer(-1) {
		t.Error("one too many was taken")
	}
	if got := l.Take(1); !slices.Equal(got, []int{0}) {
		t.Errorf("%d", got)
	}
	if l.Offer(-1) {
		t.Error("one too many was taken while one is on its way")
	}
	l.Return(nil)
	if !l.Offer(1000) {
		t.Error("there is room again")
	}
}

// Whatever is offered, answered and returned: those taken go in their order, once each, one burst at a time.
func TestALaneKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l session.Lane[int]
		var queue, away []int // taken in and not gone yet; on their way
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"offer": func(t *rapid.T) {
				next++
				if taken := l.Offer(next); taken != (len(queue)+len(away) < session.MaxQueued) {
					t.Fatalf("taken is %t", taken)
				} else if taken {
					queue = append(queue, next)
				}
			},
			"take": func(t *rapid.T) {
				limit := rapid.IntRange(1, 5).Draw(t, "limit")
				got := l.Take(limit)
				if len(away) > 0 {
					if got != nil {
						t.Fatalf("%v while %v are on their way", got, away)
					}
					return
				}
				n := min(limit, len(queue))
				if !slices.Equal(got, queue[:n]) {
					t.Fatalf("%v of %v", got, queue)
				}
				away, queue = slices.Clone(queue[:n]), queue[n:]
			},
			"return": func(t *rapid.T) {
				if len(away) == 0 {
					t.Skip("nothing is on its way")
				}
				went := rapid.IntRange(1, len(away)).Draw(t, "went")
				l.Return(away[went:])
				queue, away = append(slices.Clone(away[went:]), queue...), nil
			},
			"": func(t *rapid.T) {
				if l.Idle() != (len(queue)+len(away) == 0) {
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
