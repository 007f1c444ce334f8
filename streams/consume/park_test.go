package consume_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/streamstest"
)

// held are the messages that ADVISORIES keeps on the subjects that match.
func held(t *testing.T, c *streamstest.Cluster, filter string) (messages []*jetstream.RawStreamMsg) {
	t.Helper()
	s, err := c.HubJS.Stream(c.Context(), streams.StreamAdvisories)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(c.Context(), seq, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return messages
		}
		if err != nil {
			t.Fatal(err)
		}
		messages, seq = append(messages, m), m.Sequence+1
	}
}

// notes are those of CHAT_0's consumer persist, by what they tell of.
func notes(t *testing.T, c *streamstest.Cluster) map[chat.Seq]bus.Parked {
	t.Helper()
	subject, err := streams.ParkedSubject(stream, streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	got := map[chat.Seq]bus.Parked{}
	for _, m := range held(t, c, subject) {
		p, err := bus.ParseParked(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := streams.DeadMsgID(stream, streams.ConsumerPersist, p.Seq); err != nil || m.Header.Get(streams.HeaderMsgID) != id || p.Stream != stream || p.Consumer != streams.ConsumerPersist {
			t.Errorf("the note %+v has the id %q, %v", p, m.Header.Get(streams.HeaderMsgID), err)
		}
		if _, twice := got[p.Seq]; twice {
			t.Errorf("%d is noted twice", p.Seq)
		}
		got[p.Seq] = p
	}
	return got
}

// deliversAtMost sets max_deliver of the consumer, which waits for a moment only.
func deliversAtMost(t *testing.T, c *streamstest.Cluster, n int) {
	t.Helper()
	config := consumerInfo(t, c).Config
	config.MaxDeliver, config.BackOff, config.AckWait = n, []time.Duration{time.Second}, time.Second
	if _, err := c.HubJS.UpdateConsumer(c.Context(), stream, config); err != nil {
		t.Fatal(err)
	}
}

func TestAnyStreamIsConsumed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ stream, consumer, subject string }{
		"DELIVERY":   {streams.StreamDelivery, streams.ConsumerPush, "delivery.w.u"},
		"SCHED":      {streams.StreamSched, streams.ConsumerDue, "due.w.u.i"},
		"ADVISORIES": {streams.StreamAdvisories, streams.ConsumerDeadletter, "parked.CHAT_0.persist"},
	} {
		t.Run(name, func(t *testing.T) {
			c := streamstest.Start(t)
			for i := range 10 {
				if _, err := c.HubJS.PublishMsg(c.Context(), &nats.Msg{Subject: test.subject, Data: fmt.Append(nil, i), Header: nats.Header{
					"Nats-Msg-Id": {fmt.Sprint("m", i)}, "traceparent": {"00-a-b-01"}, "X-Own": {"1", "2"},
				}}); err != nil {
					t.Fatal(err)
				}
			}
			got := newSeen()
			start(t, dial(t, c.LeafURL()), consume.Config{Stream: test.stream, Consumer: test.consumer}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
				got.note(batch)
				for _, d := range batch {
					if d.Foreign || d.Place != (streams.Place{}) || d.Subject != test.subject || d.MsgID != fmt.Sprint("m", d.Seq-1) || d.TraceParent != "00-a-b-01" ||
						string(d.Payload) != fmt.Sprint(d.Seq-1) || len(d.Header["X-Own"]) != 2 || time.Since(d.At) > time.Hour {
						t.Errorf("delivered %+v", d)
					}
				}
				return allDone(batch), nil
			})
			eventually(t, "all are handled", func() bool { return got.count() == 10 })
		})
	}
}

func TestAParkIsNotedFirst(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	const n = 1000
	fill(t, c, n)
	before := time.Now()
	_, stop := start(t, conn, consume.Config{Batches: 3}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq%2 == 0 {
				outcomes[i] = bus.Park(fmt.Sprintf("it is\neven: %s", d.Payload))
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are dealt with", func() bool { return floor(t, c, conn) == n })
	stop()
	got := notes(t, c)
	if len(got) != n/2 {
		t.Errorf("%d notes", len(got))
	}
	for seq, p := range got {
		if seq%2 != 0 || p.Deliveries != 1 || p.Reason != fmt.Sprintf("it is even: %d", seq-1) || p.At.Before(before.Add(-time.Minute)) || p.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("noted: %+v", p)
		}
	}
	filter, err := streams.AdvisoryFilter(streams.Parked)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range held(t, c, filter) { // and what the server says is the same
		p, err := bus.ParseAdvisory(m.Data)
		if err != nil || p.Reason != got[p.Seq].Reason || p.Deliveries != 1 {
			t.Fatalf("%s is read as %+v, %v", m.Data, p, err)
		}
	}
}

// While the hub does not take the note, the event is neither parked nor delivered again, and nothing else is pulled.
func TestWithoutItsNoteNothingIsParked(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	fill(t, c, 30)
	if err := c.HubJS.DeleteStream(c.Context(), streams.StreamAdvisories); err != nil {
		t.Fatal(err)
	}
	got := newSeen()
	consumer, stop := start(t, conn, consume.Config{MaxBatch: 10, HoldCap: 300 * time.Millisecond}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq == 3 || d.Seq == 4 {
				outcomes[i] = bus.Park("it is bad")
			}
		}
		return outcomes, nil
	})
	eventually(t, "it holds", func() bool { return consumer.State().Outage != nil })
	if s := consumer.State(); s.Pulling || !fault.Is(s.Outage, fault.Unavailable) || got.count() != 10 {
		t.Errorf("state is %+v after %d events", s, got.count())
	}
	eventually(t, "what is done is acknowledged", func() bool { return consumerInfo(t, c).NumAckPending == 2 })
	c.Provision()
	eventually(t, "all are dealt with", func() bool { return floor(t, c, conn) == 30 })
	stop()
	if p := notes(t, c); len(p) != 2 || p[3].Reason != "it is bad" || p[4].Reason != "it is bad" {
		t.Errorf("noted: %v", p)
	}
	if s := consumer.State(); s.Outage != nil {
		t.Errorf("state is %+v", s)
	}
	if n := consumerInfo(t, c).Delivered.Consumer; n != 30 {
		t.Errorf("%d deliveries of 30 events", n)
	}
}

// Who is stopped while the hub takes no notes gives the events back: another process parks them.
func TestWhatCouldNotBeNotedIsGivenBack(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.HubURL())
	fill(t, c, 5)
	if err := c.HubJS.DeleteStream(c.Context(), streams.StreamAdvisories); err != nil {
		t.Fatal(err)
	}
	parkAll := func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := make([]bus.Outcome, len(batch))
		for i := range outcomes {
			outcomes[i] = bus.Park("it is bad")
		}
		return outcomes, nil
	}
	consumer, stop := start(t, conn, consume.Config{HoldFirst: time.Hour, HoldCap: time.Hour}, parkAll)
	eventually(t, "it holds", func() bool { return consumer.State().Outage != nil })
	stop()
	if f := floor(t, c, conn); f != 0 {
		t.Errorf("up to %d are parked", f)
	}
	c.Provision()
	start(t, conn, consume.Config{}, parkAll)
	eventually(t, "all are parked", func() bool { return floor(t, c, conn) == 5 })
	for seq, p := range notes(t, c) {
		if p.Deliveries != 2 {
			t.Errorf("%d: %+v", seq, p)
		}
	}
}

// The last retry becomes a park with the last error, so that the server need not give the event up.
func TestAfterTheLastDeliveryARetryIsAPark(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	deliversAtMost(t, c, 3)
	conn := dial(t, c.LeafURL())
	fill(t, c, 4)
	got := newSeen()
	_, stop := start(t, conn, consume.Config{}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		outcomes := allDone(batch)
		for i, d := range batch {
			switch d.Seq {
			case 2:
				outcomes[i] = bus.RetryBecause(time.Millisecond, fmt.Sprint("try ", d.NumDelivered))
			case 3:
				outcomes[i] = bus.Retry(time.Millisecond)
			case 4:
				if d.NumDelivered < 3 {
					outcomes[i] = bus.Retry(time.Millisecond)
				}
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are dealt with", func() bool { return floor(t, c, conn) == 4 })
	stop()
	p := notes(t, c)
	if len(p) != 2 || p[2].Reason != "gave up after 3 deliveries: try 3" || p[3].Reason != "gave up after 3 deliveries" || p[2].Deliveries != 3 {
		t.Errorf("noted: %+v", p)
	}
	if got.times[2] != 3 || got.times[3] != 3 || got.times[4] != 3 {
		t.Errorf("handled: %v", got.times)
	}
	filter, err := streams.AdvisoryFilter(streams.GivenUp)
	if err != nil {
		t.Fatal(err)
	}
	if m := held(t, c, filter); len(m) != 0 {
		t.Errorf("the server gave up %d events", len(m))
	}
}

func TestTheErrorOfAHandlerIsTheReason(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	deliversAtMost(t, c, 1)
	conn := dial(t, c.LeafURL())
	fill(t, c, 3)
	start(t, conn, consume.Config{}, func(context.Context, []bus.Delivery) ([]bus.Outcome, error) {
		return nil, errors.New("the index is broken")
	})
	eventually(t, "all are parked", func() bool { return floor(t, c, conn) == 3 })
	for seq := range chat.Seq(3) {
		if p := notes(t, c)[seq+1]; p.Reason != "gave up after 1 deliveries: the index is broken" {
			t.Errorf("%d: %+v", seq+1, p)
		}
	}
}

// The reader of the notes does not note what it cannot read: it would read that next, for ever.
func TestTheReaderOfNotesWritesNone(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	if _, err := c.HubJS.Publish(c.Context(), "parked.by.hand", []byte("no note")); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var got []string
	conn := dial(t, c.LeafURL())
	start(t, conn, consume.Config{Stream: streams.StreamAdvisories, Consumer: streams.ConsumerDeadletter}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		mu.Lock()
		defer mu.Unlock()
		outcomes := allDone(batch)
		for i, d := range batch {
			if got = append(got, d.Subject); d.Subject == "parked.by.hand" {
				outcomes[i] = bus.Park("it is no note")
			}
		}
		return outcomes, nil
	})
	eventually(t, "it is dealt with, and so is what the server said of that", func() bool {
		seq, err := consume.Floor(c.Context(), conn, streams.StreamAdvisories, streams.ConsumerDeadletter)
		return err == nil && seq == 2
	})
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 2 || got[1] != "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.ADVISORIES.deadletter" || len(held(t, c, "parked.>")) != 1 {
		t.Errorf("it read %q", got)
	}
}

// What failed together does not come back together, and not later than the consumer's backoff says.
func TestARetryOnTheBackoffIsSpread(t *testing.T) {
	backoff := []time.Duration{10 * time.Second, time.Minute, time.Hour}
	for numDelivered, wait := range map[int]time.Duration{1: 10 * time.Second, 2: time.Minute, 3: time.Hour, 8: time.Hour} {
		low, high := wait, time.Duration(0)
		for range 1000 {
			// The server counts from the end of AckWait, and takes off what the backoff is longer.
			d := consume.RetryDelay(10*time.Second, backoff, 0, numDelivered) + wait - 10*time.Second
			low, high = min(low, d), max(high, d)
		}
		if low < wait/2 || low > wait*6/10 || high > wait || high < wait*9/10 {
			t.Errorf("delivery %d comes again after %v to %v, the backoff is %v", numDelivered, low, high, wait)
		}
	}
	if d := consume.RetryDelay(10*time.Second, backoff, time.Second, 1); d != time.Second {
		t.Errorf("after a second: %v", d)
	}
	if d := consume.RetryDelay(20*time.Second, nil, 0, 5); d < 10*time.Second || d > 20*time.Second {
		t.Errorf("without a backoff: %v", d)
	}
}

// A consumer that passes over what was put there by hand leaves it to another one of the stream to say so.
func TestWhatIsForeignIsPassedOver(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 1)
	if _, err := c.HubJS.Publish(c.Context(), "chat.0.w1.NOT.OURS", []byte("by hand")); err != nil {
		t.Fatal(err)
	}
	fill(t, c, 1)
	got := newSeen()
	start(t, conn, consume.Config{PassForeign: true}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		got.note(batch)
		return allDone(batch), nil
	})
	eventually(t, "all are dealt with", func() bool { return floor(t, c, conn) == 3 })
	if got.times[1] != 1 || got.times[2] != 0 || got.times[3] != 1 {
		t.Errorf("handled: %v", got.times)
	}
	if n := notes(t, c); len(n) != 0 {
		t.Errorf("noted: %v", n)
	}
}
