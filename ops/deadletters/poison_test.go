package deadletters_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deadletter"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/services/store/storetest"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

// channels of each shard.
const channels = 10

// anyStore is the real one if there is one, or a file. Under the race detector it is a file: the real one is not in this process.
func anyStore(t *testing.T) store.Messages {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if underRace || os.Getenv(storetest.Cassandra) == "" {
		m, err := sqlite.OpenMessages(ctx, filepath.Join(t.TempDir(), "messages.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
		return m
	}
	hosts, keyspace := strings.Split(storetest.Server(t, storetest.Cassandra), ","), "poison_"+strconv.FormatInt(time.Now().UnixNano(), 36)
	m, err := cassandra.Open(ctx, cassandra.Config{Hosts: hosts, Keyspace: keyspace, Replication: 1, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r, err := ring.Open(ctx, ring.Config{Hosts: hosts, Keyspace: keyspace, Replication: 1, Timeout: 20 * time.Second, Migrations: ddl.CassandraMessages()})
		if err == nil {
			err = r.Exec(ctx, ring.Write{Statement: ring.Statement("DROP KEYSPACE IF EXISTS " + keyspace)})
			_ = r.Close() // what it was for is done
		}
		if err != nil {
			t.Logf("the keyspace %s stays: %v", keyspace, err)
		}
	})
	return m
}

// place is where the i-th event lies, in the workspace of its shard.
func place(i int) (shard int, ws, channel string) {
	shard = i % streams.Shards
	return shard, fmt.Sprint("w", shard), fmt.Sprintf("w%dc%d", shard, i/streams.Shards%channels)
}

// message is the i-th event; one in a hundred is poison, of one of four kinds.
func message(t *testing.T, i int) *nats.Msg {
	shard, ws, channel := place(i)
	m := &nats.Msg{Subject: fmt.Sprintf("chat.%d.%s.%s", shard, ws, channel), Header: nats.Header{"Nats-Msg-Id": {"u1." + strconv.Itoa(i)}}}
	e := event.Event{
		Kind: event.MessagePosted, Epoch: 1, ChannelID: chat.ChannelID(channel), SenderID: "u1", ClientMsgID: chat.ClientMsgID(strconv.Itoa(i)), Body: "hi",
	}
	poison := -1
	if i%100 == 99 {
		poison = i / 100 % 4
	}
	if poison == 2 {
		e.ChannelID = "elsewhere"
	}
	var err error
	if m.Data, err = event.Encode(e); err != nil {
		t.Fatal(err)
	}
	switch poison {
	case 0:
		m.Data, m.Header = []byte("\x00garbage, by hand\xff"), nil
	case 1:
		m.Subject += ".by.hand"
	case 3:
		m.Data = []byte(strings.Replace(string(m.Data), `"v":1`, `"v":0`, 1))
	}
	return m
}

// publish stores n events, many in flight.
func publish(t *testing.T, c *streamstest.Cluster, n int) {
	t.Helper()
	js, err := jetstream.NewWithDomain(c.HubConn, streams.HubDomain, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	futures := make(chan jetstream.PubAckFuture, 4096)
	go func() {
		defer close(failed)
		for f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				select {
				case failed <- err:
				default: // the first tells enough
				}
			}
		}
	}()
	for i := range n {
		f, err := js.PublishMsgAsync(message(t, i), jetstream.WithStallWait(streamstest.Wait), jetstream.WithRetryAttempts(50))
		if err != nil {
			t.Fatal(err)
		}
		futures <- f
	}
	close(futures)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// stored is how many messages a store has of the shards' channels.
func stored(t *testing.T, m store.Messages) int {
	t.Helper()
	counts := make([]int, streams.Shards*channels)
	var all sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range counts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_, _, channel := place(i)
			q := store.PageQuery{ChannelID: chat.ChannelID(channel), Limit: chat.MaxPageSize}
			for {
				p, err := m.Page(context.Background(), q)
				if err != nil {
					t.Error(err)
					return
				}
				counts[i] += len(p.Messages)
				if !p.HasMore || len(p.Messages) == 0 {
					return
				}
				q.Before = p.Messages[len(p.Messages)-1].Seq
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return sum
}

func dial(t *testing.T, c *streamstest.Cluster) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// parts are a persister of a store, and the service that makes letters of what it parks.
func parts(t *testing.T, c *streamstest.Cluster, serving *bus.Conn, written persist.Store, shown persist.Shown) (*persist.Persister, *deadletter.Service) {
	t.Helper()
	persisting, quiet := dial(t, c), slog.New(slog.DiscardHandler)
	persister := persist.New(persist.Config{
		Store: written, Shown: shown, Source: persist.NewConsumers(persisting, nil), Log: bus.NewLog(persisting), Logger: quiet,
	})
	return persister, deadletter.New(deadletter.Config{
		Conn: serving, Redrive: map[string]deadletter.Redriver{streams.ConsumerPersist: persister},
		Evidence: map[string]deadletter.Evidence{streams.ConsumerPersist: persister}, Logger: quiet,
	})
}

// start runs things until the end of the test.
func start(t *testing.T, runs ...func(context.Context) error) context.Context {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(running.Wait) // in reverse: stop comes first
	t.Cleanup(stop)
	for _, run := range runs {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return ctx
}

// TestOnePercentOfPoison: what cannot be stored is a letter each, and everything else is stored, exactly.
func TestOnePercentOfPoison(t *testing.T) {
	events := 100_000
	if underRace {
		events = 20_000
	}
	poisons := events / 100
	c := streamstest.StartWith(t, streamstest.Options{Provision: provision.Options{MaxBytes: 256 << 20}})
	messages := anyStore(t)
	serving := dial(t, c)
	persister, letters := parts(t, c, serving, messages, messages)
	ctx := start(t, persister.Run, letters.Run)
	began := time.Now()
	publish(t, c, events)
	t.Logf("%d events are in the log after %v", events, time.Since(began))

	settled := func() bool {
		for shard := range streams.Shards {
			consumer, err := c.HubJS.Consumer(ctx, streams.ChatStream(shard), streams.ConsumerPersist)
			if err != nil {
				t.Fatal(err)
			}
			if i := consumer.CachedInfo(); i.NumPending > 0 || i.NumAckPending > 0 {
				return false
			}
		}
		return true
	}
	queue := dlq.Open(serving)
	count := func() int {
		n, err := queue.Count(ctx, dlq.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "nothing is pending", settled)
	eventually(t, "every poison has its letter", func() bool { return count() >= poisons })
	t.Logf("everything has its outcome after %v", time.Since(began))
	if n := stored(t, messages); n != events-poisons {
		t.Errorf("%d are stored, want %d", n, events-poisons)
	}
	if n := count(); n != poisons {
		t.Errorf("%d letters, want %d", n, poisons)
	}
	t.Logf("and is counted after %v", time.Since(began))

	all, more, err := queue.List(ctx, dlq.Filter{}, 0, 8)
	if err != nil || !more {
		t.Fatal(more, err)
	}
	for _, l := range all { // none of them can be stored, now or ever
		if r, err := letters.Retry(ctx, rpc.DeadRetryRequest{ID: l.ID}); err != nil || r.Done || !strings.HasPrefix(r.Reason, "It can never be stored: ") {
			t.Errorf("%+v: %+v, %v", l, r, err)
		}
	}
}

// broken is a store that refuses one event until it is mended.
type broken struct {
	store.Messages
	refuses chat.ClientMsgID
	mended  atomic.Bool
}

func (b *broken) Apply(ctx context.Context, events []event.Stored) error {
	for i := range events {
		if events[i].ClientMsgID == b.refuses && !b.mended.Load() {
			return fault.New(fault.Invalid, "This cannot be stored")
		}
	}
	return b.Messages.Apply(ctx, events)
}

// TestTriedAgainAfterAFixItIsStoredOnce: at its place among those that came after it.
func TestTriedAgainAfterAFixItIsStoredOnce(t *testing.T) {
	const events = 80 // one or two in each channel
	c := streamstest.Start(t)
	messages, serving := anyStore(t), dial(t, c)
	b := &broken{Messages: messages, refuses: "3"}
	persister, letters := parts(t, c, serving, b, messages)
	ctx := start(t, persister.Run, letters.Run)
	publish(t, c, events)
	queue := dlq.Open(serving)
	var found []dlq.Letter
	eventually(t, "the letter is there", func() bool {
		var err error
		found, _, err = queue.List(ctx, dlq.Filter{}, 0, 10)
		return err == nil && len(found) > 0
	})
	eventually(t, "the rest is stored", func() bool { return stored(t, messages) == events-1 })
	if len(found) != 1 || found[0].Reason != "This cannot be stored" {
		t.Fatalf("%+v", found)
	}
	again := rpc.DeadRetryRequest{ID: found[0].ID}
	if r, err := letters.Retry(ctx, again); err != nil || r.Done || r.Reason != "The store refuses it: This cannot be stored" {
		t.Errorf("before it is mended: %+v, %v", r, err)
	}
	b.mended.Store(true)
	_, _, channel := place(3)
	r, err := letters.Retry(ctx, again)
	if want := fmt.Sprintf("stored at its place: seq %d of channel %s", found[0].Seq, channel); err != nil || !r.Done || r.Place != want {
		t.Errorf("mended: %+v, %v; want %q", r, err, want)
	}
	if _, err := letters.Retry(ctx, again); !fault.Is(err, fault.NotFound) {
		t.Errorf("once more: %v", err)
	}
	if n := stored(t, messages); n != events {
		t.Errorf("%d are stored, want %d", n, events)
	}
	if m, err := messages.Message(ctx, chat.ChannelID(channel), found[0].Seq); err != nil || m.ClientMsgID != "3" {
		t.Errorf("%+v, %v", m, err)
	}
	p, err := messages.Page(ctx, store.PageQuery{ChannelID: chat.ChannelID(channel), Limit: 10})
	if err != nil || len(p.Messages) != 2 || p.Messages[1].Seq != found[0].Seq {
		t.Errorf("the channel: %+v, %v", p, err)
	}
	if n, err := queue.Count(ctx, dlq.Filter{}); n != 0 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
