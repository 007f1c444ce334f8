package streamstest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

// life is what goes on while servers die: people who send, a consumer, and somebody who writes keys and another who
// watches them. All of it runs through the leaf.
type life struct {
	t    *testing.T
	c    *streamstest.HubCluster
	conn *bus.Conn
	log  *bus.Log
	over context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	acked    map[string]chat.Seq // body → the seq of its first ack
	begun    map[string]bool     // bodies that were sent at least once
	again    int                 // sends whose outcome was unknown, and that were sent again
	handled  map[chat.Seq]int    // by the consumer
	written  map[string]string   // of each key, what was acknowledged last
	seen     map[string]string   // by the watch
	complete int                 // times that the watch had everything
}

func begin(t *testing.T, c *streamstest.HubCluster) *life {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: c.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{
		t: t, c: c, conn: conn, log: bus.NewLog(conn), over: cancel, acked: map[string]chat.Seq{}, begun: map[string]bool{},
		handled: map[chat.Seq]int{}, written: map[string]string{}, seen: map[string]string{},
	}
	l.consume(ctx)
	l.keys(ctx)
	return l
}

// people starts n senders, until the returned function stops them. Each sends one after the other, every fifth twice, and what was
// not acknowledged again until it is.
func (l *life) people(n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var senders, publisher sync.WaitGroup
	p := publish.New(l.conn, publish.Config{Budget: 2 * time.Second, Attempt: time.Second}) // shorter than an election
	publishing, end := context.WithCancel(context.Background())
	publisher.Go(func() {
		if err := p.Run(publishing); err != nil {
			l.t.Error(err)
		}
	})
	for i := range n {
		senders.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				body := fmt.Sprintf("u%d-%d", i, k)
				first := l.send(p, i, body)
				if k%5 == 0 && first != 0 {
					if seq := l.send(p, i, body); seq != first {
						l.t.Errorf("%s was stored at %d, and again at %d", body, first, seq)
					}
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return sync.OnceFunc(func() {
		cancel()
		senders.Wait()
		end()
		publisher.Wait()
	})
}

// send sends until there is an ack, and answers its seq.
func (l *life) send(p *publish.Publisher, i int, body string) chat.Seq {
	l.mu.Lock()
	l.begun[body] = true
	l.mu.Unlock()
	m := bus.Message{
		Place: streams.Place{WorkspaceID: ws, ChannelID: chat.ChannelID(fmt.Sprint("c", i%3))}, MsgID: "u." + body, Payload: []byte(body),
	}
	for end := time.Now().Add(2 * streamstest.ElectionWait); ; {
		ack, err := p.PublishSync(context.Background(), m)
		l.mu.Lock()
		switch {
		case err == nil && l.acked[body] == 0:
			l.acked[body] = ack.Seq
		case err == nil && l.acked[body] != ack.Seq:
			l.t.Errorf("%s: ack of %d after an ack of %d", body, ack.Seq, l.acked[body])
		case err != nil:
			l.again++
		}
		l.mu.Unlock()
		switch {
		case err == nil && (ack.Domain != streams.HubDomain || ack.Stream != streams.ChatStream(0)):
			l.t.Errorf("%s: stored by %+v", body, ack)
			return 0
		case err == nil:
			return ack.Seq
		case !fault.Is(err, fault.Unavailable):
			l.t.Errorf("%s: %v", body, err)
			return 0
		case time.Now().After(end):
			l.t.Errorf("%s: no ack in two minutes: %v", body, err)
			return 0
		}
	}
}

func (l *life) consume(ctx context.Context) {
	l.t.Helper()
	js, err := l.c.HubJS.Consumer(l.c.Context(), streams.ChatStream(0), streams.ConsumerPersist)
	if err != nil {
		l.t.Fatal(err)
	}
	config := js.CachedInfo().Config
	config.AckWait, config.BackOff = 2*time.Second, []time.Duration{2 * time.Second} // an ack that is lost costs the test so long
	if _, err := l.c.HubJS.UpdateConsumer(l.c.Context(), streams.ChatStream(0), config); err != nil {
		l.t.Fatal(err)
	}
	consumer := consume.New(l.conn, consume.Config{Stream: streams.ChatStream(0), Consumer: streams.ConsumerPersist},
		func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, d := range batch {
				l.handled[d.Seq]++
			}
			return make([]bus.Outcome, len(batch)), nil
		})
	l.work.Go(func() {
		if err := consumer.Run(ctx); err != nil {
			l.t.Error(err)
		}
	})
}

func (l *life) keys(ctx context.Context) {
	l.t.Helper()
	b, err := kv.Open(kv.Config{Conn: l.conn, Domain: streams.HubDomain, Name: streams.BucketRevocations})
	if err != nil {
		l.t.Fatal(err)
	}
	l.work.Go(func() {
		told := map[string]string{}
		err := b.Watch(ctx, nil, func(e kv.Entry) {
			l.mu.Lock()
			defer l.mu.Unlock()
			switch e.Op {
			case kv.Start:
				clear(told)
			case kv.Put:
				told[e.Key] = string(e.Value)
			case kv.Delete:
				delete(told, e.Key)
			case kv.Complete:
				l.complete++
			}
			if e.Op != kv.Start {
				l.seen = maps.Clone(told)
			}
		})
		if err != nil {
			l.t.Error(err)
		}
	})
	l.work.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			key, value := fmt.Sprint("user.k", i%10), fmt.Sprint(i)
			if _, err := b.Put(ctx, key, []byte(value)); err == nil {
				l.mu.Lock()
				l.written[key] = value
				l.mu.Unlock()
			} else if i -= 1; !fault.Is(err, fault.Unavailable) && ctx.Err() == nil { // the same key again: what is last is known
				l.t.Errorf("put: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

// grows waits until n more messages are acknowledged: life goes on.
func (l *life) grows(what string, n int) {
	l.t.Helper()
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acked)
	}
	before := count()
	l.eventually(what+": sending goes on", func() bool { return count() >= before+n })
}

func (l *life) eventually(what string, cond func() bool) {
	l.t.Helper()
	for end := time.Now().Add(streamstest.ElectionWait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("not in time: %s", what)
		}
	}
}

// settles checks everything that was promised, when all is quiet. The senders have stopped.
func (l *life) settles() {
	l.t.Helper()
	l.eventually("the hub stores and shows a probe", func() bool { return l.conn.Probe(l.c.Context(), "0test") == nil })
	last, err := l.log.LeaderLast(l.c.Context(), 0, "chat.0.w1.>")
	if err != nil {
		l.t.Fatal(err)
	}
	var stored []bus.Entry
	for from := chat.Seq(1); from <= last; {
		b, err := l.log.Read(l.c.Context(), bus.ReadQuery{Filter: "chat.0.w1.>", From: from})
		if err != nil || len(b.Entries) == 0 {
			time.Sleep(10 * time.Millisecond) // a replica lags
			continue
		}
		stored = append(stored, b.Entries...)
		from = b.Entries[len(b.Entries)-1].Seq + 1
	}
	l.check(stored)
	l.eventually("the consumer has acknowledged all of it", func() bool {
		floor, err := consume.Floor(l.c.Context(), l.conn, streams.ChatStream(0), streams.ConsumerPersist)
		return err == nil && floor >= last
	})
	l.mu.Lock()
	for _, e := range stored {
		if l.handled[e.Seq] == 0 {
			l.t.Errorf("%d is acknowledged and was never handled", e.Seq)
		}
	}
	l.mu.Unlock()
	l.over()
	l.work.Wait()
}

// check compares what the log holds with what was acknowledged.
func (l *life) check(stored []bus.Entry) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := map[string]chat.Seq{}
	turn := map[string]int{}
	for i, e := range stored {
		body := string(e.Payload)
		who, number, _ := strings.Cut(body, "-")
		var k int
		if _, err := fmt.Sscan(number, &k); err != nil || !l.begun[body] {
			l.t.Fatalf("nobody sent %q", body)
		}
		if i > 0 && e.Seq <= stored[i-1].Seq {
			l.t.Errorf("%d comes after %d", e.Seq, stored[i-1].Seq)
		}
		if at[body] != 0 {
			l.t.Errorf("%s is stored at %d and at %d", body, at[body], e.Seq)
		}
		if at[body] = e.Seq; k != turn[who] {
			l.t.Errorf("%s is stored where %d of this sender was next", body, turn[who])
		}
		turn[who] = k + 1
	}
	for body, seq := range l.acked {
		if at[body] != seq {
			l.t.Errorf("%s was acknowledged at %d, and lies at %d", body, seq, at[body])
		}
	}
	l.t.Logf("%d messages stored, %d acknowledged, %d tries without an ack", len(stored), len(l.acked), l.again)
}

// watchSees waits until the watch has every key's last value.
func (l *life) watchSees(what string) {
	l.t.Helper()
	l.mu.Lock()
	want := maps.Clone(l.written)
	l.mu.Unlock()
	l.eventually(what+": the watch has what was written before", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		for key, value := range want {
			var has, wanted int
			fmt.Sscan(l.seen[key], &has) // not there: 0
			fmt.Sscan(value, &wanted)
			if has < wanted {
				return false
			}
		}
		return l.complete > 0
	})
}

// Whatever dies of the three, what was acknowledged is there once, at the seq that was said, in one order for all.
func TestNothingThatWasAcknowledgedIsLostOrDoubledByElections(t *testing.T) {
	c := streamstest.StartCluster(t)
	chats := streams.ChatStream(0)
	l := begin(t, c)
	defer l.work.Wait()
	defer l.over()
	stop := l.people(6)
	defer stop()
	l.grows("at first", 50)

	leads := c.Leader(chats)
	c.KillNode(leads)
	if now := c.Leader(chats); now == leads {
		t.Errorf("member %d is dead and leads", now)
	}
	l.grows("the leader was killed", 100)
	l.watchSees("the leader was killed")
	c.StartNode(leads)
	c.WaitCurrent(chats)
	l.grows("it is back", 50)

	follows := c.Follower(chats)
	c.KillNode(follows)
	l.grows("a follower was killed", 100)
	c.StartNode(follows)
	c.WaitCurrent(chats)

	c.StepDown(chats)
	l.grows("the leader stepped down", 100)
	leads = c.Leader(chats)
	c.StopNode(leads)
	l.grows("the leader was stopped in good order", 50)
	c.StartNode(leads)
	l.watchSees("the leader was stopped in good order")
	aMemberKnowsWhetherItIsLed(t, c, c.Follower(chats))
	stop()
	l.settles()
	if l.again == 0 {
		t.Error("no send met an election: nothing was tested")
	}
	sameEverywhere(t, c, chats)
}

// aMemberKnowsWhetherItIsLed cuts a member off, and lets it come back.
func aMemberKnowsWhetherItIsLed(t *testing.T, c *streamstest.HubCluster, cut int) {
	t.Helper()
	says := func(what string, want [streamstest.Nodes]error) {
		t.Helper()
		for end := time.Now().Add(2 * streamstest.ElectionWait); ; time.Sleep(10 * time.Millisecond) {
			var got [streamstest.Nodes]error
			same := true
			for i := range got {
				got[i] = c.Led(i)
				same = same && errors.Is(got[i], want[i])
			}
			if same {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s they say %v, want %v", what, got, want)
			}
		}
	}
	var none, one [streamstest.Nodes]error
	one[cut] = natsd.ErrNotLed
	says("together", none)
	c.Isolate(cut)
	says("with one cut off", one)
	c.Rejoin(cut)
	says("together again", none)
}

// sameEverywhere checks that every member holds the same log.
func sameEverywhere(t *testing.T, c *streamstest.HubCluster, stream string) {
	t.Helper()
	c.WaitCurrent(stream)
	var first []string
	for i := range streamstest.Nodes {
		conn, err := bus.Dial(bus.DialConfig{URL: c.NodeURL(i), Role: "test", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		log, got := bus.NewLog(conn), []string{}
		for from, more := chat.Seq(1), true; more; { // a member asks itself first
			b, err := log.Read(c.Context(), bus.ReadQuery{Filter: "chat.0.>", From: from})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.Entries {
				got = append(got, fmt.Sprintf("%d %s %s %s", e.Seq, e.MsgID, e.Payload, e.At))
				from = e.Seq + 1
			}
			more = b.Pending > 0
		}
		if i == 0 {
			first = got
		} else if !slices.Equal(first, got) {
			t.Errorf("member %d holds another log: %d events, and member 0 %d", i, len(got), len(first))
		}
	}
}
