package rows

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// Row is one write, and the partition that it belongs to.
type Row struct {
	Partition Partition
	Write     ring.Write
	Size      int // bytes, about
}

// Partition names a partition of a table.
type Partition struct {
	Table  string
	Key    string
	Number int64 // bucket, thread, slot or seq
}

// Overhead is what a row takes besides its texts, about, names of columns and timestamps included.
const Overhead = 160

// BatchBytes bounds a batch: past it there is little to gain, and a node holds a batch in memory while it is written.
// Cassandra refuses batches of 50 KB, when they are of several partitions. It is some 90 posts, or 200 sends; a bound of 64
// rows besides was no faster (BenchmarkApply).
const BatchBytes = 32 << 10

// InFlight is how many batches one Write has under way. More of them do not make a ring of three nodes faster, and a node
// that is slow holds so many at the most.
const InFlight = 64

// Batched puts rows of one partition together, in batches that are small enough. A row too large for any goes alone.
func Batched(rows []Row) [][]ring.Write {
	type open struct{ index, bytes int }
	var batches [][]ring.Write
	fill := map[Partition]open{}
	for _, r := range rows {
		at, ok := fill[r.Partition]
		if !ok || at.bytes+r.Size > BatchBytes {
			at = open{index: len(batches)}
			batches = append(batches, nil)
		}
		batches[at.index] = append(batches[at.index], r.Write)
		at.bytes += r.Size
		fill[r.Partition] = at
	}
	return batches
}

// Writer writes to a Database, and counts.
type Writer struct {
	db            Database // immutable after NewWriter
	batches, rows atomic.Uint64
}

// NewWriter makes a Writer.
func NewWriter(db Database) *Writer { return &Writer{db: db} }

// Write writes rows of one partition together, different partitions at the same time. The first failure ends what is still
// to do.
func (w *Writer) Write(ctx context.Context, rows []Row) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(InFlight)
	for _, b := range Batched(rows) {
		group.Go(func() error {
			if err := w.db.Batch(ctx, b); err != nil {
				return err
			}
			w.batches.Add(1)
			w.rows.Add(uint64(len(b)))
			return nil
		})
	}
	return group.Wait()
}

// Counts is how many batches were written, a row alone is one too, and how many rows in them.
func (w *Writer) Counts() (batches, rows uint64) { return w.batches.Load(), w.rows.Load() }
