package consume_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/streamstest"
)

const stream = "CHAT_0"

func dial(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// seen is what a handler was given.
type seen struct {
	mu        sync.Mutex
	times     map[chat.Seq]int // calls with it
	delivered map[chat.Seq]int // the highest NumDelivered
	batches   []int
}

func newSeen() *seen { return &seen{times: map[chat.Seq]int{}, delivered: map[chat.Seq]int{}} }

func (s *seen) note(batch []bus.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, len(batch))
	for _, d := range batch {
		s.times[d.Seq]++
		s.delivered[d.Seq] = max(s.delivered[d.Seq], d.NumDelivered)
	}
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

func allDone(batch []bus.Delivery) []bus.Outcome { return make([]bus.Outcome, len(batch)) }

// start runs a consumer; stop ends it and waits.
func start(t *testing.T, conn *bus.Conn, cfg consume.Config, handle consume.Handler) (c *consume.Consumer, stop func()) {
	t.Helper()
	if cfg.Stream == "" {
		cfg.Stream, cfg.Consumer = stream, streams.ConsumerPersist
	}
	c = consume.New(conn, cfg, handle)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return c, stop
}

// quick makes the consumer wait for a second where the shipped one waits for half a minute.
func quick(t *testing.T, c *streamstest.Cluster) {
	t.Helper()
	config := consumerInfo(t, c).Config
	if config.AckWait < 30*time.Second {
		return // the test has made it what it needs
	}
	config.AckWait, config.BackOff = time.Second, []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
	if _, err := c.HubJS.UpdateConsumer(c.Context(), stream, config); err != nil {
		t.Fatal(err)
	}
}

// fill stores n events.
func fill(t *testing.T, c *streamstest.Cluster, n int) {
	t.Helper()
	quick(t, c)
	for i := range n {
		if _, err := c.HubJS.PublishMsgAsync(&nats.Msg{
			Subject: fmt.Sprintf("chat.0.w1.c%d", i%5), Data: fmt.Appendf(nil, "%d", i),
			Header: nats.Header{"Nats-Msg-Id": {nats.NewInbox()}, "traceparent": {"00-a-b-01"}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-c.HubJS.PublishAsyncComplete():
	case <-time.After(streamstest.Wait):
		t.Fatal("the events are not stored")
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * streamstest.Wait); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func floor(t *testing.T, c *streamstest.Cluster, conn *bus.Conn) chat.Seq {
	t.Helper()
	seq, err := consume.Floor(c.Context(), conn, stream, streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func consumerInfo(t *testing.T, c *streamstest.Cluster) *jetstream.ConsumerInfo {
	t.Helper()
	consumer, err := c.HubJS.Consumer(c.Context(), stream, streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// advisories reads what the hub said about parked and given up events.
func advisories(t *testing.T, c *streamstest.Cluster, n int) map[chat.Seq]string {
	t.Helper()
	s, err := c.HubJS.Stream(c.Context(), streams.StreamAdvisories)
	if err != nil {
		t.Fatal(err)
	}
	got := map[chat.Seq]string{}
	eventually(t, "the advisories are stored", func() bool {
		for seq := uint64(1); len(got) < n; seq++ {
			m, err := s.GetMsg(c.Context(), seq)
			if err != nil {
				return false
			}
			var a struct {
				Seq    chat.Seq `json:"stream_seq"`
				Reason string   `json:"reason"`
			}
			if err := json.Unmarshal(m.Data, &a); err != nil {
				t.Fatal(err)
			}
			got[a.Seq] = a.Reason
		}
		return true
	})
	return got
}

func TestEveryEventIsHandledOnce(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func(*streamstest.Cluster) string{
		"at the hub": (*streamstest.Cluster).HubURL, "at the leaf": (*streamstest.Cluster).LeafURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := streamstest.Start(t)
			conn := dial(t, url(c))
			fill(t, c, 1000)
			got := newSeen()
			_, stop := start(t, conn, consume.Config{MaxBatch: 100}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
				got.note(batch)
				for _, d := range batch {
					want := streams.Place{WorkspaceID: "w1", ChannelID: chat.ChannelID(fmt.Sprintf("c%d", (d.Seq-1)%5))}
					if d.Place != want || d.MsgID == "" || d.TraceParent != "00-a-b-01" || len(d.Payload) == 0 || time.Since(d.At) > time.Hour {
						t.Errorf("delivered %+v", d)
					}
				}
				return allDone(batch), nil
			})
			eventually(t, "all are handled", func() bool { return got.count() == 1000 })
			fill(t, c, 1) // one that comes while a pull waits
			eventually(t, "the next is handled", func() bool { return got.count() == 1001 })
			eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 1001 })
			stop()
			for seq, n := range got.times {
				if n != 1 {
					t.Errorf("%d was handled %d times", seq, n)
				}
			}
			if len(got.batches) > 100 {
				t.Errorf("%d batches", len(got.batches))
			}
		})
	}
}

// An outage is not a poison message: nothing is pulled, nothing is counted, and it recovers by itself.
func TestAnOutageSpendsNoDeliveries(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 300)
	got := newSeen()
	var mu sync.Mutex
	down := true
	calls := 0
	consumer, stop := start(t, conn, consume.Config{MaxBatch: 50, HoldCap: 400 * time.Millisecond},
		func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
			mu.Lock()
			defer mu.Unlock()
			calls++
			if down {
				if batch[0].Seq != 1 || len(batch) != 50 {
					t.Errorf("another batch in the outage: %d from %d on", len(batch), batch[0].Seq)
				}
				return nil, fault.New(fault.Unavailable, "the store is down")
			}
			got.note(batch)
			return allDone(batch), nil
		})
	time.Sleep(4 * time.Second) // the consumer would deliver again after one, and again after five
	info := consumerInfo(t, c)
	if info.NumAckPending != 50 || info.NumRedelivered != 0 || info.Delivered.Consumer != 50 {
		t.Errorf("in the outage: %d pending, %d redelivered, %d deliveries", info.NumAckPending, info.NumRedelivered, info.Delivered.Consumer)
	}
	if s := consumer.State(); s.Pulling || s.Outage == nil || s.LastPull.IsZero() {
		t.Errorf("state is %+v", s)
	}
	mu.Lock()
	if calls < 5 {
		t.Errorf("the handler was asked %d times", calls)
	}
	down = false
	mu.Unlock()
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 300 })
	stop()
	for seq, n := range got.delivered {
		if n != 1 || got.times[seq] != 1 {
			t.Errorf("%d: delivery %d, handled %d times", seq, n, got.times[seq])
		}
	}
	if d := consumerInfo(t, c).Delivered.Consumer; d != 300 {
		t.Errorf("%d deliveries of 300 events", d)
	}
	if s := consumer.State(); s.Outage != nil {
		t.Errorf("state is %+v", s)
	}
}

// Another process on the same consumer is not given what is held here.
func TestWhatIsHeldGoesToNobodyElse(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	fill(t, c, 20)
	entered := make(chan struct{}, 100)
	start(t, dial(t, c.LeafURL()), consume.Config{HoldCap: 200 * time.Millisecond}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		entered <- struct{}{}
		return nil, fault.New(fault.Unavailable, "the store is down for %d events", len(batch))
	})
	<-entered
	other, err := c.HubJS.Consumer(c.Context(), stream, streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	got, err := other.Fetch(20, jetstream.FetchMaxWait(3*time.Second)) // the consumer waits for one
	if err != nil {
		t.Fatal(err)
	}
	for m := range got.Messages() {
		t.Errorf("%s was delivered", m.Subject())
	}
}

func TestASlowHandlerGetsNothingTwice(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 20)
	got := newSeen()
	start(t, conn, consume.Config{MaxBatch: 10}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		time.Sleep(2500 * time.Millisecond) // the consumer waits for one second
		return allDone(batch), nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 20 })
	if n := consumerInfo(t, c).Delivered.Consumer; n != 20 {
		t.Errorf("%d deliveries of 20 events", n)
	}
}

func TestParkedEventsAreToldWithTheirReason(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 3)
	if _, err := c.HubJS.Publish(c.Context(), "chat.0.w1.NOT.OURS", []byte("by hand")); err != nil {
		t.Fatal(err)
	}
	fill(t, c, 1)
	got := newSeen()
	start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq == 2 {
				outcomes[i] = bus.Park("it is not JSON: é\xff")
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are dealt with", func() bool { return floor(t, c, conn) == 5 })
	want := map[chat.Seq]string{
		2: "it is not JSON: é?",
		4: "its subject is not that of a channel or workspace: it was published by hand",
	}
	if reasons := advisories(t, c, 2); !maps.Equal(reasons, want) {
		t.Errorf("parked: %v", reasons)
	}
	if got.times[4] != 0 || got.times[5] != 1 {
		t.Errorf("handled: %v", got.times)
	}
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 5 {
		t.Errorf("the log holds %d events", n)
	}
}

func TestARetriedEventComesAgain(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 10)
	got := newSeen()
	start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq == 4 && d.NumDelivered < 3 {
				outcomes[i] = bus.Retry(50 * time.Millisecond)
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 10 })
	if got.times[4] != 3 || got.times[5] != 1 {
		t.Errorf("handled: %v", got.times)
	}
}

// A retry is after the time that the handler says, whatever the consumer's backoff for that delivery is.
func TestARetryOverrulesTheBackoff(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	consumer, err := c.HubJS.Consumer(c.Context(), stream, streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	config.BackOff = []time.Duration{time.Second, time.Hour, 2 * time.Hour}
	if _, err := c.HubJS.UpdateConsumer(c.Context(), stream, config); err != nil {
		t.Fatal(err)
	}
	fill(t, c, 2)
	got := newSeen()
	conn := dial(t, c.LeafURL())
	start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq == 1 && d.NumDelivered < 5 {
				outcomes[i] = bus.Retry(30 * time.Millisecond)
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 2 })
	if got.times[1] != 5 {
		t.Errorf("handled: %v", got.times)
	}
}

func TestAfterAnyOtherErrorAllAreRetried(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 10)
	got := newSeen()
	start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		if got.delivered[1] == 1 {
			return nil, errors.New("a bug")
		}
		if got.delivered[1] == 2 && len(batch) > 1 {
			return allDone(batch)[1:], nil // as many outcomes as events are wanted
		}
		return allDone(batch), nil
	})
	eventually(t, "all came again", func() bool {
		got.mu.Lock()
		defer got.mu.Unlock()
		return len(got.delivered) == 10 && got.delivered[10] >= 2
	})
}

// Whatever breaks, consuming goes on by itself, and what was acknowledged is not handled again for long.
func TestConsumingGoesOnWhen(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*testing.T, *streamstest.Cluster, *bus.Conn){
		"the hub restarts": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) { c.RestartHub() },
		"the link is cut": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) {
			c.Link.Cut()
			c.WaitUnlinked()
			time.Sleep(500 * time.Millisecond)
			c.Link.Restore()
			c.WaitLinked()
		},
		"the link is half-open": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) {
			c.Link.HalfOpen()
			c.WaitUnlinked()
			c.Link.Restore()
			c.WaitLinked()
		},
		"the connection is made again": func(t *testing.T, _ *streamstest.Cluster, conn *bus.Conn) {
			if err := conn.NATS().ForceReconnect(); err != nil {
				t.Error(err)
			}
		},
		"the consumer is deleted and made again": func(t *testing.T, c *streamstest.Cluster, _ *bus.Conn) {
			if err := c.HubJS.DeleteConsumer(c.Context(), stream, streams.ConsumerPersist); err != nil {
				t.Error(err)
			}
			time.Sleep(200 * time.Millisecond)
			c.Provision()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := streamstest.Start(t)
			conn := dial(t, c.LeafURL())
			fill(t, c, 100)
			got := newSeen()
			consumer, _ := start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
				got.note(batch)
				return allDone(batch), nil
			})
			eventually(t, "the first are handled", func() bool { return got.count() == 100 })
			eventually(t, "it pulls", func() bool { return consumer.State().Pulling })
			breakIt(t, c, conn)
			fill(t, c, 100)
			eventually(t, "the rest are handled", func() bool { return got.count() == 200 })
			eventually(t, "it pulls again", func() bool { return consumer.State().Pulling })
		})
	}
}

func TestWithoutTheHubItDoesNotPull(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	consumer, _ := start(t, dial(t, c.LeafURL()), consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		return allDone(batch), nil
	})
	eventually(t, "it pulls", func() bool { return consumer.State().Pulling })
	c.Link.HalfOpen()
	eventually(t, "it says that it does not pull", func() bool { return !consumer.State().Pulling })
	c.Link.Restore()
	eventually(t, "it pulls again", func() bool { return consumer.State().Pulling })
}

func TestTheEndLetsTheHandlerFinish(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 500)
	entered, release := make(chan struct{}, 100), make(chan struct{})
	got := newSeen()
	_, stop := start(t, conn, consume.Config{MaxBatch: 100}, func(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		entered <- struct{}{}
		<-release
		if ctx.Err() != nil {
			t.Error("the handler's context ended with Run's")
		}
		got.note(batch)
		return allDone(batch), nil
	})
	<-entered
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	time.Sleep(100 * time.Millisecond)
	close(release)
	<-stopped
	eventually(t, "what was handled is acknowledged", func() bool { return floor(t, c, conn) == 100 }) // the hub takes a moment over 100 acks
	if got.count() != 100 {
		t.Errorf("%d events were handled", got.count())
	}
}

func TestTheEndInAnOutageDoesNotWaitForIt(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 10)
	entered := make(chan struct{}, 100)
	_, stop := start(t, conn, consume.Config{HoldFirst: time.Hour, HoldCap: time.Hour}, func(context.Context, []bus.Delivery) ([]bus.Outcome, error) {
		entered <- struct{}{}
		return nil, fault.New(fault.Unavailable, "the store is down")
	})
	<-entered
	stop()
	if f := floor(t, c, conn); f != 0 {
		t.Errorf("up to %d are acknowledged", f)
	}
}

func TestAHandlerThatHangsIsEndedAfterItsGrace(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	fill(t, c, 10)
	entered := make(chan struct{}, 100)
	_, stop := start(t, dial(t, c.LeafURL()), consume.Config{Grace: 50 * time.Millisecond}, func(ctx context.Context, _ []bus.Delivery) ([]bus.Outcome, error) {
		entered <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	<-entered
	stop()
}

func TestNothingIsPulledBeforeItIsReady(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 10)
	var mu sync.Mutex
	ready := errors.New("the store is down")
	got := newSeen()
	consumer, _ := start(t, conn, consume.Config{HoldFirst: time.Millisecond, HoldCap: 20 * time.Millisecond, Ready: func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		return ready
	}}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		return allDone(batch), nil
	})
	time.Sleep(100 * time.Millisecond)
	if s := consumer.State(); s.Pulling || s.Outage == nil || consumerInfo(t, c).Delivered.Consumer != 0 {
		t.Errorf("state is %+v", s)
	}
	mu.Lock()
	ready = nil
	mu.Unlock()
	eventually(t, "all are handled", func() bool { return got.count() == 10 })
}

func TestNamesThatDoNotExist(t *testing.T) {
	conn := dial(t, "nats://127.0.0.1:1")
	for _, cfg := range []consume.Config{{Stream: "OTHER", Consumer: "persist"}, {Stream: stream, Consumer: "*"}, {}} {
		if err := consume.New(conn, cfg, nil).Run(t.Context()); err == nil {
			t.Errorf("%+v runs", cfg)
		}
	}
}

func TestNothingRunsOn(t *testing.T) {
	c := streamstest.Start(t)
	fill(t, c, 10)
	before := goleak.IgnoreCurrent()
	conn := dial(t, c.LeafURL())
	got := newSeen()
	_, stop := start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		return allDone(batch), nil
	})
	eventually(t, "all are handled", func() bool { return got.count() == 10 })
	stop()
	conn.Close()
	goleak.VerifyNone(t, before)
}

// What a consumer has handed out is not what it is done with; and a new one beside an old log has handed out nothing.
func TestHowFarAConsumerHasCome(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	reached := func() consume.Reach {
		r, err := consume.Reached(c.Context(), conn, stream, streams.ConsumerPersist)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	fill(t, c, 10)
	// quick leaves it 5 s after the second delivery and half a minute after each of the six that follow.
	fresh := consume.Reach{MaxDeliver: 8, Dying: 185 * time.Second}
	if got := reached(); got != fresh {
		t.Errorf("before the first pull: %+v", got)
	}
	_, stop := start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq == 5 {
				outcomes[i] = bus.Keep(time.Hour)
			}
		}
		return outcomes, nil
	})
	eventually(t, "all but one are acknowledged", func() bool { return consumerInfo(t, c).NumAckPending == 1 && reached().Floor == 4 })
	if got := reached(); got.Delivered != 10 || got.Deliveries < 10 {
		t.Errorf("with one that is kept: %+v", got)
	}
	stop()

	config := consumerInfo(t, c).Config
	c.Forget(stream, 4)
	if err := c.HubJS.DeleteConsumer(c.Context(), stream, streams.ConsumerPersist); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HubJS.CreateConsumer(c.Context(), stream, config); err != nil {
		t.Fatal(err)
	}
	fresh.Floor, fresh.Delivered = 4, 4
	if got := reached(); got != fresh {
		t.Errorf("a new one beside an old log: %+v", got)
	}
}
