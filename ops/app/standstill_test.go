//go:build unix

package app_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

var publishesInFlight = regexp.MustCompile(`(?m)^canopy_publishes_in_flight\{[^}]*\} (\d+)`)

// inFlight is how many changes of a process are on their way to the log.
func (d *deployment) inFlight() int {
	d.t.Helper()
	_, text := get(d.t, d.run.Admin, "/metrics")
	found := publishesInFlight.FindStringSubmatch(text)
	if found == nil {
		d.t.Fatalf("the metrics do not say what is in flight: %s", text)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// standstill sends until a message is not acknowledged any more: a signal takes its time.
func (s *socket) standstill(channel string) {
	s.t.Helper()
	for id := s.post(channel, "anybody?"); ; {
		f, err := s.readWithin(500 * time.Millisecond)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			s.t.Fatal(err)
		case f.ClientMsgID == id:
			id = s.post(channel, "anybody?")
		}
	}
}

// A hub that stands still makes sends unavailable. What waits for it is bounded, a socket has no more than its share of
// it, and when the hub goes on everything that was refused can be sent again, and is stored once.
func TestAHubThatStandsStill(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until a send has waited long enough")
	}
	a := takeApart(t)
	admin := freePort(t)
	a.start("hub", "leaf", "api", "persist", "deliver")
	a.roles["edge"] = canopy(t, "edge", "--config", a.conf, "--set", "admin="+admin)
	a.edge.run.Admin = "http://" + admin
	a.serve(roleNames...)
	alice := a.api.signIn("alice")
	general := alice.channel("general")
	a.say(alice, general, "before")
	s := alice.at(a.edge).open()
	hub := a.roles["hub"].cmd.Process
	if err := hub.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.standstill(general)
	const sends, waiting, together = 300, 256, 16 // of a socket, and of these on their way at once
	var posts []string
	for i := range sends {
		posts = append(posts, s.post(general, fmt.Sprint(i)))
	}
	// Those who find the queue full are told so at once; the first ones when the time is over.
	answered := make(map[string]bool)
	for _, want := range []struct {
		code  string
		times int
	}{{"rate_limited", sends + 1 - waiting}, {"unavailable", 1}} {
		for range want.times {
			f := s.next()
			for f.Type == "presence.update" {
				f = s.next()
			}
			if f.Type != "error" || f.Code != want.code || f.RetryAfter <= 0 || answered[f.ClientMsgID] {
				t.Fatalf("instead of %s there is %s", want.code, f.raw)
			}
			answered[f.ClientMsgID] = true
		}
		if n := a.edge.inFlight(); n > together {
			t.Errorf("%d sends are on their way", n)
		}
	}
	if err := hub.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	stored := make(map[string]uint64)
	for deadline := time.Now().Add(patience); len(stored) < sends; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d were stored", len(stored), sends)
		}
		for i, id := range posts {
			if answered[id] {
				answered[id] = false
				s.send(map[string]any{"type": "message.send", "channel_id": general, "body": fmt.Sprint(i), "client_msg_id": id, "retry": true})
			}
		}
		switch f := s.next(); f.Type {
		case "message.ack":
			if seq, twice := stored[f.ClientMsgID]; twice && seq != f.Seq {
				t.Errorf("%s, and before at %d", f.raw, seq)
			}
			if slices.Contains(posts, f.ClientMsgID) {
				stored[f.ClientMsgID] = f.Seq
			}
		case "error":
			time.Sleep(time.Duration(f.RetryAfter * float64(time.Second) / 8)) // the next one may say longer
			answered[f.ClientMsgID] = true
		}
	}
	messages, _ := alice.history(general)
	times := make(map[string]int)
	for _, m := range messages {
		times[m.ClientMsgID]++
	}
	for _, id := range posts {
		if times[id] != 1 {
			t.Errorf("%s is stored %d times", id, times[id])
		}
	}
}
