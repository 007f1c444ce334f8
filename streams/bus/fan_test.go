package bus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// receiver keeps what a subscription delivers.
type receiver struct {
	mu  sync.Mutex
	got []bus.Republished
}

func (r *receiver) deliver(m bus.Republished) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, m)
}

func (r *receiver) all() []bus.Republished {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]bus.Republished(nil), r.got...)
}

func follow(t *testing.T, c *streamstest.Cluster, conn *bus.Conn, s bus.FanSubscription) (stop func() error) {
	t.Helper()
	s.Shard, s.WorkspaceID = shard, "w1"
	stop, err := conn.SubscribeFan(s)
	if err != nil {
		t.Fatal(err)
	}
	// An answer of the hub means that it knows of the subscription.
	if _, err := bus.NewLog(conn).Head(c.Context(), shard, all); err != nil {
		t.Fatal(err)
	}
	return stop
}

func TestWhatIsStoredIsDelivered(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	var r receiver
	stop := follow(t, c, conn, bus.FanSubscription{Deliver: r.deliver})
	fill(t, c, 600)
	store(t, c, "chat.2.w1.-", "of all", "Nats-Msg-Id", "u1.all", "traceparent", "00-ab-cd-01")
	eventually(t, "all came", func() bool { return len(r.all()) == 501 })
	last := map[chat.ChannelID]chat.Seq{}
	var head chat.Seq
	for _, m := range r.all() {
		if m.Seq <= head || m.Prev != last[m.Place.ChannelID] || m.Place.WorkspaceID != "w1" || time.Since(m.At) > time.Hour {
			t.Fatalf("after %d: %+v", head, m)
		}
		head, last[m.Place.ChannelID] = m.Seq, m.Seq
	}
	if m := r.all()[500]; m.Place != (streams.Place{Shard: shard, WorkspaceID: "w1"}) || m.MsgID != "u1.all" || m.TraceParent != "00-ab-cd-01" || string(m.Payload) != "of all" {
		t.Errorf("the last is %+v", m)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	fill(t, c, 6)
	if _, err := bus.NewLog(conn).Head(c.Context(), shard, all); err != nil {
		t.Fatal(err)
	}
	if n := len(r.all()); n != 501 {
		t.Errorf("%d events came after the end", n-501)
	}
}

// What somebody puts on a fan subject by hand is not delivered; what they store by hand is.
func TestOnlyAStreamFeedsAFan(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	var r receiver
	follow(t, c, conn, bus.FanSubscription{Deliver: r.deliver})
	good := map[string]string{
		"Nats-Stream": name, "Nats-Subject": "chat.2.w1.c1", "Nats-Sequence": "9", "Nats-Last-Sequence": "8", "Nats-Time-Stamp": "2026-01-02T03:04:05Z",
	}
	var forged uint64
	forge := func(subject, key, value string) {
		m := nats.NewMsg(subject)
		for k, v := range good {
			if k != key {
				m.Header.Set(k, v)
			}
		}
		if value != "" {
			m.Header.Set(key, value)
		}
		if err := c.LeafConn.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
		forged++
	}
	for key := range good {
		forge("fan.2.w1.c1", key, "")
		forge("fan.2.w1.c1", key, "x")
	}
	forge("fan.2.w1.c1", "Nats-Stream", "CHAT_1")
	forge("fan.2.w1.c1", "Nats-Subject", "chat.2.w1.c2")
	forge("fan.2.w1.c1.d", "Nats-Subject", "chat.2.w1.c1")
	forge("fan.2.w1.c1", "Nats-Sequence", "0")
	forge("fan.2.w1.c1", "Nats-Sequence", "8") // not after the one before
	forge("fan.2.w1.c1", "Nats-Sequence", "99999999999999999999")
	if err := c.LeafConn.Flush(); err != nil {
		t.Fatal(err)
	}
	store(t, c, "chat.2.w1.c1", "garbage", "Nats-Sequence", "77", "Nats-Last-Sequence", "x")
	store(t, c, "chat.2.w1.c1.more", "more garbage")
	eventually(t, "both came", func() bool { return len(r.all()) == 2 })
	if m := r.all()[0]; m.Seq != 1 || m.Prev != 0 || m.Foreign || m.Place.ChannelID != "c1" {
		t.Errorf("the first is %+v", m)
	}
	if m := r.all()[1]; m.Seq != 2 || !m.Foreign {
		t.Errorf("the second is %+v", m)
	}
	eventually(t, "the forged ones are counted", func() bool { return conn.FanDrops() == forged })
}

func TestABadWorkspaceIsInvalid(t *testing.T) {
	conn := dial(t, "nats://127.0.0.1:1")
	for _, ws := range []chat.WorkspaceID{"", "*", ">", "a.b"} {
		_, err := conn.SubscribeFan(bus.FanSubscription{Shard: shard, WorkspaceID: ws})
		wantKind(t, err, fault.Invalid)
	}
}

func TestASlowReceiverIsToldWhatItLost(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	release := make(chan struct{})
	var broken atomic.Int32
	follow(t, c, conn, bus.FanSubscription{
		Deliver: func(bus.Republished) { <-release },
		Broken: func(reason bus.SignalReason) {
			if reason == bus.SlowConsumer {
				broken.Add(1)
			}
		},
	})
	big := make([]byte, 60_000) // the limit is bytes: bus.MaxPending
	for range bus.MaxFanPending/len(big) + 50 {
		if err := c.HubConn.Publish("chat.2.w1.c1", big); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "it is told", func() bool { return broken.Load() > 0 })
	close(release)
}

// watch collects the signals that conn tells.
func watch(t *testing.T, conn *bus.Conn) (signals chan bus.Signal) {
	t.Helper()
	signals = make(chan bus.Signal, 100)
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := conn.WatchSignals(ctx, func(s bus.Signal) { signals <- s }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return signals
}

func wantSignal(t *testing.T, signals chan bus.Signal, want bus.Signal) {
	t.Helper()
	select {
	case got := <-signals:
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	case <-time.After(streamstest.Wait):
		t.Fatalf("no %+v", want)
	}
}

func TestTheLinkIsWatched(t *testing.T) {
	for name, breakLink := range map[string]func(*streamstest.Link){
		"cut":       (*streamstest.Link).Cut,
		"half-open": (*streamstest.Link).HalfOpen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := streamstest.Start(t)
			signals := watch(t, dial(t, c.LeafURL()))
			breakLink(c.Link)
			wantSignal(t, signals, bus.Signal{Reason: bus.LinkLost})
			c.Link.Restore()
			wantSignal(t, signals, bus.Signal{Reason: bus.LinkRestored})
			if len(signals) > 0 {
				t.Errorf("told more than once: %+v", <-signals)
			}
		})
	}
}

func TestAReconnectAndAnElectionAreTold(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	if err := conn.Ready(c.Context()); err != nil {
		t.Fatal(err)
	}
	signals := watch(t, conn)
	if err := conn.NATS().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	wantSignal(t, signals, bus.Signal{Reason: bus.Reconnected})
	if _, err := bus.NewLog(conn).Head(c.Context(), shard, all); err != nil { // the hub knows of the subscription
		t.Fatal(err)
	}
	for _, stream := range []string{"OTHER", "CHAT_3"} { // a hub that is alone elects nobody: we say it for it
		if err := c.HubConn.Publish("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."+stream, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	wantSignal(t, signals, bus.Signal{Reason: bus.LeaderElected, Stream: "CHAT_3"})
}

func ExampleConn_SubscribeFan() {
	conn, err := bus.Dial(bus.DialConfig{URL: "nats://127.0.0.1:1", Role: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	stop, err := conn.SubscribeFan(bus.FanSubscription{
		Shard: 0, WorkspaceID: "w1",
		Deliver: func(m bus.Republished) { fmt.Println(m.Seq, m.Prev) },
		Broken:  func(why bus.SignalReason) { fmt.Println(why) },
	})
	fmt.Println(err, stop())
	// Output: <nil> <nil>
}
