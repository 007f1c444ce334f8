package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func TestTwoUsersTalk(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		w.member("bob", "c1")
		head := w.head()
		alice, bob := w.open("alice"), w.open("bob")
		if h := alice.hello; h.Head != head || h.UserID != "alice" || h.WorkspaceID != ws || h.Resumed || h.Heartbeat != 30 {
			t.Errorf("%+v", h)
		}
		alice.write(post("m1", "c1", "hi"))
		ack, _ := alice.until("message.ack")
		if ack.ClientMsgID != "m1" || ack.Seq != head+1 || ack.ChannelID != "c1" {
			t.Errorf("%+v", ack)
		}
		if f, _ := bob.until("message.deliver"); f.Seq != ack.Seq || f.Message.Body != "hi" || f.Message.SenderID != "alice" || f.ChannelID != "c1" {
			t.Errorf("%+v", f)
		}
		alice.write(text(fmt.Sprintf(`{"type":"reaction.add","ref":7,"channel_id":"c1","seq":%d,"emoji":"+1"}`, ack.Seq)))
		if f, _ := alice.until("ack"); string(f.Ref) != "7" || f.Seq != ack.Seq+1 {
			t.Errorf("%+v", f)
		}
		if f, _ := bob.until("event"); f.Kind != "reaction.added" || f.Seq != ack.Seq+1 {
			t.Errorf("%+v", f)
		}
		alice.write(text(`{"type":"ping","ref":"x"}`))
		if f, _ := alice.until("pong"); string(f.Ref) != `"x"` {
			t.Errorf("%+v", f)
		}
		bob.write(post("m2", "c2", "not mine"))
		if f, _ := bob.until("error"); f.Code != "not_found" || f.ClientMsgID != "m2" {
			t.Errorf("%+v", f)
		}
		w.say("c2", "for alice")
		if got := bob.quiet(); len(got) != 0 {
			t.Errorf("bob sees %v", got)
		}
	})
}

func TestFramesThatAreRefused(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		for sent, want := range map[string]string{
			`[]`: "invalid", `{`: "invalid", `{"type":"teapot","ref":"r"}`: "invalid", `{"type":"typing.start","channel_id":"c1","ref":"r"}`: "unsupported",
			`{"type":"message.send","channel_id":"c*","client_msg_id":"m","body":"x"}`: "not_found",
			`{"type":"message.edit","channel_id":"c1","body":"x"}`:                     "invalid",
		} {
			c.write(text(sent))
			if f, _ := c.until("error"); f.Code != want {
				t.Errorf("%s: %+v", sent, f)
			}
		}
	})
}

func TestOneByteAtATimeAndFiftyFramesAtOnce(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c := w.open("alice")
		for _, b := range post("m0", "c1", "slow") {
			c.write([]byte{b})
		}
		if f, _ := c.until("message.ack"); f.ClientMsgID != "m0" {
			t.Errorf("%+v", f)
		}
		var all [][]byte
		for i := range 50 {
			all = append(all, post(fmt.Sprint("n", i), "c1", fmt.Sprint("body ", i)))
		}
		c.write(all...)
		for i := range 50 {
			if f, _ := c.until("message.ack"); f.ClientMsgID != fmt.Sprint("n", i) {
				t.Fatalf("%d: %+v", i, f)
			}
		}
		w.with(func() {
			for i, sent := range w.sent[1:] {
				if sent.Body != fmt.Sprint("body ", i) {
					t.Errorf("%d: %q", i, sent.Body)
				}
			}
		})
	})
}

// What comes with the upgrade request belongs to the session.
func TestFramesRightAfterTheRequest(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		c, resp, err := w.ask(w.request("", "Authorization: Bearer alice"), post("m1", "c1", "early"))
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		defer c.nc.Close()
		if f := c.read(); f.Type != "hello" {
			t.Errorf("%+v", f)
		}
		if f, _ := c.until("message.ack"); f.ClientMsgID != "m1" {
			t.Errorf("%+v", f)
		}
	})
}

// While the log takes the first, the rest wait in a bounded lane; what waits is a copy, whatever comes into the
// read buffer meanwhile.
func TestPipelinedSends(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		hold := make(chan struct{})
		w.with(func() { w.hold = hold })
		c := w.open("alice")
		body := func(i int) string { return strings.Repeat(fmt.Sprintf("%03d,", i), 200) }
		taken := session.MaxQueued
		go func() { // more than the sockets hold may be answered meanwhile
			for i := range taken + 3 {
				if _, err := c.nc.Write(post(fmt.Sprint("m", i), "c1", body(i))); err != nil {
					t.Error(err)
				}
			}
		}()
		for i := range 3 {
			f, _ := c.until("error")
			if f.Code != "rate_limited" || f.RetryAfter == nil || *f.RetryAfter <= 0 || f.ClientMsgID != fmt.Sprint("m", taken+i) {
				t.Fatalf("%+v", f)
			}
		}
		w.eventually("one is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit > 0 })
		w.with(func() {
			if w.inSubmit != 1 {
				t.Errorf("%d sends of one session are on their way at once", w.inSubmit)
			}
		})
		for range 50 {
			c.write(text(`{"type":"ping","ref":"` + strings.Repeat("x", 50) + `"}`))
		}
		close(hold)
		acked := 0
		for acked < taken {
			f := c.read()
			if f.Type == "message.ack" {
				if f.ClientMsgID != fmt.Sprint("m", acked) {
					t.Fatalf("ack %d is %+v", acked, f)
				}
				acked++
			}
		}
		w.with(func() {
			for i, sent := range w.sent {
				if sent.Body != body(i) || sent.ClientMsgID != chat.ClientMsgID(fmt.Sprint("m", i)) {
					t.Fatalf("send %d is %s %.20q…", i, sent.ClientMsgID, sent.Body)
				}
			}
			if len(w.sent) != taken {
				t.Errorf("%d sends came to the log", len(w.sent))
			}
		})
	})
}

func TestMaxSending(t *testing.T) {
	on(t, options{gw: gateway.Config{MaxSending: 1}}, func(t *testing.T, w *world) {
		w.crowd(2, "c1")
		hold := make(chan struct{})
		w.with(func() { w.hold = hold })
		a, b := w.open("u0"), w.open("u1")
		a.write(post("a0", "c1", "x"), post("a1", "c1", "x"))
		w.eventually("the first is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit == 1 })
		for i := range 20 {
			b.write(post(fmt.Sprint("b", i), "c1", "x"))
		}
		for i := range 20 {
			if f, _ := b.until("error"); f.Code != "unavailable" || f.ClientMsgID != fmt.Sprint("b", i) {
				t.Fatalf("%+v", f)
			}
		}
		close(hold)
		for i := range 2 { // the lane keeps its place
			if f, _ := a.until("message.ack"); f.ClientMsgID != fmt.Sprint("a", i) {
				t.Fatalf("%+v", f)
			}
		}
		w.eventually("its place is given back", func() bool {
			b.write(post("again", "c1", "x"))
			for {
				if f := b.read(); f.ClientMsgID == "again" {
					return f.Type == "message.ack"
				}
			}
		})
	})
}

// The standing that counts for a send is that of the moment when it goes to the log.
func TestASendThatWaitsWhileItsUserLeaves(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		hold := make(chan struct{}, 1)
		w.with(func() { w.hold = hold })
		c := w.open("alice")
		c.write(post("m0", "c1", "x"), post("m1", "c1", "x"))
		w.eventually("it is on its way", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.inSubmit == 1 })
		w.leave("c1", "alice")
		c.until("event")
		hold <- struct{}{}
		if f, _ := c.until("message.ack"); f.ClientMsgID != "m0" {
			t.Errorf("%+v", f)
		}
		if f, _ := c.until("error"); f.ClientMsgID != "m1" || f.Code != "not_found" {
			t.Errorf("%+v", f)
		}
	})
}

func TestMembershipChangesLive(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.member("bob", "c1", "c2")
		from := w.head()
		c := w.open("alice")
		w.say("c2", "before")
		w.join("c2", "alice")
		w.say("c2", "seen")
		w.leave("c1", "alice")
		w.say("c1", "not seen")
		w.join("c1", "alice")
		w.say("c1", "seen again")
		w.put(event.Event{Kind: event.UserUpdated, UserID: "bob", User: &event.UserState{Login: "bob"}})
		w.sees(c, "alice", from, w.head())
		w.leave("", "alice")
		f, _ := c.until("event")
		if f.Kind != "member.left" {
			t.Errorf("%+v", f)
		}
		c.ends(4503)
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["forbidden"] != 1 {
			t.Errorf("%v", by)
		}
	})
}
