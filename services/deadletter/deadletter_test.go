package deadletter_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deadletter"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/streamstest"
)

const stream = "CHAT_0"

// town is a hub, somebody's work that may go wrong, and the dead letters of it.
type town struct {
	t       *testing.T
	cluster *streamstest.Cluster
	conn    *bus.Conn
	queue   *dlq.Queue
	work    *work
}

func newTown(t *testing.T) *town {
	t.Helper()
	t.Parallel()
	w := &town{t: t, cluster: streamstest.Start(t), work: &work{done: map[chat.Seq]int{}}}
	w.conn = w.dial()
	w.queue = dlq.Open(w.conn)
	return w
}

func (w *town) dial() *bus.Conn {
	w.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: w.cluster.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(conn.Close)
	return conn
}

// start runs something until stop, or the end of the test.
func (w *town) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// service makes dead letters.
func (w *town) service() (s *deadletter.Service, stop func()) {
	s = deadletter.New(deadletter.Config{
		Conn: w.dial(), Redrive: map[string]deadletter.Redriver{streams.ConsumerPersist: w.work}, Evidence: map[string]deadletter.Evidence{streams.ConsumerPersist: w.work},
		Every: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	return s, w.start(s.Run)
}

// work is what a consumer does: it remembers what it did.
type work struct {
	mu      sync.Mutex
	done    map[chat.Seq]int
	refuses string        // every letter; empty: none
	slow    chan struct{} // what a redrive waits for; nil: nothing
}

func (w *work) did(seq chat.Seq) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[seq]++
}

func (w *work) times(seq chat.Seq) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done[seq]
}

func (w *work) Redrive(_ context.Context, l dlq.Letter, dry bool) (string, error) {
	w.mu.Lock()
	refuses, slow := w.refuses, w.slow
	w.mu.Unlock()
	if refuses != "" {
		return "", fault.New(fault.Invalid, "%s", refuses)
	}
	if slow != nil {
		<-slow
	}
	if !dry {
		w.did(l.Seq)
	}
	return fmt.Sprint("done at ", l.Seq), nil
}

func (w *work) Missing(_ context.Context, entries []bus.Entry) (missing []bus.Entry, err error) {
	for _, e := range entries {
		if w.times(e.Seq) == 0 {
			missing = append(missing, e)
		}
	}
	return missing, nil
}

// impatient makes the consumer persist give an event up after two deliveries of a second each.
func (w *town) impatient() {
	w.t.Helper()
	js := w.cluster.HubJS
	c, err := js.Consumer(w.cluster.Context(), stream, streams.ConsumerPersist)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait, cfg.BackOff, cfg.MaxDeliver = time.Second, nil, 2
	if _, err := js.UpdateConsumer(w.cluster.Context(), stream, cfg); err != nil {
		w.t.Fatal(err)
	}
}

// fill stores n events, and returns the seq of the first.
func (w *town) fill(n int) chat.Seq {
	w.t.Helper()
	futures := make([]jetstream.PubAckFuture, n)
	for i := range futures {
		var err error
		if futures[i], err = w.cluster.HubJS.PublishMsgAsync(&nats.Msg{
			Subject: "chat.0.w1.c1", Data: fmt.Appendf(nil, "event %d", i), Header: nats.Header{"Nats-Msg-Id": {nats.NewInbox()}, "traceparent": {"00-a-b-01"}},
		}, jetstream.WithRetryAttempts(20), jetstream.WithStallWait(streamstest.Wait)); err != nil {
			w.t.Fatal(err)
		}
	}
	first := chat.Seq(1) << 60
	for _, f := range futures {
		select {
		case ack := <-f.Ok():
			first = min(first, chat.Seq(ack.Sequence))
		case err := <-f.Err():
			w.t.Fatal(err)
		case <-time.After(2 * streamstest.Wait):
			w.t.Fatal("an event is not stored")
		}
	}
	return first
}

// consumes runs the consumer persist.
func (w *town) consumes(outcome func(bus.Delivery) bus.Outcome) (stop func()) {
	c := consume.New(w.dial(), consume.Config{Stream: stream, Consumer: streams.ConsumerPersist}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := make([]bus.Outcome, len(batch))
		for i, d := range batch {
			if outcomes[i] = outcome(d); outcomes[i].Kind == bus.KindDone {
				w.work.did(d.Seq)
			}
		}
		return outcomes, nil
	})
	return w.start(c.Run)
}

// dies takes events as a process does that dies of some of them: it says nothing about those, ever.
func (w *town) dies(of func(chat.Seq) bool) (stop func()) {
	c, err := w.cluster.HubJS.Consumer(w.cluster.Context(), stream, streams.ConsumerPersist)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.start(func(ctx context.Context) error {
		for ctx.Err() == nil {
			batch, err := c.Fetch(100, jetstream.FetchMaxWait(200*time.Millisecond))
			if err != nil {
				continue // it is asked again
			}
			for m := range batch.Messages() {
				meta, err := m.Metadata()
				if err != nil {
					return err
				}
				if seq := chat.Seq(meta.Sequence.Stream); !of(seq) {
					w.work.did(seq)
					if err := m.Ack(); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
}

func (w *town) eventually(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(60 * time.Second); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

func (w *town) floor() chat.Seq {
	w.t.Helper()
	f, err := consume.Floor(w.cluster.Context(), w.conn, stream, streams.ConsumerPersist)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// letters are all letters, by the seq of the original.
func (w *town) letters() map[chat.Seq]dlq.Letter {
	w.t.Helper()
	all, more, err := w.queue.List(w.cluster.Context(), dlq.Filter{}, 0, 10_000)
	if err != nil || more {
		w.t.Fatal(more, err)
	}
	bySeq := map[chat.Seq]dlq.Letter{}
	for _, l := range all {
		if _, twice := bySeq[l.Seq]; twice {
			w.t.Errorf("%d has two letters", l.Seq)
		}
		bySeq[l.Seq] = l
	}
	return bySeq
}

func (w *town) count() int {
	w.t.Helper()
	n, err := w.queue.Count(w.cluster.Context(), dlq.Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *town) advisories(change func(*jetstream.StreamConfig)) {
	w.t.Helper()
	s, err := w.cluster.HubJS.Stream(w.cluster.Context(), streams.StreamAdvisories)
	if err != nil {
		w.t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	change(&cfg)
	if _, err := w.cluster.HubJS.UpdateStream(w.cluster.Context(), cfg); err != nil {
		w.t.Fatal(err)
	}
}

func TestOneInAHundredIsPoisonAndEachIsOneLetter(t *testing.T) {
	w := newTown(t)
	s, _ := w.service()
	const all, poisons = 5000, 50
	w.consumes(func(d bus.Delivery) bus.Outcome {
		if d.Seq%100 == 7 {
			return bus.Park(fmt.Sprint("poison ", d.Seq))
		}
		return bus.Done()
	})
	w.fill(all)
	w.eventually("everything has its outcome", func() bool { return w.floor() == all })
	w.eventually("every poison has its letter", func() bool { return w.count() >= poisons })
	letters := w.letters()
	if len(letters) != poisons || len(w.work.done) != all-poisons {
		t.Fatalf("%d letters and %d done, want %d and %d", len(letters), len(w.work.done), poisons, all-poisons)
	}
	for seq, l := range letters {
		if seq%100 != 7 || l.Stream != stream || l.Consumer != "persist" || l.Reason != fmt.Sprint("poison ", seq) || l.Found != dlq.FoundNote ||
			!bytes.HasPrefix(l.Payload, []byte("event ")) || l.Subject != "chat.0.w1.c1" || l.Attempts < 1 || l.TraceParent != "00-a-b-01" || l.StoredAt.IsZero() {
			t.Errorf("%d: %+v", seq, l)
		}
	}
	if got, want := s.Counts().Letters, (map[deadletter.Origin]uint64{{Consumer: "persist", Found: dlq.FoundNote}: poisons}); !maps.Equal(got, want) {
		t.Errorf("letters counted: %v, want %v", got, want)
	}
}

func TestWhatTheServerGivesUpIsALetter(t *testing.T) {
	w := newTown(t)
	w.impatient()
	w.service()
	w.dies(func(seq chat.Seq) bool { return seq == 3 })
	w.fill(5)
	w.eventually("the letter is there", func() bool { return w.count() == 1 })
	if l := w.letters()[3]; l.Reason != "gave up after 2 deliveries" && l.Found != dlq.FoundReconciliation || l.Attempts != 2 || l.Gone {
		t.Errorf("%+v", l)
	}
}

func TestAGiveUpThatNobodyWasToldOfIsFound(t *testing.T) {
	w := newTown(t)
	w.impatient()
	w.advisories(func(cfg *jetstream.StreamConfig) { cfg.Subjects = []string{"parked.>"} })
	s, _ := w.service()
	w.dies(func(seq chat.Seq) bool { return seq == 40 || seq == 90 || seq == 91 })
	w.fill(100)
	w.eventually("three letters", func() bool { return w.count() >= 3 })
	w.eventually("everything has its outcome", func() bool { return w.floor() == 100 })
	letters := w.letters()
	for _, seq := range []chat.Seq{40, 90, 91} {
		if l := letters[seq]; l.Found != dlq.FoundReconciliation || l.Subject != "chat.0.w1.c1" || len(l.Payload) == 0 || l.Attempts != 2 {
			t.Errorf("%d: %+v", seq, l)
		}
	}
	if len(letters) != 3 || s.Counts().Suspicions["persist"] == 0 || s.Counts().Letters[deadletter.Origin{Consumer: "persist", Found: dlq.FoundReconciliation}] != 3 {
		t.Errorf("%d letters, %+v", len(letters), s.Counts())
	}
}

func TestASuspicionOutlivesTheProcess(t *testing.T) {
	w := newTown(t)
	w.impatient()
	w.advisories(func(cfg *jetstream.StreamConfig) { cfg.Subjects = []string{"parked.>"} })
	_, stop := w.service()
	handlers := w.dies(func(seq chat.Seq) bool { return seq == 2 })
	w.fill(3)
	w.eventually("one and three are done", func() bool { return w.work.times(1) > 0 && w.work.times(3) > 0 })
	stop() // before the server gives up
	w.eventually("the server gave up", func() bool { return w.floor() == 3 })
	handlers()
	if n := w.count(); n != 0 {
		t.Fatalf("%d letters while nobody makes any", n)
	}
	w.service()
	w.eventually("the letter is there", func() bool { return w.count() == 1 })
	if l := w.letters()[2]; l.Found != dlq.FoundReconciliation {
		t.Errorf("%+v", l)
	}
}

func TestNotesThatAdvisoriesLostAreFound(t *testing.T) {
	w := newTown(t)
	_, stop := w.service()
	w.fill(10)
	handlers := w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Done() })
	w.eventually("the first are done", func() bool { return w.floor() == 10 })
	handlers()
	stop()
	w.consumes(func(d bus.Delivery) bus.Outcome {
		if d.Seq == 13 {
			return bus.Park("poison")
		}
		return bus.Done()
	})
	w.fill(10)
	w.eventually("everything has its outcome", func() bool { return w.floor() == 20 })
	if err := w.cluster.HubJS.DeleteStream(w.cluster.Context(), streams.StreamAdvisories); err != nil {
		t.Fatal(err)
	}
	w.cluster.Provision()
	w.service()
	w.eventually("the letter is there", func() bool { return w.count() == 1 })
	if l := w.letters()[13]; l.Found != dlq.FoundReconciliation {
		t.Errorf("%+v", l)
	}
}

func TestAdvisoriesThatAreMadeAnewWhileEventsDie(t *testing.T) {
	w := newTown(t)
	w.impatient()
	w.service()
	w.dies(func(seq chat.Seq) bool { return seq%10 == 0 })
	w.fill(30)
	if err := w.cluster.HubJS.DeleteStream(w.cluster.Context(), streams.StreamAdvisories); err != nil {
		t.Fatal(err)
	}
	w.eventually("the server gave up", func() bool { return w.floor() == 30 })
	w.cluster.Provision()
	w.eventually("three letters", func() bool { return w.count() == 3 })
	for seq := range w.letters() {
		if seq%10 != 0 {
			t.Errorf("a letter of %d", seq)
		}
	}
}

func TestALetterThatWasDealtWithDoesNotComeBack(t *testing.T) {
	w := newTown(t)
	s, stop := w.service()
	w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Park("poison") })
	w.fill(3)
	w.eventually("three letters", func() bool { return w.count() == 3 })
	letters := w.letters()
	reply, err := s.Retry(w.cluster.Context(), rpc.DeadRetryRequest{ID: letters[1].ID})
	if err != nil || !reply.Done || reply.Place != "done at 1" {
		t.Fatalf("%+v, %v", reply, err)
	}
	if err := w.queue.Drop(w.cluster.Context(), letters[2].ID); err != nil {
		t.Fatal(err)
	}
	stop()
	// The consumer of ADVISORIES is made anew, and is told everything again.
	if err := w.cluster.HubJS.DeleteConsumer(w.cluster.Context(), streams.StreamAdvisories, streams.ConsumerDeadletter); err != nil {
		t.Fatal(err)
	}
	w.cluster.Provision()
	w.service()
	w.eventually("it was told everything again", func() bool {
		info, err := w.cluster.HubJS.Consumer(w.cluster.Context(), streams.StreamAdvisories, streams.ConsumerDeadletter)
		return err == nil && info.CachedInfo().NumPending == 0 && info.CachedInfo().NumAckPending == 0
	})
	if letters := w.letters(); len(letters) != 1 || letters[3].Reason != "poison" {
		t.Errorf("%v", letters)
	}
}

func TestRetry(t *testing.T) {
	w := newTown(t)
	s, _ := w.service()
	w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Park("poison") })
	w.fill(2)
	w.eventually("two letters", func() bool { return w.count() == 2 })
	letters, ctx := w.letters(), w.cluster.Context()

	w.work.refuses = "it can never be stored"
	if r, err := s.Retry(ctx, rpc.DeadRetryRequest{ID: letters[1].ID}); err != nil || r.Done || r.Reason != "it can never be stored" {
		t.Errorf("refused: %+v, %v", r, err)
	}
	w.work.refuses = ""
	if r, err := s.Retry(ctx, rpc.DeadRetryRequest{ID: letters[1].ID, DryRun: true}); err != nil || !r.Done || w.work.times(1) != 0 {
		t.Errorf("dry: %+v, %v", r, err)
	}
	if n := w.count(); n != 2 {
		t.Errorf("%d letters, want 2", n)
	}
	slow := make(chan struct{})
	w.work.mu.Lock()
	w.work.slow = slow
	w.work.mu.Unlock()
	errs := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := s.Retry(ctx, rpc.DeadRetryRequest{ID: letters[1].ID})
			errs <- err
		}()
	}
	close(slow)
	one, other := <-errs, <-errs
	if one == nil == (other == nil) || !fault.Is(one, fault.NotFound) && !fault.Is(other, fault.NotFound) || w.work.times(1) != 1 {
		t.Errorf("two at once: %v, %v; done %d times", one, other, w.work.times(1))
	}
	if _, err := s.Retry(ctx, rpc.DeadRetryRequest{ID: 999}); !fault.Is(err, fault.NotFound) {
		t.Errorf("no letter: %v", err)
	}
	if l := w.letters(); len(l) != 1 || l[2].ID != letters[2].ID {
		t.Errorf("%v", l)
	}
	want := map[deadletter.Retried]uint64{{Consumer: "persist", Outcome: "refused"}: 1, {Consumer: "persist", Outcome: "dry"}: 1, {Consumer: "persist", Outcome: "done"}: 1}
	if got := s.Counts().Retries; !maps.Equal(got, want) {
		t.Errorf("retries: %v", got)
	}
}

func TestAnOriginalThatIsGoneIsALetterThatSaysSo(t *testing.T) {
	w := newTown(t)
	w.fill(1)
	handlers := w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Park("poison") })
	w.eventually("it is parked", func() bool { return w.floor() == 1 })
	handlers()
	w.cluster.Forget(stream, 1)
	s, _ := w.service()
	w.eventually("the letter is there", func() bool { return w.count() == 1 })
	l := w.letters()[1]
	if !l.Gone || l.GoneBecause != "it grew too old: CHAT_0 begins at 2" || len(l.Payload) != 0 || l.Reason != "poison" {
		t.Errorf("%+v", l)
	}
	if r, err := s.Retry(w.cluster.Context(), rpc.DeadRetryRequest{ID: l.ID}); err != nil || r.Done || r.Reason != "The event is gone: it grew too old: CHAT_0 begins at 2" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatSomebodyTellsByHandDisturbsNobody(t *testing.T) {
	w := newTown(t)
	s, _ := w.service()
	w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Park("poison") })
	for subject, data := range map[string]string{
		"parked.CHAT_0.persist": "hello", "parked.garbage": "{}", "parked.CHAT_0.deliver": `{"stream":"CHAT_0","consumer":"persist","stream_seq":9,"timestamp":"2026-01-01T00:00:00Z"}`,
		"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CHAT_0.persist": "{}", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CHAT_0.somebodys": "{}", "dlq.by.hand": "a letter",
	} {
		if err := w.cluster.HubConn.Publish(subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	w.fill(1)
	w.eventually("letters of the event, the garbage, and what was put there by hand", func() bool { return w.count() == 6 })
	byHand := 0
	all, _, err := w.queue.List(w.cluster.Context(), dlq.Filter{}, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		if l.Stream == "" {
			byHand++
			if r, err := s.Retry(w.cluster.Context(), rpc.DeadRetryRequest{ID: l.ID}); err != nil || r.Done || r.Reason == "" {
				t.Errorf("%+v, %v", r, err)
			}
			if err := w.queue.Drop(w.cluster.Context(), l.ID); err != nil {
				t.Error(err)
			}
		}
	}
	if byHand != 1 || s.Counts().Garbage < 4 {
		t.Errorf("%d by hand, %+v", byHand, s.Counts())
	}
}

func TestAHubThatDoesNotAnswerIsWaitedFor(t *testing.T) {
	w := newTown(t)
	s, _ := w.service()
	w.consumes(func(d bus.Delivery) bus.Outcome { return bus.Park("poison") })
	w.fill(20)
	w.cluster.RestartHub()
	w.fill(20)
	w.eventually("all letters", func() bool {
		n, err := w.queue.Count(w.cluster.Context(), dlq.Filter{})
		return err == nil && n == 40
	})
	if len(w.letters()) != 40 || s.State().Outage != nil {
		t.Errorf("%+v", s.State())
	}
}
