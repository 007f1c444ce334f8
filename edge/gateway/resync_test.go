package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
)

func TestResume(t *testing.T) {
	for name, ring := range map[string]fanout.Config{"from the ring": {}, "from the log": {RingEntries: 4}} {
		t.Run(name, func(t *testing.T) {
			on(t, options{ring: ring}, func(t *testing.T, w *world) {
				w.member("bob", "c1", "c2")
				w.open("bob")
				w.member("alice", "c1")
				for range 30 {
					w.say("c1", "x")
					w.say("c2", "not yet")
				}
				w.join("c2", "alice")
				w.say("c2", "x")
				w.leave("c2", "alice")
				w.say("c2", "no more")
				w.join("c2", "alice")
				w.say("c2", "x")
				w.leave("c1", "alice")
				w.say("c1", "no more")
				head := w.head()
				for from := chat.Seq(0); from <= head; from += 3 {
					c := w.resume("alice", at(from))
					if !c.hello.Resumed || c.hello.Head != head {
						t.Fatalf("%+v", c.hello)
					}
					w.sees(c, "alice", from, head)
					if more := c.quiet(); len(more) != 0 {
						t.Fatalf("%v come after everything", more)
					}
					// What counts for sends is the newest membership, however long the way there was.
					c.write(post("no", "c1", "x"))
					if f, _ := c.until("error"); f.Code != "not_found" {
						t.Fatalf("%+v", f)
					}
					if err := c.nc.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// A send right after the resume counts by what the directory said, though the session reads of it later.
func TestASendWhileResuming(t *testing.T) {
	w := start(t, options{ring: fanout.Config{RingEntries: 4}})
	w.member("alice", "c1")
	from := w.head()
	w.leave("c1", "alice")
	w.join("c1", "alice")
	w.join("c2", "alice")
	w.leave("c2", "alice")
	w.flood(10, "c1")
	for i := range 20 {
		request := w.request(at(from), "Authorization: Bearer alice")
		c, resp, err := w.ask(request, append(post(fmt.Sprint("in", i), "c1", "x"), post("out", "c2", "x")...))
		if err != nil || resp.StatusCode != 101 {
			t.Fatal(resp, err)
		}
		seen := map[string]string{}
		for seen["out"] == "" || seen[fmt.Sprint("in", i)] == "" {
			if f := c.read(); f.Type == "error" || f.Type == "message.ack" {
				seen[f.ClientMsgID] = f.Type + f.Code
			}
		}
		if seen["out"] != "errornot_found" || seen[fmt.Sprint("in", i)] != "message.ack" {
			t.Errorf("%v", seen)
		}
		if err := c.nc.Close(); err != nil {
			t.Error(err)
		}
	}
}

// One who was removed and came back may resume from before that.
func TestResumeFromBeforeARemoval(t *testing.T) {
	for name, ring := range map[string]fanout.Config{"from the ring": {}, "from the log": {RingEntries: 2}} {
		t.Run(name, func(t *testing.T) {
			w := start(t, options{ring: ring})
			w.member("alice", "c1")
			from := w.head()
			w.leave("c1", "alice")
			w.leave("", "alice")
			w.say("c1", "not for alice")
			w.member("alice", "c1")
			w.say("c1", "for alice")
			c := w.resume("alice", at(from))
			w.sees(c, "alice", from, w.head())
			w.leave("", "alice")
			c.ends(4503)
		})
	}
}

func TestCursorsThatCannotBeResumed(t *testing.T) {
	on(t, options{ring: fanout.Config{RingEntries: 4}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.flood(20, "c1")
		w.expire(10)
		head := w.head()
		for query, reason := range map[string]string{
			"cursor=2.5":              "epoch",
			at(head + 100):            "ahead",
			at(1 << 40):               "ahead",
			at(0):                     "expired",
			at(8):                     "expired",
			"cursor=7.1&workspace=w1": "epoch",
		} {
			c := w.resume("alice", query)
			if c.hello.Resumed || c.hello.Head != head {
				t.Errorf("%s: %+v", query, c.hello)
			}
			if f := c.read(); f.Type != "resync" || f.Reason != reason || f.Head != head {
				t.Errorf("%s: %+v", query, f)
			}
			from := head
			head = w.say("c1", "live")
			w.sees(c, "alice", from, head)
			if err := c.nc.Close(); err != nil {
				t.Error(err)
			}
		}
		c := w.resume("alice", at(9)) // the last that is whole
		w.sees(c, "alice", 9, head)
	})
}

// The client saw through another gateway what this one has not got.
func TestACursorThatThisGatewayHasNotComeTo(t *testing.T) {
	on(t, options{}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.open("alice")
		w.with(func() { w.deaf = true })
		w.say("c1", "not republished")
		cursor := w.say("c1", "nor this")
		w.with(func() { w.deaf = false })
		c := w.resume("alice", at(cursor))
		if !c.hello.Resumed {
			t.Errorf("%+v", c.hello)
		}
		seq := w.say("c1", "live")
		w.sees(c, "alice", cursor, seq)
	})
}

// The log's window passes a session that is stuck.
func TestExpiredWhileBehind(t *testing.T) {
	on(t, options{narrow: true, ring: fanout.Config{RingEntries: 16}}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		c, _ := w.stuck("alice")
		w.join("c3", "alice")
		w.leave("c1", "alice")
		w.flood(50, "c2")
		w.expire(w.head() - 5)
		f, seqs := c.until("resync")
		if f.Reason != "expired" || f.Head != w.head() || len(seqs) == 0 {
			t.Errorf("%+v", f)
		}
		w.say("c1", "not for alice any more")
		seq := w.say("c3", "for alice")
		w.sees(c, "alice", f.Head, seq)
	})
}

// A hole in what the feed showed: everybody is told, live and behind, and goes on with what they are in now.
func TestAHoleInTheFeed(t *testing.T) {
	on(t, options{narrow: true, ring: fanout.Config{RingEntries: 16}}, func(t *testing.T, w *world) {
		w.crowd(10, "c1", "c2")
		w.member("slow", "c1", "c2")
		slow, _ := w.stuck("slow")
		var live []*client
		for i := range 10 {
			live = append(live, w.open(chat.UserID(fmt.Sprint("u", i))))
		}
		for round := range 3 {
			w.with(func() { w.deaf = true })
			w.say("c1", "lost")
			w.join("c3", "u1")
			w.with(func() { w.deaf = false })
			w.say("c2", "shown before what was lost")
			seq := w.say("c1", "after the hole")
			for _, c := range live {
				if f, _ := c.until("resync"); f.Reason != "gap" || f.Head < seq-2 {
					t.Fatalf("round %d: %+v", round, f)
				}
			}
			w.say("c3", "for u1 alone")
			last := w.say("c2", "live")
			for i, c := range live {
				w.reaches(c, chat.UserID(fmt.Sprint("u", i)), last)
			}
			w.leave("c3", "u1")
		}
		slow.until("resync")
		w.reaches(slow, "slow", w.say("c2", "live for the slow one"))
	})
}

// reaches reads up to a seq, and checks that nothing came twice or that the user may not see.
func (w *world) reaches(c *client, user chat.UserID, last chat.Seq) {
	w.t.Helper()
	may := map[chat.Seq]bool{}
	for _, seq := range w.shown(user, 0, last) {
		may[seq] = true
	}
	var before chat.Seq
	for before < last {
		f := c.read()
		if !f.stored() {
			continue
		}
		if f.Seq <= before || !may[f.Seq] {
			w.t.Fatalf("%s: %d after %d, may see it: %t", user, f.Seq, before, may[f.Seq])
		}
		before = f.Seq
	}
}

// Sockets come, go and resume at random while everything moves; each sees what its user must, once, in order.
func TestResumeHasNoSeam(t *testing.T) {
	for name, ring := range map[string]fanout.Config{"big ring": {}, "small ring": {RingEntries: 8}} {
		t.Run(name, func(t *testing.T) {
			on(t, options{ring: ring}, func(t *testing.T, w *world) {
				users, times := 20, 6
				if testing.Short() {
					users, times = 8, 5
				}
				w.crowd(users, "c1")
				stop := make(chan struct{})
				stopped := make(chan struct{})
				go func() {
					defer close(stopped)
					w.traffic(stop, users)
				}()
				failed := make(chan error, users)
				for i := range users {
					user := chat.UserID(fmt.Sprint("u", i))
					go func() { failed <- w.roam(user, times) }()
				}
				for range users {
					if err := <-failed; err != nil {
						t.Error(err)
					}
				}
				close(stop)
				<-stopped
			})
		})
	}
}

// traffic moves users in and out of channels and posts, until stop.
func (w *world) traffic(stop chan struct{}, users int) {
	in := map[string]bool{}
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rand.IntN(1500)) * time.Microsecond):
		}
		ch := chat.ChannelID(fmt.Sprint("c", 1+rand.IntN(4)))
		user := chat.UserID(fmt.Sprint("u", rand.IntN(users)))
		key := string(ch) + string(user)
		switch {
		case ch == "c1" || rand.IntN(4) > 0:
			w.say(ch, "x")
		case in[key]:
			w.leave(ch, user)
			in[key] = false
		default:
			w.join(ch, user)
			in[key] = true
		}
	}
}

// roam opens, reads a while, breaks off and resumes, and checks the whole of what it got.
func (w *world) roam(user chat.UserID, times int) error {
	var cursor, from chat.Seq
	var got []chat.Seq
	for i := range times {
		query := ""
		if i > 0 {
			query = at(cursor)
		}
		c, err := w.tryOpen(user, query)
		if err != nil {
			return err
		}
		if i == 0 {
			cursor, from = c.hello.Head, c.hello.Head
		} else if !c.hello.Resumed {
			return fmt.Errorf("%s: %+v", user, c.hello)
		}
		seqs, err := c.gather(cursor + chat.Seq(1+rand.IntN(100)))
		if err != nil {
			return fmt.Errorf("%s: %w", user, err)
		}
		got = append(got, seqs...)
		cursor = seqs[len(seqs)-1]
		if err := c.nc.Close(); err != nil {
			return err
		}
	}
	if want := w.shown(user, from, cursor); fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%s: %s", user, firstDifference(got, want))
	}
	return nil
}
