package gateway_test

import (
	"fmt"
	"testing"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
)

// end ends a sign-in as ops/app has it: it is known to be revoked before the gateway is told.
func (w *world) end(id token.SignInID) {
	w.with(func() { w.revoked[id] = true })
	w.gw.SignOut(id)
}

func TestSignOut(t *testing.T) {
	on(t, options{narrow: true, gw: gateway.Config{Heartbeat: slowBeat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		w.member("bob", "c1")
		var ended []*client
		for range 4 { // over both loops
			ended = append(ended, w.open("alice-s1"))
		}
		stuck, _ := w.stuck("alice-s1")
		other, bob := w.open("alice-s2"), w.open("bob-s3")
		w.end("s1")
		for _, c := range ended {
			c.ends(4501)
		}
		w.eventually("the one that does not read has gone too", func() bool { return w.gw.Sockets() == 2 })
		_ = stuck.nc.Close() // for its buffer
		seq := w.say("c1", "for the others")
		other.collect(seq)
		bob.collect(seq)
		w.refused(w.request("", "Authorization: Bearer alice-s1"), 401, "unauthenticated", false)
		if by := w.gw.Counters().Closed(); by["unauthenticated"] != 5 {
			t.Errorf("%v", by)
		}
	})
}

// A sign-in that ends while its socket is being opened leaves no socket, whatever the moment.
func TestASignInThatEndsWhileItOpens(t *testing.T) {
	for _, moment := range []string{"verified", "directory"} {
		t.Run(moment, func(t *testing.T) {
			end := func() {}
			w := start(t, options{to: func(h *hub, _ *gateway.Neighbours) {
				if moment == "verified" {
					h.verified = func() { end() }
				}
			}})
			w.member("alice", "c1")
			end = func() { w.end("s1") }
			if moment == "directory" {
				w.with(func() { w.behind = func(chat.UserID) { end() } })
			}
			for range 20 {
				w.with(func() { delete(w.revoked, "s1") })
				c, err := w.tryOpen("alice-s1", "")
				if err != nil { // refused, or closed before its hello
					continue
				}
				c.ends(4501)
			}
			w.eventually("no socket is left", func() bool { return w.gw.Sockets() == 0 })
		})
	}
}

// What waits to be sent when the sign-in ends does not go.
func TestSendsOfASignInThatEnds(t *testing.T) {
	w := start(t, options{})
	w.member("alice", "c1")
	hold := make(chan struct{})
	w.with(func() { w.hold = hold })
	c := w.open("alice-s1")
	for i := range 10 {
		c.write(post(fmt.Sprint("m", i), "c1", "x"))
	}
	w.eventually("the first is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit == 1 })
	w.end("s1")
	c.ends(4501)
	close(hold)
	w.eventually("the way is free", func() bool { return w.gw.Load().Sending == 0 })
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sent) != 1 {
		t.Errorf("%d were sent", len(w.sent))
	}
}

func TestTickets(t *testing.T) {
	w := start(t, options{})
	w.member("alice", "c1")
	w.with(func() { w.tickets["t1"], w.tickets["t2"] = "alice-s1", "alice-s1" })
	c, resp, err := w.ask(w.request("ticket=t1"), nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	if f := c.read(); f.Type != "hello" || f.UserID != "alice" {
		t.Errorf("%+v", f)
	}
	w.refused(w.request("ticket=t1"), 401, "unauthenticated", false) // it was used
	w.refused(w.request("ticket=t2&cursor=x"), 400, "invalid", false)
	w.end("s1")
	c.ends(4501)
	w.refused(w.request("ticket=t2"), 401, "unauthenticated", false) // a refused form does not take it, an ended sign-in does
}
