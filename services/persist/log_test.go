package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

// real is a hub, a leaf and a store.
type real struct {
	t         *testing.T
	cluster   *streamstest.Cluster
	conn      *bus.Conn
	publisher *publish.Publisher
	store     *sqlite.Messages
	want      map[chat.Seq]*store.State // by message
	seqs      []chat.Seq                // of messages
	made      int
}

// newReal starts them. Such a test mostly waits for its own servers, so that others may run beside it.
func newReal(t *testing.T) *real {
	t.Helper()
	t.Parallel()
	r := &real{t: t, cluster: streamstest.Start(t), want: map[chat.Seq]*store.State{}}
	r.conn = r.dial()
	r.publisher = publish.New(r.conn, publish.Config{})
	r.start(r.publisher.Run)
	var err error
	if r.store, err = sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *real) dial() *bus.Conn {
	r.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: r.cluster.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(conn.Close)
	return conn
}

// start runs something until stop, or the end of the test.
func (r *real) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// persister runs a Persister on s beside the others; it has a connection of its own, as a process has.
func (r *real) persister(s persist.Store) (stop func()) {
	p := persist.New(persist.Config{
		Store: s, Source: persist.NewConsumers(r.dial(), nil), Log: unerased{bus.NewLog(r.conn)}, Logger: slog.New(slog.DiscardHandler),
	})
	return r.start(p.Run)
}

// unerased is a log that keeps what deleted messages said: it shows no channel alone.
type unerased struct{ *bus.Log }

func (l unerased) Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error) {
	if all, err := streams.ChatShardFilter(q.Shard); err != nil || q.Filter != all {
		return bus.Batch{}, err
	}
	return l.Log.Read(ctx, q)
}

func (l unerased) LeaderLast(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error) {
	if all, err := streams.ChatShardFilter(shard); err != nil || filter != all {
		return 0, err
	}
	return l.Log.LeaderLast(ctx, shard, filter)
}

// publish stores an event and remembers what it does.
func (r *real) publish(e event.Event) chat.Seq {
	r.t.Helper()
	e.Epoch, e.ChannelID, e.SenderID = 1, "c1", "u1"
	payload, err := event.Encode(e)
	if err != nil {
		r.t.Fatal(err)
	}
	r.made++
	ack, err := r.publisher.PublishSync(r.cluster.Context(), bus.Message{
		Place: streams.Place{Shard: 0, WorkspaceID: "w1", ChannelID: "c1"}, MsgID: fmt.Sprintf("u1.%d", r.made), Payload: payload,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	stored, err := bus.NewLog(r.conn).Get(r.cluster.Context(), 0, ack.Seq)
	if err != nil {
		r.t.Fatal(err)
	}
	s := event.Stored{Event: e, WorkspaceID: "w1", Seq: ack.Seq, At: stored.At}
	s.V = event.Version
	target, ok := store.TargetOf(&s)
	if !ok {
		return ack.Seq
	}
	if r.want[target.Seq] == nil {
		r.want[target.Seq] = new(store.State)
		r.seqs = append(r.seqs, target.Seq)
	}
	r.want[target.Seq].Apply(s)
	return ack.Seq
}

// talk publishes n events of all kinds.
func (r *real) talk(n int) (last chat.Seq) {
	for i := range n {
		e := event.Event{Kind: event.MessagePosted, ClientMsgID: chat.ClientMsgID(fmt.Sprintf("m%d", r.made)), Body: fmt.Sprint("message ", r.made)}
		if len(r.seqs) > 0 && i%3 != 0 {
			e = event.Event{MessageSeq: r.seqs[rand.IntN(len(r.seqs))]}
			switch rand.IntN(6) {
			case 0:
				e.Kind = event.MessageDeleted
			case 1:
				e.Kind, e.Emoji = event.ReactionAdded, "👍"
			case 2:
				e.Kind, e.Emoji = event.ReactionRemoved, "👍"
			case 3:
				e.Kind = event.PinAdded
			default:
				e.Kind, e.Body = event.MessageEdited, fmt.Sprint("edit ", r.made)
			}
		}
		last = r.publish(e)
	}
	return last
}

// check waits until the store has everything up to seq, and compares it with the log's order.
func (r *real) check(seq chat.Seq) {
	r.t.Helper()
	r.eventually(func() bool {
		p, err := r.store.Progress(r.t.Context(), 0)
		return err == nil && p >= seq
	})
	for of, state := range r.want {
		want, _ := state.Message()
		got, err := r.store.Message(r.t.Context(), "c1", of)
		if err != nil {
			r.t.Fatalf("message %d: %v", of, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.t.Errorf("message %d (-log +store):\n%s", of, diff)
		}
	}
}

func (r *real) eventually(cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * streamstest.Wait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatal("not in time")
		}
	}
}

func TestTheStoreBecomesWhatTheLogSays(t *testing.T) {
	r := newReal(t)
	before := r.talk(60)
	stop := r.persister(r.store)
	r.check(before)
	nc := r.cluster.HubConn // garbage by hand
	for i, payload := range []string{"hello", `{"v":1}`, "", `{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c2","sender_id":"u1","client_msg_id":"m","body":"x"}`} {
		subject := "chat.0.w1.c1"
		if i == 2 {
			subject = "chat.0.W1.c1.x"
		}
		if err := nc.Publish(subject, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	r.check(r.talk(60))
	stop()
	// It is parked, not forgotten: why is noted in the stream of advisories.
	subject, err := streams.ParkedSubject(streams.ChatStream(0), streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(func() bool {
		s, err := r.cluster.HubJS.Stream(r.cluster.Context(), streams.StreamAdvisories)
		if err != nil {
			return false
		}
		info, err := s.Info(r.cluster.Context(), jetstream.WithSubjectFilter(subject))
		return err == nil && info.State.Subjects[subject] == 4
	})
}

// dying is a store beside which the process dies: after it wrote, before anything was acknowledged.
type dying struct {
	*sqlite.Messages
	die func()
}

func (d *dying) Apply(ctx context.Context, events []event.Stored) error {
	half := events[:(len(events)+1)/2]
	if rand.IntN(2) == 0 {
		half = events
	}
	if err := d.Messages.Apply(ctx, half); err != nil {
		return err
	}
	d.die()
	return fault.New(fault.Unavailable, "the process has died")
}

// A process that dies between its write and the ack leaves nothing that the next one does not repair.
func TestDeathBetweenWriteAndAckChangesNothing(t *testing.T) {
	r := newReal(t)
	r.impatient(lapse)
	for range 3 {
		r.talk(30)
		died := make(chan struct{})
		stop := r.persister(&dying{Messages: r.store, die: sync.OnceFunc(func() { close(died) })})
		<-died
		stop()
	}
	if p, err := r.store.Progress(t.Context(), 0); err != nil || p != 0 {
		t.Fatalf("progress %d, %v of what was never acknowledged", p, err)
	}
	last := r.talk(30)
	r.persister(r.store)
	r.persister(r.store) // two share the work
	r.check(last)
}

// flaky is a store that is down for a while.
type flaky struct {
	*sqlite.Messages
	mu   sync.Mutex
	down bool
	seen int
}

func (f *flaky) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *flaky) Apply(ctx context.Context, events []event.Stored) error {
	f.mu.Lock()
	down := f.down
	if down {
		f.seen++
	}
	f.mu.Unlock()
	if down {
		return fault.Wrap(fault.Unavailable, errors.New("connection refused"), "down")
	}
	return f.Messages.Apply(ctx, events)
}

func TestAnOutageOfTheStoreSpendsNoDelivery(t *testing.T) {
	r := newReal(t)
	f := &flaky{Messages: r.store, down: true}
	r.persister(f)
	last := r.talk(20)
	r.eventually(func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.seen >= 3
	})
	f.set(false)
	r.check(last)
	c, err := r.cluster.HubJS.Consumer(r.cluster.Context(), streams.ChatStream(0), streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	if n := c.CachedInfo().NumRedelivered; n != 0 {
		t.Errorf("%d events were delivered again", n)
	}
	r.eventually(func() bool {
		s, err := r.cluster.HubJS.Stream(r.cluster.Context(), streams.StreamAdvisories)
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
}
