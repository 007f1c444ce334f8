package consume_test

import (
	"context"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestBatchesAreHandledSideBySide(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	fill(t, c, 600)
	got := newSeen()
	var together sync.WaitGroup // no batch ends before three have begun
	together.Add(3)
	var mu sync.Mutex
	now, most, begun := 0, 0, 0
	_, stop := start(t, conn, consume.Config{MaxBatch: 50, Batches: 3}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		mu.Lock()
		begun++
		now++
		most = max(most, now)
		if begun <= 3 {
			together.Done()
		}
		mu.Unlock()
		together.Wait()
		mu.Lock()
		now--
		mu.Unlock()
		return allDone(batch), nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 600 })
	stop()
	if most != 3 || got.count() != 600 {
		t.Errorf("%d batches at once, %d events", most, got.count())
	}
	if n := consumerInfo(t, c).Delivered.Consumer; n != 600 {
		t.Errorf("%d deliveries of 600 events", n)
	}
}

// While one batch waits for an outage to end, no other is pulled; those that were under way come to their end.
func TestAnOutageOfOneBatchHoldsThePulls(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	fill(t, c, 400)
	got := newSeen()
	down := make(chan struct{}) // closed when the outage ends
	consumer, _ := start(t, conn, consume.Config{MaxBatch: 20, Batches: 2}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		select {
		case <-down:
		default:
			if batch[0].Seq == 1 {
				return nil, fault.New(fault.Unavailable, "a part of the store is down")
			}
		}
		got.note(batch)
		return allDone(batch), nil
	})
	eventually(t, "it holds", func() bool { return consumer.State().Outage != nil && !consumer.State().Since.IsZero() })
	eventually(t, "what was under way is done", func() bool { return consumerInfo(t, c).NumAckPending <= 20 })
	handled := got.count()
	if handled > 300 {
		t.Errorf("%d events were handled while it holds", handled)
	}
	close(down)
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 400 })
	if s := consumer.State(); s.Outage != nil || !s.Since.IsZero() {
		t.Errorf("state is %+v", s)
	}
	if n := consumerInfo(t, c).Delivered.Consumer; n != 400 {
		t.Errorf("%d deliveries of 400 events", n)
	}
}

// What is kept comes again without being delivered again, and keeps nothing else from coming.
func TestWhatIsKeptComesAgain(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	fill(t, c, 40)
	got := newSeen()
	var mu sync.Mutex
	tries := 0
	consumer, stop := start(t, conn, consume.Config{MaxBatch: 10}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		mu.Lock()
		defer mu.Unlock()
		for i, d := range batch {
			if d.Seq != 3 {
				continue
			}
			if tries++; tries < 4 || got.count() < 41 {
				outcomes[i] = bus.Keep(1)
			}
		}
		return outcomes, nil
	})
	eventually(t, "the others are handled", func() bool { return got.count() == 40 })
	eventually(t, "it is kept", func() bool { return consumer.State().Kept == 1 && floor(t, c, conn) == 2 })
	fill(t, c, 1)
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 41 })
	eventually(t, "nothing is kept", func() bool { return consumer.State().Kept == 0 })
	stop()
	if n := consumerInfo(t, c).Delivered.Consumer; n != 41 || got.delivered[3] != 1 || got.times[3] != tries {
		t.Errorf("%d deliveries; the kept one was handed over %d times, as delivery %d", n, got.times[3], got.delivered[3])
	}
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	for range 40 {
		if _, err := c.HubJS.PublishMsg(c.Context(), &nats.Msg{Subject: "chat.0.w1.c1", Data: make([]byte, 60<<10), Header: nats.Header{"Nats-Msg-Id": {nats.NewInbox()}}}); err != nil {
			t.Fatal(err)
		}
	}
	got := newSeen()
	_, stop := start(t, conn, consume.Config{MaxBytes: 300 << 10}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		return allDone(batch), nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 40 })
	stop()
	for _, n := range got.batches {
		if n > 5 {
			t.Errorf("a batch of %d events of 60 KiB", n)
		}
	}
	if len(got.batches) > 12 {
		t.Errorf("%d batches", len(got.batches))
	}
}

// What a process holds in an outage when it is stopped goes to others at once.
func TestWhatIsHeldIsGivenBackAtTheEnd(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	fill(t, c, 20)
	entered := make(chan struct{}, 100)
	_, stop := start(t, dial(t, c.HubURL()), consume.Config{}, func(context.Context, []bus.Delivery) ([]bus.Outcome, error) {
		entered <- struct{}{}
		return nil, fault.New(fault.Unavailable, "the store is down")
	})
	<-entered
	stop()
	got := newSeen()
	conn := dial(t, c.HubURL())
	start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		return allDone(batch), nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 20 })
	if n := consumerInfo(t, c).Delivered.Consumer; n != 40 {
		t.Errorf("%d deliveries of 20 events to two processes", n)
	}
}
