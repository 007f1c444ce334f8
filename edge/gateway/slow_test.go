package gateway_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
)

// flood stores n long posts in turn over channels.
func (w *world) flood(n int, channels ...chat.ChannelID) {
	body := strings.Repeat("x", 4<<10)
	for i := range n {
		w.say(channels[i%len(channels)], body)
	}
}

// stuck is a client that stopped reading, while more came than sockets hold.
func (w *world) stuck(user chat.UserID) (c *client, from chat.Seq) {
	w.t.Helper()
	if !w.narrow {
		w.t.Fatal("sockets of this world hold too much")
	}
	from = w.head()
	c = w.open(user)
	before := w.gw.Counters().Behind.Load()
	w.eventually(string(user)+" is behind", func() bool {
		w.flood(100, "c1", "c2")
		return w.gw.Counters().Behind.Load() > before && w.head() > from+400 // of 4 KiB: much more than what sockets hold
	})
	return c, from
}

func TestASlowReaderGetsEverythingInOrder(t *testing.T) {
	for name, ring := range map[string]fanout.Config{
		"from the ring": {RingEntries: 1 << 20, RingBytes: 1 << 30},
		"from the log":  {RingEntries: 16},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, options{narrow: true, ring: ring}, func(t *testing.T, w *world) {
				w.member("alice", "c1", "c2")
				w.member("bob", "c1")
				w.member("carol", "c1", "c2")
				fast := w.open("bob")
				go func() { // reads all along
					for {
						if _, err := fast.next(); err != nil {
							return
						}
					}
				}()
				slow, from := w.stuck("alice")
				// Others are not delayed while it is stuck.
				carol := w.open("carol")
				start := carol.hello.Head
				seq := w.say("c1", "for all")
				w.sees(carol, "carol", start, seq)
				w.leave("c2", "alice")
				w.flood(20, "c2", "c1")
				w.join("c3", "alice")
				w.say("c3", "new")
				last := w.say("c1", "last")
				w.sees(slow, "alice", from, last)
				last = w.say("c1", "live again")
				w.sees(slow, "alice", last-1, last)
				if pages := w.gw.Counters().Pages.Load(); (pages > 0) != (ring.RingEntries == 16) {
					t.Errorf("%d pages were read", pages)
				}
				if n := w.gw.Counters().Resyncs.Load(); n != 0 {
					t.Errorf("%d resyncs", n)
				}
			})
		})
	}
}

func TestASlowReaderCostsLittle(t *testing.T) {
	w := start(t, options{narrow: true, ring: fanout.Config{RingEntries: 64}})
	w.crowd(50, "c1", "c2")
	from := w.head()
	var all []*client
	for i := range 50 {
		all = append(all, w.open(chat.UserID(fmt.Sprint("u", i))))
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	w.flood(400, "c1")
	w.eventually("all are behind", func() bool { return w.gw.Counters().Behind.Load() >= 50 })
	before, logged := heap(), w.head()
	w.flood(1000, "c1")
	if grown := int64(heap()-before) - int64(w.head()-logged)*5<<10; grown > 50*64<<10 {
		t.Errorf("50 slow readers take %d bytes more after 4 MB more", grown)
	}
	if n := runtime.NumGoroutine(); n > 40 {
		t.Errorf("%d goroutines", n)
	}
	for i, c := range all[:3] {
		w.sees(c, chat.UserID(fmt.Sprint("u", i)), from, w.head())
	}
}

func TestOneWhoDoesNotReadItsAnswers(t *testing.T) {
	on(t, options{narrow: true, gw: gateway.Config{Frames: session.Pace{PerSecond: -1}, Bytes: session.Pace{PerSecond: -1}}}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		c, _ := w.stuck("alice")
		go func() {
			for {
				if _, err := c.nc.Write(text(`{"type":"ping","ref":"` + strings.Repeat("x", 60) + `"}`)); err != nil {
					return
				}
			}
		}()
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["slow_reader"] != 1 {
			t.Errorf("%v", by)
		}
	})
}

// slowBeat is long enough for a socket to fill before its client, who does not read, counts as silent: three of these.
const slowBeat = 6 * time.Second

func TestStallTimeout(t *testing.T) {
	on(t, options{narrow: true, gw: gateway.Config{StallTimeout: 500 * time.Millisecond, Heartbeat: slowBeat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		w.stuck("alice")
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["slow_reader"] != 1 {
			t.Errorf("%v", by)
		}
	})
}

func TestRemovedFromTheWorkspaceWhileBehind(t *testing.T) {
	on(t, options{narrow: true, gw: gateway.Config{Heartbeat: slowBeat}}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		c, _ := w.stuck("alice")
		w.leave("", "alice")
		after := w.say("c1", "not for alice")
		w.eventually("it has gone", func() bool { return w.gw.Sockets() == 0 })
		if by := w.gw.Counters().Closed(); by["forbidden"] != 1 {
			t.Errorf("%v", by)
		}
		for {
			f, err := c.next()
			if err != nil {
				break
			}
			if f.Seq >= after {
				t.Fatalf("%+v", f)
			}
		}
	})
}

// What one may send counts by the newest membership, also when one has not read on to it.
func TestSendsOfOneWhoIsBehind(t *testing.T) {
	on(t, options{narrow: true}, func(t *testing.T, w *world) {
		w.member("alice", "c1", "c2")
		c, _ := w.stuck("alice")
		w.join("c3", "alice")
		w.leave("c1", "alice")
		w.flood(1, "c2")
		watcher := w.open("alice") // on the same log: when it is open, the rooms have come that far
		watcher.write(post("w", "c3", "x"))
		watcher.until("message.ack")
		w.eventually("both rooms have come to it", func() bool {
			c.write(post("m3", "c3", "joined"), post("m1", "c1", "left"))
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Contains(w.sentLocked(), "m3")
		})
		w.with(func() { w.sent = nil })
		c.write(post("m1-again", "c1", "left"), post("m3-again", "c3", "joined"))
		w.eventually("the second came to the log", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Contains(w.sentLocked(), "m3-again")
		})
		w.mu.Lock()
		defer w.mu.Unlock()
		if slices.Contains(w.sentLocked(), "m1-again") {
			t.Error("one who has left still sends")
		}
	})
}

// sentLocked is the ids of what came to the log, under mu.
func (h *hub) sentLocked() []string {
	var ids []string
	for _, c := range h.sent {
		ids = append(ids, string(c.ClientMsgID))
	}
	return ids
}
