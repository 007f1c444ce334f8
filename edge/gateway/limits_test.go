package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// gate lets a number of times through for each name.
type gate struct {
	mu   sync.Mutex
	left map[string]int
}

func (g *gate) take(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, ok := g.left[name]; ok {
		if n == 0 {
			return fault.New(fault.RateLimited, "too often").After(1500 * time.Millisecond)
		}
		g.left[name]--
	}
	return nil
}

func (g *gate) Address(a netip.Addr) error      { return g.take(a.String()) }
func (g *gate) User(u chat.UserID) error        { return g.take(string(u)) }
func (g *gate) Channel(ch chat.ChannelID) error { return g.take(string(ch)) }

func behindGate(left map[string]int) func(*hub, *gateway.Neighbours) {
	return func(_ *hub, n *gateway.Neighbours) { n.Gate = &gate{left: left} }
}

func TestSendsOfAUserAndToAChannelAreLimited(t *testing.T) {
	w := start(t, options{to: behindGate(map[string]int{"alice": 2, "c2": 1})})
	w.member("alice", "c1")
	w.member("bob", "c1", "c2")
	one, two := w.open("alice"), w.open("alice") // the limit is of the user
	one.write(post("m1", "c1", "x"))
	one.until("message.ack")
	two.write(post("m2", "c1", "x"))
	two.until("message.ack")
	one.write(post("m3", "c1", "x"))
	if f, _ := one.until("error"); f.Code != "rate_limited" || f.ClientMsgID != "m3" || f.RetryAfter == nil || *f.RetryAfter != 1.5 {
		t.Errorf("%+v", f)
	}
	bob := w.open("bob")
	bob.write(post("b1", "c2", "x"), post("b2", "c2", "x"), post("b3", "c1", "x"))
	got := map[string]string{}
	for len(got) < 3 {
		if f := bob.read(); f.ClientMsgID != "" && !f.stored() {
			got[f.ClientMsgID] = f.Type + f.Code
		}
	}
	if got["b1"] != "message.ack" || got["b2"] != "errorrate_limited" || got["b3"] != "message.ack" {
		t.Errorf("%v", got)
	}
	if by := w.gw.Counters().Refused.All(); by["rate_limited"] != 2 {
		t.Errorf("%v", by)
	}
}

func TestAddressesAreLimited(t *testing.T) {
	o := options{to: behindGate(map[string]int{"127.0.0.1": 3, "192.0.2.7": 1})}
	w := start(t, o)
	w.member("alice", "c1")
	for range 3 {
		w.open("alice")
	}
	w.refused(w.request("", "Authorization: Bearer alice"), 429, "rate_limited", true)
	w.refused(w.request("", "Authorization: Bearer alice", "X-Forwarded-For: 192.0.2.8"), 429, "rate_limited", true) // nobody said that this proxy is ours

	o.gw.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o.to = behindGate(map[string]int{"192.0.2.7": 0})
	w = start(t, o)
	w.member("alice", "c1")
	w.open("alice")
	w.refused(w.request("", "Authorization: Bearer alice", "X-Forwarded-For: 10.0.0.1, 192.0.2.7, 127.0.0.2"), 429, "rate_limited", true)
}

func TestFramesOfASocketAreLimited(t *testing.T) {
	on(t, options{gw: gateway.Config{Frames: session.Pace{PerSecond: 5, Burst: 10}}}, func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.member("bob", "c1")
		c, bob := w.open("alice"), w.open("bob")
		ping := func(i int) []byte { return text(fmt.Sprintf(`{"type":"ping","ref":%d}`, i)) }
		for i := range 15 {
			c.write(ping(i))
		}
		pongs, wait := 0, 0.0
		for range 15 {
			switch f := c.read(); {
			case f.Type == "pong":
				pongs++
			case f.Code != "rate_limited" || f.RetryAfter == nil || *f.RetryAfter <= 0 || f.Ref == nil:
				t.Fatalf("%+v", f)
			default:
				wait = *f.RetryAfter
			}
		}
		if pongs < 10 || pongs > 12 {
			t.Errorf("%d of 15 were taken", pongs)
		}
		time.Sleep(time.Duration(wait*float64(time.Second)) + 20*time.Millisecond) // as it was told
		c.write(ping(99))
		if f := c.read(); f.Type != "pong" {
			t.Errorf("after the wait: %+v", f)
		}
		for i := range 200 { // and now it does not listen
			if _, err := c.nc.Write(ping(i)); err != nil {
				break
			}
		}
		c.ends(4429)
		bob.write(post("m", "c1", "nobody else minds"))
		bob.until("message.ack")
	})
}

func TestBytesOfASocketAreLimited(t *testing.T) {
	w := start(t, options{gw: gateway.Config{Bytes: session.Pace{PerSecond: 1000, Burst: 20_000}}})
	w.member("alice", "c1")
	c := w.open("alice")
	long := strings.Repeat("x", 15_000)
	c.write(post("m1", "c1", long))
	c.until("message.ack")
	c.write(post("m2", "c1", long))
	if f, _ := c.until("error"); f.Code != "rate_limited" || f.ClientMsgID != "m2" || f.RetryAfter == nil || *f.RetryAfter < 5 {
		t.Errorf("%+v", f)
	}
	go func() {
		for range 20 {
			if _, err := c.nc.Write(post("m", "c1", long)); err != nil {
				return
			}
		}
	}()
	c.ends(4429)
}

// hung is a log that never answers, and minds nobody's deadline but its own.
type hung struct{ *hub }

func (h hung) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	<-ctx.Done()
	return event.Receipt{}, ctx.Err()
}

// A log that does not answer becomes unavailable, for what is on its way after the time that one may take, for what
// comes on top at once; nothing queues, and those who read go on.
func TestALogThatHangs(t *testing.T) {
	w := start(t, options{
		gw: gateway.Config{SendTimeout: 300 * time.Millisecond, MaxSending: 20},
		to: func(h *hub, n *gateway.Neighbours) { n.Submitter = hung{h} },
	})
	w.crowd(40, "c1")
	var all []*client
	for i := range 40 {
		all = append(all, w.open(chat.UserID(fmt.Sprint("u", i))))
	}
	for _, c := range all {
		c.write(post("m1", "c1", "x"))
	}
	w.eventually("nine tenths of the way are taken", func() bool { return w.gw.Load().Sending > 18 })
	w.refused(w.request("", "Authorization: Bearer u0"), 503, "unavailable", true)
	seq := w.say("c1", "others are heard")
	for _, c := range all {
		for got := 0; got < 2; {
			switch f := c.read(); {
			case f.Seq == seq:
				got++
			case f.ClientMsgID == "m1":
				if f.Code != "unavailable" || f.RetryAfter == nil {
					t.Fatalf("%+v", f)
				}
				got++
			}
		}
	}
	w.eventually("the way is free", func() bool { return w.gw.Load().Sending == 0 })
	w.open("u0") // and the door is open again
}

// Bytes that wait for sockets are counted; past nine tenths of the bound nobody new comes in, and past all of it who does
// not read its own answers goes.
func TestMemoryForSocketsIsBounded(t *testing.T) {
	w := start(t, options{narrow: true, gw: gateway.Config{MaxBytes: 20_000, Heartbeat: slowBeat}})
	w.member("alice", "c1", "c2")
	w.member("bob", "c1")
	bob := w.open("bob")
	c, _ := w.stuck("alice")
	go func() {
		for {
			if _, err := c.nc.Write(text(`{"type":"ping","ref":"` + strings.Repeat("x", 60) + `"}`)); err != nil {
				return
			}
		}
	}()
	w.eventually("it has gone, long before it had 128 KiB", func() bool { return w.gw.Counters().Closed()["slow_reader"] == 1 })
	go func() { // reads all
		for {
			if _, err := bob.next(); err != nil {
				return
			}
		}
	}()
	w.eventually("nothing is held", func() bool { return w.gw.Load().HeldBytes < 10_000 })
	w.open("bob")
}

func retryAfter(t *testing.T, body io.Reader) float64 {
	var p struct {
		Code       string  `json:"code"`
		RetryAfter float64 `json:"retry_after"`
	}
	if err := json.NewDecoder(body).Decode(&p); err != nil || p.Code != "unavailable" || p.RetryAfter <= 0 {
		t.Errorf("%+v, %v", p, err)
	}
	return p.RetryAfter
}

// A crowd comes in at the rate that is allowed, when each comes back at the time that it is told.
func TestACrowdIsSpread(t *testing.T) {
	w := start(t, options{gw: gateway.Config{Admit: session.Pace{PerSecond: 200, Burst: 20}}})
	w.crowd(1, "c1")
	var wg sync.WaitGroup
	var refusals, longest sync.Map
	for i := range 200 {
		wg.Go(func() {
			for try := 0; ; try++ {
				c, resp, err := w.ask(w.request("", "Authorization: Bearer u0"), nil)
				if err != nil {
					t.Error(err)
					return
				}
				if resp.StatusCode == 101 {
					_ = c.nc.Close()
					return
				}
				wait := retryAfter(t, resp.Body)
				_ = c.nc.Close()
				refusals.Store([2]int{i, try}, wait)
				if wait > 2 {
					longest.Store(i, wait)
				}
				if try > 20 {
					t.Error("it never comes in")
					return
				}
				time.Sleep(time.Duration(wait * float64(time.Second)))
			}
		})
	}
	wg.Wait()
	n := 0
	refusals.Range(func(any, any) bool { n++; return true })
	if n < 100 {
		t.Errorf("%d refusals of 200 at once", n)
	}
	longest.Range(func(_, wait any) bool { t.Errorf("one waits %v s, of a crowd that is in after one", wait); return true })
	if got := w.gw.Door().TurnedAway.Load(); int(got) != n {
		t.Errorf("%d are counted, of %d", got, n)
	}
}
