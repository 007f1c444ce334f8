package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func (w *world) questions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// away ends a client's socket, and waits until the gateway has seen it.
func (w *world) away(c *client) {
	w.t.Helper()
	before := w.gw.Sockets()
	if err := c.nc.Close(); err != nil {
		w.t.Error(err)
	}
	w.eventually("it has gone", func() bool { return w.gw.Sockets() < before })
}

// Who comes back with a cursor costs no question, and sees what happened while they were away as if they had stayed.
func TestAResumeAsksNobody(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("bob", "c1", "c2")
		w.open("bob") // keeps the feed
		w.member("alice", "c1", "c3")
		c := w.open("alice")
		from := c.hello.Head
		w.away(c)
		asked := w.questions()
		w.say("c1", "x")
		w.join("c2", "alice")
		w.say("c2", "x")
		w.leave("c1", "alice")
		w.say("c1", "no more")
		w.leave("c3", "alice")
		w.join("c3", "alice")
		w.say("c3", "x")
		w.put(event.Event{Kind: event.MemberUpdated, UserID: "alice", Role: chat.RoleAdmin})
		head := w.say("c2", "last")
		for _, start := range []chat.Seq{from, head - 5, from + 2, head, head - 1, from} {
			c := w.resume("alice", "workspace=w1&"+at(start))
			if !c.hello.Resumed || c.hello.Head != head {
				t.Fatalf("%+v", c.hello)
			}
			w.sees(c, "alice", start, head)
			for ch, want := range map[chat.ChannelID]string{"c1": "error", "c2": "message.ack", "c3": "message.ack"} {
				head++
				c.write(post(fmt.Sprint("m", head), ch, "x"))
				if f, _ := c.until(want); f.ClientMsgID != fmt.Sprint("m", head) {
					t.Fatalf("%+v", f)
				}
				head = w.head()
			}
			w.mu.Lock()
			role := w.sent[len(w.sent)-1].Standing.Role
			w.mu.Unlock()
			if role != chat.RoleAdmin {
				t.Errorf("sends as %s", role)
			}
			w.away(c)
		}
		// The sends to c1 were confirmed: one question each, and no other.
		if n := w.questions() - asked; n != 6 {
			t.Errorf("%d questions", n)
		}
		w.resume("alice", at(from)) // without naming the workspace
	})
}

// Whoever is removed, or was, is asked for.
func TestAResumeOfOneWhoWasRemoved(t *testing.T) {
	w := start(t, options{})
	w.member("bob", "c1")
	w.open("bob")
	w.member("alice", "c1")
	c := w.open("alice")
	w.away(c)
	w.leave("c1", "alice")
	w.leave("", "alice")
	w.say("c1", "not for alice")
	w.refused(w.request("workspace=w1&"+at(c.hello.Head), "Authorization: Bearer alice"), 404, "not_found", false)
	w.join("", "alice")
	again := w.resume("alice", "workspace=w1&"+at(c.hello.Head))
	again.write(post("m", "c1", "x"))
	if f, _ := again.until("error"); f.Code != "not_found" {
		t.Errorf("%+v", f)
	}
}

// What the ring does not prove any more, and what was before the answer, is asked for.
func TestWhatIsTooOldIsAskedFor(t *testing.T) {
	w := start(t, options{ring: fanout.Config{RingEntries: 8}})
	w.member("bob", "c1")
	w.open("bob")
	w.member("alice", "c1", "c2")
	w.leave("c2", "alice")
	c := w.open("alice")
	from := c.hello.Head
	w.away(c)
	asked := w.questions()
	resume := func(start chat.Seq, want int) {
		t.Helper()
		c := w.resume("alice", "workspace=w1&"+at(start))
		w.sees(c, "alice", start, w.head())
		w.away(c)
		if n := w.questions() - asked; n != want {
			t.Errorf("%d questions, not %d", n, want)
		}
		asked = w.questions()
	}
	w.say("c1", "x")
	resume(from, 0)
	resume(from-2, 1) // before the answer: a tenure may have been left out
	resume(from-2, 0)
	w.leave("c1", "alice")
	for range 20 {
		w.say("c2", "x")
	}
	resume(from, 1) // the ring has moved on
	resume(from, 0)
}

func TestHowManyAreRemembered(t *testing.T) {
	w := start(t, options{gw: gateway.Config{Remembered: 2}})
	w.crowd(4, "c1")
	w.open("u3")
	for i := range 3 {
		w.away(w.open(chat.UserID(fmt.Sprint("u", i))))
	}
	asked := w.questions()
	for _, i := range []int{2, 1, 2, 0} { // 0 was forgotten for 2
		w.away(w.resume(chat.UserID(fmt.Sprint("u", i)), "workspace=w1&"+at(w.head())))
	}
	if n := w.questions() - asked; n != 1 {
		t.Errorf("%d questions", n)
	}
}

// All sockets are cut, and everybody comes back at once.
func TestAReconnectingCrowdAsksNobody(t *testing.T) {
	const n = 300
	w := start(t, options{})
	w.crowd(n, "c1", "c2")
	var all []*client
	for i := range n {
		all = append(all, w.open(chat.UserID(fmt.Sprint("u", i))))
	}
	for _, c := range all {
		_ = c.nc.Close() // all at once
	}
	w.eventually("all are gone", func() bool { return w.gw.Sockets() == 0 })
	w.say("c1", "missed")
	w.leave("c2", "u7")
	last := w.say("c2", "missed, but for one")
	asked := w.questions()
	var wg sync.WaitGroup
	for i, c := range all {
		user := chat.UserID(fmt.Sprint("u", i))
		wg.Go(func() {
			again, err := w.tryOpen(user, at(c.hello.Head)) // without naming the workspace
			if err != nil {
				t.Error(err)
				return
			}
			defer again.nc.Close()
			want := w.shown(user, c.hello.Head, last)
			if got, err := again.gather(want[len(want)-1]); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %d events, not %d, %v", user, len(got), len(want), err)
			}
		})
	}
	wg.Wait()
	if got := w.questions() - asked; got != 0 {
		t.Errorf("%d questions", got)
	}
	if d := w.gw.Door(); d.Remembered.Load() != n {
		t.Errorf("%d came back by memory", d.Remembered.Load())
	}
}

// While members come and go, whoever comes back sees what the log says, by memory or by the directory.
func TestMemoryIsRightWhateverHappens(t *testing.T) {
	w := start(t, options{ring: fanout.Config{RingEntries: 200}})
	w.member("bob", "c1", "c2", "c3")
	w.open("bob")
	w.member("alice", "c1")
	in := map[chat.ChannelID]bool{"c1": true}
	cursor := w.head()
	w.away(w.resume("alice", "workspace=w1&"+at(cursor)))
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for round := range 60 {
		for range r.IntN(20) {
			ch := chat.ChannelID(fmt.Sprint("c", 1+r.IntN(3)))
			switch r.IntN(4) {
			case 0:
				if in[ch] {
					w.leave(ch, "alice")
				} else {
					w.join(ch, "alice")
				}
				in[ch] = !in[ch]
			default:
				w.say(ch, "x")
			}
		}
		head := w.head()
		start := min(head, cursor+chat.Seq(r.IntN(int(head-cursor)+1)))
		c := w.resume("alice", "workspace=w1&"+at(start))
		w.sees(c, "alice", start, head)
		if more := c.quiet(); len(more) != 0 {
			t.Fatalf("round %d from %d: %v come after everything", round, start, more)
		}
		w.away(c)
		if r.IntN(2) == 0 {
			cursor = start
		}
	}
	if d := w.gw.Door(); d.Remembered.Load() == 0 {
		t.Error("nothing came by memory")
	}
}
