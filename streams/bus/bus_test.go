package bus_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

const (
	shard = streams.Shard(2)
	name  = "CHAT_2"
	all   = "chat.2.w1.>"
)

func dial(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// store puts an event into the log, as somebody with the nats tool would.
func store(t *testing.T, c *streamstest.Cluster, subject, payload string, headers ...string) chat.Seq {
	t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(payload)
	for i := 0; i < len(headers); i += 2 {
		m.Header[headers[i]] = append(m.Header[headers[i]], headers[i+1])
	}
	ack, err := c.HubJS.PublishMsg(c.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return chat.Seq(ack.Sequence)
}

// fill stores n events, in turn on the channels c0 to c4 of w1 and on one of another workspace: w1 has five of six.
func fill(t *testing.T, c *streamstest.Cluster, n int) {
	t.Helper()
	for i := range n {
		subject := fmt.Sprintf("chat.2.w1.c%d", i%6)
		if i%6 == 5 {
			subject = "chat.2.w2.c9"
		}
		m := nats.NewMsg(subject)
		m.Data = fmt.Appendf(nil, `{"n":%d}`, i)
		m.Header.Set("Nats-Msg-Id", fmt.Sprintf("u1.m%d", i))
		if _, err := c.HubJS.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-c.HubJS.PublishAsyncComplete():
	case <-time.After(streamstest.Wait):
		t.Fatal("the events are not stored")
	}
}

func wantKind(t *testing.T, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("error is %v, want %s", err, kind)
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(streamstest.Wait); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", streamstest.Wait, what)
		}
	}
}

func TestDialWaitsForNobody(t *testing.T) {
	conn := dial(t, "nats://canopy:secret@127.0.0.1:1")
	if conn.Connected() {
		t.Error("connected to nobody")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantKind(t, conn.Ready(ctx), fault.Unavailable)
	_, err := bus.NewLog(conn).Head(t.Context(), shard, all)
	wantKind(t, err, fault.Unavailable)
}

func TestABadAddressIsNotQuoted(t *testing.T) {
	_, err := bus.Dial(bus.DialConfig{URL: "nats://user:top secret@:::"})
	if err == nil {
		t.Fatal("no error")
	}
	if got := err.Error(); len(got) > 80 {
		t.Errorf("error is %q", got)
	}
}

func TestTheConnectionComesBack(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	if err := conn.Ready(c.Context()); err != nil {
		t.Fatal(err)
	}
	resumed := make(chan struct{}, 1)
	stop := conn.OnReconnect(func() { resumed <- struct{}{} })
	defer stop()
	c.StopHub()
	eventually(t, "the loss is noticed", func() bool { return !conn.Connected() })
	if err := conn.NATS().Publish("x", nil); err == nil {
		t.Error("a publish was kept for later")
	}
	c.StartHub()
	select {
	case <-resumed:
	case <-time.After(streamstest.Wait):
		t.Fatal("nobody was told")
	}
	if _, err := bus.NewLog(conn).Head(c.Context(), shard, all); err != nil {
		t.Error(err)
	}
}

func TestDrainDeliversWhatIsThere(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	if err := conn.Drain(c.Context()); err != nil {
		t.Error(err)
	}
	conn.Close() // again
	_, err := conn.SubscribeFan(bus.FanSubscription{Shard: shard, WorkspaceID: "w1"})
	wantKind(t, err, fault.Unavailable)
}

func TestNothingRunsOn(t *testing.T) {
	c := streamstest.Start(t)
	before := goleak.IgnoreCurrent()
	conn := dial(t, c.LeafURL())
	ctx, cancel := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := conn.WatchSignals(ctx, func(bus.Signal) {}); err != nil {
			t.Error(err)
		}
	})
	stop, err := conn.SubscribeFan(bus.FanSubscription{Shard: shard, WorkspaceID: "w1", Deliver: func(bus.Republished) {}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bus.NewLog(conn).Head(c.Context(), shard, all); err != nil {
		t.Fatal(err)
	}
	cancel()
	watch.Wait()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Errorf("again: %v", err)
	}
	conn.Close()
	goleak.VerifyNone(t, before)
}
