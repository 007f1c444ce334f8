package cassandra_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// home is a keyspace for all tests of this run: ids are new in each, so that they do not meet.
var home struct {
	sync.Once
	hosts    []string
	keyspace string
	messages *cassandra.Messages
	ring     *ring.Ring // for what the store has no method for
	err      error
}

// TestMain drops the keyspace, and checks that no test left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	if home.ring != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// A ring that cannot drop a keyspace has told the tests more than it can tell us here.
		_ = home.ring.Exec(ctx, ring.Write{Statement: ring.Statement("DROP KEYSPACE " + home.keyspace)})
		_ = home.ring.Close()
		_ = home.messages.Close()
	}
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// onRing is a Messages with buckets of the usual size. It is everybody's.
func onRing(t testing.TB) *cassandra.Messages {
	t.Helper()
	at := storetest.Server(t, storetest.Cassandra)
	home.Do(func() {
		home.hosts = strings.Split(at, ",")
		home.keyspace = "canopy_test_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		config := cassandra.Config{Hosts: home.hosts, Keyspace: home.keyspace, Replication: 1, Timeout: 20 * time.Second}
		if home.messages, home.err = cassandra.Open(ctx, config); home.err != nil {
			return
		}
		home.ring, home.err = ring.Open(ctx, ring.Config{Hosts: home.hosts, Keyspace: home.keyspace, Replication: 1, Timeout: 20 * time.Second})
	})
	if home.err != nil {
		t.Fatal(home.err)
	}
	return home.messages
}

// apart is a Messages of another process: with a memory of its own, and buckets of so many rows.
func apart(t testing.TB, rows int) *cassandra.Messages {
	t.Helper()
	return cassandra.Through(onRing(t), rows, func(d cassandra.Database) cassandra.Database { return d })
}

// tiny is so few rows in a bucket that every test has many.
const tiny = 4

// TestMessages is the contract's suite with one process and buckets that hold everything.
func TestMessages(t *testing.T) {
	t.Parallel()
	storetest.RunMessages(t, func(t *testing.T) store.Messages { return onRing(t) })
}

// TestMessagesOfSeveralProcesses is the suite with buckets that end all the time, two processes that write in turn, and
// one that only reads and is told nothing.
func TestMessagesOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	storetest.RunMessages(t, func(t *testing.T) store.Messages {
		rows := tiny
		if strings.HasSuffix(t.Name(), "/ThreadParticipantsAreTheLatest") {
			rows *= 50 // of a thousand rows; a bucket for each few of them takes a thousand conditions
		}
		return &processes{Messages: apart(t, rows), writers: [2]*cassandra.Messages{apart(t, rows), apart(t, rows)}}
	})
}

type processes struct {
	store.Messages // reads, and cursors
	writers        [2]*cassandra.Messages
	turn           atomic.Uint64
}

func (p *processes) Apply(ctx context.Context, events []event.Stored) error {
	return p.writers[p.turn.Add(1)%2].Apply(ctx, events)
}

// Progress is that of shards that the other suite does not use.
func (p *processes) Progress(ctx context.Context, shard int) (chat.Seq, error) {
	return p.Messages.Progress(ctx, shard+otherShards)
}

func (p *processes) NoteProgress(ctx context.Context, shard int, seq chat.Seq) error {
	return p.Messages.NoteProgress(ctx, shard+otherShards, seq)
}

const otherShards = 1000

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newChannel() chat.ChannelID { return chat.ChannelID(chat.IDFromBytes(uuid.Must(uuid.NewV7()))) }

var dawn = time.Date(2026, 3, 1, 23, 59, 0, 123456789, time.UTC)

func aPost(channel chat.ChannelID, seq chat.Seq, body string) event.Stored {
	return event.Stored{
		Event: event.Event{V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: channel, SenderID: "ann",
			ClientMsgID: chat.ClientMsgID(fmt.Sprintf("%s-%d", channel, seq)), Body: body},
		WorkspaceID: "acme", Seq: seq, At: dawn.Add(time.Duration(seq) * time.Second),
	}
}

// madeAt is an id as clients make them, a UUIDv7.
func madeAt(at time.Time) chat.ClientMsgID {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli())<<16)
	copy(id[:6], ms[:])
	return chat.ClientMsgID(id.String())
}

func about(post event.Stored, seq chat.Seq, kind event.Kind) event.Stored {
	e := aPost(post.ChannelID, seq, "")
	e.Kind, e.MessageSeq, e.ClientMsgID = kind, post.Seq, ""
	return e
}

// posts are of seqs from, from+gap, …
func posts(channel chat.ChannelID, from, gap chat.Seq, n int) []event.Stored {
	var all []event.Stored
	for i := range n {
		all = append(all, aPost(channel, from+chat.Seq(i)*gap, fmt.Sprintf("message %d", i)))
	}
	return all
}

func seqsOf(messages []chat.Message) []chat.Seq {
	var seqs []chat.Seq
	for _, m := range messages {
		seqs = append(seqs, m.Seq)
	}
	return seqs
}
