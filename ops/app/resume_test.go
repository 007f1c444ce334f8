package app_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
)

// Whenever a socket breaks, its cursor brings exactly what is missing: once, in order, with no seam.
func TestResumeIsExact(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]int{"from the ring": 2048, "from pages of the log": 3} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Edge.RingEntries = ring
			d := up(t, cfg)
			alice, bob := d.signIn("alice"), d.signIn("bob")
			channels := []string{alice.channel("general"), alice.channel("random")}
			listener := alice.open()
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				s := alice.open()
				for i := 0; ; i++ {
					select {
					case <-stop:
						s.say(channels[0], "the end")
						return
					default:
						s.say(channels[i%2], fmt.Sprint(i))
					}
				}
			}()
			seen := cutOften(t, bob, listener.hello.Head, 40)
			close(stop)
			<-stopped
			seen = append(seen, tillTheEnd(bob.open(lastOf(seen, listener.hello.Head)))...)
			live := tillTheEnd(listener)
			checkOrder(t, "bob", bob.id, seen)
			if !slices.EqualFunc(seen, live, func(a, b frame) bool { return a.raw == b.raw }) {
				t.Errorf("bob saw %d frames, who was always there %d", len(seen), len(live))
			}
		})
	}
}

func lastOf(frames []frame, otherwise uint64) uint64 {
	if len(frames) == 0 {
		return otherwise
	}
	return frames[len(frames)-1].Seq
}

// tillTheEnd reads up to the message with the text "the end".
func tillTheEnd(s *socket) []frame {
	var seen []frame
	for {
		f := s.stored()
		seen = append(seen, f)
		if f.Message != nil && f.Message.Body == "the end" {
			return seen
		}
	}
}

// cutOften opens sockets with the cursor of what was seen, and cuts each after some frames.
func cutOften(t *testing.T, who *user, cursor uint64, times int) []frame {
	t.Helper()
	var seen []frame
	for range times {
		s := who.open(lastOf(seen, cursor))
		if !s.hello.Resumed {
			t.Fatalf("not resumed: %s", s.hello.raw)
		}
		for range rand.IntN(8) {
			seen = append(seen, s.stored())
		}
		s.cut()
	}
	return seen
}

func TestCursorsThatCannotBeResumed(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	alice := d.signIn("alice")
	s := alice.open()
	head := s.say(alice.channel("general"), "the newest")
	for cursor, reason := range map[string]string{
		fmt.Sprint("2.", head): "epoch", fmt.Sprint("1.", head+1000): "ahead", "1.281474976710655": "ahead",
	} {
		t.Run(reason, func(t *testing.T) {
			c, err := alice.dial("&cursor=" + cursor)
			if err != nil {
				t.Fatal(err)
			}
			s := &socket{t: t, c: c}
			hello, resync := s.next(), s.next()
			if hello.Type != "hello" || hello.Resumed || resync.Type != "resync" || resync.Reason != reason || resync.Head != hello.Head {
				t.Errorf("%s\n%s", hello.raw, resync.raw)
			}
			s.hello = hello
			if got := s.mark(alice.channel("general")); len(got) != 1 {
				t.Errorf("after a resync only what is new comes: %v", got)
			}
		})
	}
	for _, cursor := range []string{"x", "1", "1.", ".1", "0.1", "1.-1", "1.1.1", "1.01", "-1.1", "1.1%20", "16384.1", "1.281474976710656", "1.1e3", "%00", "*", strings.Repeat("9", 300)} {
		_, err := alice.dial("&cursor=" + cursor)
		var refused *wsconn.RefusedError
		if !errors.As(err, &refused) || refused.Status != http.StatusBadRequest || !strings.Contains(string(refused.Body), `"code":"invalid"`) {
			t.Errorf("the cursor %.20q: %v", cursor, err)
		}
	}
}

// A stream keeps its events for a time; a cursor from before that is told to resync, also while it reads on.
func TestACursorOlderThanTheStream(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Streams.MaxAge, cfg.Streams.DedupWindow = 2*time.Second, time.Second
	cfg.Edge.RingEntries = 2
	d := up(t, cfg)
	alice := d.signIn("alice")
	general := alice.channel("general")
	s := alice.open()
	first := s.say(general, "0")
	for i := range 9 {
		s.say(general, fmt.Sprint(i+1))
	}
	time.Sleep(4 * time.Second)
	old := alice.open(first)
	if f := old.next(); old.hello.Resumed || f.Type != "resync" || f.Reason != "expired" || f.Head != old.hello.Head {
		t.Errorf("%s\n%s", old.hello.raw, f.raw)
	}
	if got := old.mark(general); len(got) != 1 {
		t.Errorf("after a resync only what is new comes: %v", got)
	}
	var page list
	alice.must(http.StatusOK, "GET", "/channels/"+general+"/messages", nil, &page)
	if len(page.Messages) < 11 {
		t.Errorf("the store keeps what the stream has forgotten: %+v", page)
	}
}
