package persist_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// lapse is when the server of an impatient consumer delivers again.
const lapse = 500 * time.Millisecond

// impatient lets the server deliver again after half a second what it has heard nothing of. A store that takes three
// times that is to the consumer what one that takes a minute and a half is to the real one.
func (r *real) impatient(lapse time.Duration) {
	r.t.Helper()
	js, shard := r.cluster.HubJS, streams.ChatStream(0)
	c, err := js.Consumer(r.cluster.Context(), shard, streams.ConsumerPersist)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait, cfg.BackOff = lapse, []time.Duration{lapse, lapse}
	if _, err := js.UpdateConsumer(r.cluster.Context(), shard, cfg); err != nil {
		r.t.Fatal(err)
	}
}

// crowd stores n posts at once.
func (r *real) crowd(n int) (last chat.Seq) {
	r.t.Helper()
	acks := make([]jetstream.PubAckFuture, n)
	for i := range acks {
		r.made++
		payload, err := event.Encode(event.Event{
			Kind: event.MessagePosted, Epoch: 1, ChannelID: "c1", SenderID: "u1", ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", r.made)), Body: "hi",
		})
		if err != nil {
			r.t.Fatal(err)
		}
		if acks[i], err = r.cluster.HubJS.PublishMsgAsync(&nats.Msg{
			Subject: "chat.0.w1.c1", Data: payload, Header: nats.Header{"Nats-Msg-Id": {fmt.Sprint("u1.", r.made)}},
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, ack := range acks {
		select {
		case got := <-ack.Ok():
			last = max(last, chat.Seq(got.Sequence))
		case err := <-ack.Err():
			r.t.Fatal(err)
		}
	}
	return last
}

// noted waits until the store's progress is seq.
func (r *real) noted(seq chat.Seq) {
	r.t.Helper()
	r.eventually(func() bool {
		p, err := r.store.Progress(r.t.Context(), 0)
		return err == nil && p >= seq
	})
}

// stored checks that every message up to seq is there.
func (r *real) stored(upTo chat.Seq) {
	r.t.Helper()
	for seq := chat.Seq(1); seq <= upTo; seq++ {
		if _, err := r.store.Message(r.t.Context(), "c1", seq); err != nil {
			r.t.Fatalf("message %d: %v", seq, err)
		}
	}
}

// spent checks how many deliveries the server counted, and that nothing was given up or parked.
func (r *real) spent(want int) {
	r.t.Helper()
	c, err := r.cluster.HubJS.Consumer(r.cluster.Context(), streams.ChatStream(0), streams.ConsumerPersist)
	if err != nil {
		r.t.Fatal(err)
	}
	if i := c.CachedInfo(); want >= 0 && int(i.Delivered.Consumer) != want {
		r.t.Errorf("%d deliveries, %d of them again; want %d", i.Delivered.Consumer, i.NumRedelivered, want)
	}
	s, err := r.cluster.HubJS.Stream(r.cluster.Context(), streams.StreamAdvisories)
	if err != nil {
		r.t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 0 {
		r.t.Errorf("%d advisories about events that were given up", n)
	}
}

// acting is a store that does something before or instead of a write.
type acting struct {
	*sqlite.Messages
	apply func(ctx context.Context, n int, next func() error) error

	mu    sync.Mutex // guards what follows
	calls int
	now   int // writes that are under way
	most  int // that were at once
}

func (a *acting) Apply(ctx context.Context, events []event.Stored) error {
	a.mu.Lock()
	a.calls++
	n := a.calls
	a.now++
	a.most = max(a.most, a.now)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.now--
	}()
	return a.apply(ctx, n, func() error { return a.Messages.Apply(ctx, events) })
}

func (a *acting) seen() (calls, most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls, a.most
}

// with runs a Persister with the log on a connection of its own.
func (r *real) with(s persist.Store) (p *persist.Persister, conn *bus.Conn, stop func()) {
	conn = r.dial()
	p = persist.New(persist.Config{
		Store: s, Source: persist.NewConsumers(conn, nil), Log: bus.NewLog(conn), Logger: slog.New(slog.DiscardHandler),
	})
	return p, conn, r.start(p.Run)
}

func TestASlowStoreMakesNoDeliveryLapse(t *testing.T) {
	const lapse = 3 * time.Second // what is held is marked thrice in it, and a machine may stand still for a part of a second
	r := newReal(t)
	r.impatient(lapse)
	s := &acting{Messages: r.store, apply: func(_ context.Context, _ int, next func() error) error {
		time.Sleep(lapse + lapse/2)
		return next()
	}}
	const n = 1500 // several batches
	last := r.crowd(n)
	p, _, _ := r.with(s)
	r.noted(last)
	r.stored(last)
	r.spent(n)
	calls, most := s.seen()
	if most < 2 || calls > n/100 {
		t.Errorf("%d writes, at most %d at once: that is not large batches side by side", calls, most)
	}
	if c := p.Counts(); c.Events != n || c.Batches != uint64(calls) || c.Parked+c.Retried+c.Held != 0 || c.Last[0] != last {
		t.Errorf("counts %+v", c)
	}
}

// The write took place, but nobody heard of it: it is done again, and nobody is to blame.
func TestAWriteOfUnknownOutcomeIsDoneAgain(t *testing.T) {
	r := newReal(t)
	r.impatient(lapse)
	s := &acting{Messages: r.store, apply: func(_ context.Context, n int, next func() error) error {
		if err := next(); err != nil || n > 2 {
			return err
		}
		if n%2 == 0 {
			return fault.Wrap(fault.Unavailable, context.DeadlineExceeded, "the write timed out")
		}
		return context.DeadlineExceeded
	}}
	last := r.talk(40)
	p, _, _ := r.with(s)
	r.check(last)
	if c := p.Counts(); c.Held != 2 || c.Parked+c.Retried != 0 {
		t.Errorf("counts %+v", c)
	}
	r.spent(-1) // a delete may be kept, and is not delivered again either
}

// A process dies with several batches under way, some written and none acknowledged.
func TestDeathWithManyBatchesUnderWay(t *testing.T) {
	r := newReal(t)
	r.impatient(lapse)
	const n = 2000
	last := r.crowd(n)
	dead := make(chan struct{})
	s := &acting{Messages: r.store, apply: func(_ context.Context, n int, next func() error) error {
		if n%2 == 0 {
			if err := next(); err != nil {
				return err
			}
		}
		<-dead
		return fault.New(fault.Unavailable, "the process has died")
	}}
	_, conn, stop := r.with(s)
	r.eventually(func() bool { _, most := s.seen(); return most > 1 })
	conn.Close() // it says no more
	close(dead)
	stop()
	if p, err := r.store.Progress(t.Context(), 0); err != nil || p != 0 {
		t.Fatalf("progress %d, %v of what was never acknowledged", p, err)
	}
	r.with(r.store)
	r.with(r.store)
	r.noted(last)
	r.stored(last)
	r.spent(-1)
}

// Each delete waits for the one before it, because that one keeps the floor below its texts. None of them is given up.
func TestManyDeletesOfNewMessages(t *testing.T) {
	r := newReal(t)
	r.impatient(lapse)
	const pairs = 6
	var last chat.Seq
	for range pairs {
		seq := r.publish(event.Event{Kind: event.MessagePosted, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", r.made)), Body: "a secret"})
		r.seqs = append(r.seqs, seq)
		last = r.publish(event.Event{Kind: event.MessageDeleted, MessageSeq: seq})
	}
	r.with(r.store)
	r.check(last)
	r.spent(2 * pairs)
	log := bus.NewLog(r.conn)
	filter, err := streams.ChatShardFilter(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := log.Read(r.cluster.Context(), bus.ReadQuery{Filter: filter})
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Entries) != pairs {
		t.Errorf("%d events are left in the log, want the %d deletes", len(b.Entries), pairs)
	}
}

// What a real log holds, written again into a store that is empty, is the same; also while a persister works beside it.
// Of a deleted message the log holds no post any more, so that its place stays empty.
func TestAReplayOfTheRealLog(t *testing.T) {
	r := newReal(t)
	last := r.talk(80)
	r.with(r.store)
	r.check(last)
	first := r.store
	r.store = openStore(t)
	stop := r.start(func(ctx context.Context) error {
		for ctx.Err() == nil {
			r.talk(1)
		}
		return nil
	})
	done, err := replay(t, persist.ReplayConfig{Log: bus.NewLog(r.conn), Store: r.store, LeaveHole: true})
	stop()
	if err != nil || !done.Done() || done.To < last {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err = replay(t, persist.ReplayConfig{Log: bus.NewLog(r.conn), Store: r.store, From: done.Next}); err != nil || !done.Done() {
		t.Fatalf("what came meanwhile: %+v, %v", done, err)
	}
	for of, state := range r.want {
		want, _ := state.Message()
		got, err := r.store.Message(t.Context(), "c1", of)
		switch {
		case want.Deleted && (fault.Is(err, fault.NotFound) || err == nil && got.Body == ""):
		case err != nil:
			t.Errorf("message %d: %v", of, err)
		default:
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message %d (-log +store):\n%s", of, diff)
			}
		}
	}
	if p, err := r.store.Progress(t.Context(), 0); err != nil || p != done.To {
		t.Errorf("progress %d, %v; it came to %d", p, err, done.To)
	}
	r.store = first
	r.check(done.To)
}
