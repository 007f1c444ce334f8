package cassandra

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/receipt"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
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
	Through     []string      // as ring.Config's
	BucketRows  int           // rows of a channel after which another partition begins; 0: 100,000
	Logger      *slog.Logger  // nil: none

	// Observe is told how long a call to the ring took, as ring.Config says. It may be nil.
	Observe func(op string, took time.Duration)
}

// bucketRows is how many rows a bucket takes: some 20 MB, far below the 100 MB from which partitions are slow to compact.
const bucketRows = 100_000

// Messages is the history of all channels in a keyspace.
type Messages struct {
	*receipt.Receipts // who got and read what

	// Immutable after Open.
	db     rows.Database
	writer *rows.Writer
	places *places
	ring   *ring.Ring
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
	return newMessages(r, rows.Of(r), c.BucketRows), nil
}

// SchemaOf looks how far the tables of a keyspace are, and changes nothing: the number of the last migration that was
// applied, 0 when there is none, and of the last one that this program has.
func SchemaOf(ctx context.Context, c Config) (have, known int64, err error) {
	return ring.SchemaOf(ctx, c.ring())
}

func (c Config) ring() ring.Config {
	return ring.Config{
		Hosts: c.Hosts, Keyspace: c.Keyspace, Datacenter: c.Datacenter, Replication: c.Replication,
		User: c.User, Password: c.Password, TLSCA: c.TLSCA, Timeout: c.Timeout, Through: c.Through, Logger: c.Logger, Observe: c.Observe, Migrations: ddl.CassandraMessages(),
	}
}

func newMessages(r *ring.Ring, db rows.Database, limit int) *Messages {
	if limit == 0 {
		limit = bucketRows
	}
	writer := rows.NewWriter(db)
	return &Messages{Receipts: receipt.New(db, writer), db: db, writer: writer, ring: r,
		places: &places{db: db, limit: int64(limit), known: newCache(cachedBuckets)}}
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
	batches, written := m.writer.Counts()
	return Counts{Raises: m.places.raises.Load(), LayoutReads: m.places.reads.Load(), Batches: batches, Rows: written,
		Ring: m.ring.Counts()}
}

// Apply implements store.Messages. Rows of one partition are written together, different partitions at the same
// time. The first failure ends what is still to do.
func (m *Messages) Apply(ctx context.Context, events []event.Stored) error {
	layouts, err := m.place(ctx, events)
	if err != nil {
		return fmt.Errorf("apply events: %w", err)
	}
	var all []rows.Row
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
		all = append(all, more...)
	}
	if err := m.writer.Write(ctx, all); err != nil {
		return fmt.Errorf("apply events: %w", err)
	}
	return nil
}

// place finds the buckets of all messages that events are about.
func (m *Messages) place(ctx context.Context, events []event.Stored) (map[chat.ChannelID]layout, error) {
	layouts := map[chat.ChannelID]layout{}
	var mu sync.Mutex // of layouts
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rows.InFlight)
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
