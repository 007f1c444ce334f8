package cassandra

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// Config says where the ring is. A field that is left out is as ring.Config says.
type Config struct {
	Hosts       []string      // some nodes of the ring, host or host:port
	Keyspace    string        // made when it is missing
	Datacenter  string        // whose nodes are asked; empty: that of the first host that answers
	Replication int           // copies in the datacenter when the keyspace is made
	User        string        // empty: no login
	Password    string        // of User
	TLSCA       string        // PEM file of who signs the nodes' certificates; empty: no TLS
	Timeout     time.Duration // of one question to a node
	BucketRows  int           // rows of a channel after which another partition begins; 0: 100,000
	Logger      *slog.Logger  // nil: none

	// Observe is told how long a call to the ring took, as ring.Config says. It may be nil.
	Observe func(op string, took time.Duration)
}

// bucketRows is how many rows a bucket takes: some 20 MB, far below the 100 MB from which partitions are slow to compact.
const bucketRows = 100_000

// inFlight is how many batches one Apply has under way. More of them do not make a ring of three nodes faster, and a node
// that is slow holds so many at the most.
const inFlight = 64

// Messages is the history of all channels in a keyspace.
type Messages struct {
	// Immutable after Open.
	db     database
	places *places
	ring   *ring.Ring

	batches, rows atomic.Uint64
}

var _ store.Messages = (*Messages)(nil)

// Open connects, makes what is missing of the keyspace, and brings its tables up to date. The errors are those of ring.Open.
func Open(ctx context.Context, c Config) (*Messages, error) {
	if c.BucketRows < 0 {
		return nil, fmt.Errorf("cassandra: buckets of %d rows", c.BucketRows)
	}
	r, err := ring.Open(ctx, c.ring())
	if err != nil {
		return nil, err
	}
	return newMessages(r, keyspace{r}, c.BucketRows), nil
}

// SchemaOf looks how far the tables of a keyspace are, and changes nothing: the number of the last migration that was
// applied, 0 when there is none, and of the last one that this program has.
func SchemaOf(ctx context.Context, c Config) (have, known int64, err error) {
	return ring.SchemaOf(ctx, c.ring())
}

func (c Config) ring() ring.Config {
	return ring.Config{
		Hosts: c.Hosts, Keyspace: c.Keyspace, Datacenter: c.Datacenter, Replication: c.Replication,
		User: c.User, Password: c.Password, TLSCA: c.TLSCA, Timeout: c.Timeout, Logger: c.Logger, Observe: c.Observe, Migrations: ddl.CassandraMessages(),
	}
}

func newMessages(r *ring.Ring, db database, limit int) *Messages {
	if limit == 0 {
		limit = bucketRows
	}
	return &Messages{db: db, ring: r, places: &places{db: db, limit: int64(limit), known: newCache(cachedBuckets)}}
}

// Close ends all connections. Calls under way end with Unavailable.
func (m *Messages) Close() error { return m.ring.Close() }

// Counts is what a Messages did since it was opened.
type Counts struct {
	Raises      uint64 // of a channel's ceiling that were tried: each is one conditional write
	LayoutReads uint64 // of where a channel's buckets begin
	Batches     uint64 // that were written; a row alone is one too
	Rows        uint64 // in them
	Ring        ring.Counts
}

// Counts is a copy of the counters.
func (m *Messages) Counts() Counts {
	return Counts{Raises: m.places.raises.Load(), LayoutReads: m.places.reads.Load(), Batches: m.batches.Load(), Rows: m.rows.Load(),
		Ring: m.ring.Counts()}
}

// Apply implements store.Messages. Rows of one partition are written together, different partitions at the same
// time. The first failure ends what is still to do.
func (m *Messages) Apply(ctx context.Context, events []event.Stored) error {
	layouts, err := m.place(ctx, events)
	if err != nil {
		return fmt.Errorf("apply events: %w", err)
	}
	var rows []row
	for i := range events {
		e := &events[i]
		target, ok := store.TargetOf(e)
		if !ok || aboutNothing(e, target.Seq) {
			continue
		}
		more, err := rowsOf(e, layouts[target.ChannelID].bucketOf(target.Seq))
		if err != nil {
			return fmt.Errorf("apply event %d of %s: %w", e.Seq, e.WorkspaceID, err)
		}
		rows = append(rows, more...)
	}
	if err := m.write(ctx, batched(rows)); err != nil {
		return fmt.Errorf("apply events: %w", err)
	}
	return nil
}

func (m *Messages) write(ctx context.Context, batches [][]ring.Write) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, b := range batches {
		group.Go(func() error {
			if err := m.db.Batch(ctx, b); err != nil {
				return err
			}
			m.batches.Add(1)
			m.rows.Add(uint64(len(b)))
			return nil
		})
	}
	return group.Wait()
}

// place finds the buckets of all messages that events are about.
func (m *Messages) place(ctx context.Context, events []event.Stored) (map[chat.ChannelID]layout, error) {
	layouts := map[chat.ChannelID]layout{}
	var mu sync.Mutex // of layouts
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for channel, seqs := range targets(events) {
		group.Go(func() error {
			if last := seqs[len(seqs)-1]; last > chat.MaxSeq {
				return fault.New(fault.Invalid, "No log has a seq of %d.", last)
			}
			l, err := m.places.place(ctx, channel, seqs)
			mu.Lock()
			defer mu.Unlock()
			layouts[channel] = l
			return err
		})
	}
	return layouts, group.Wait()
}
