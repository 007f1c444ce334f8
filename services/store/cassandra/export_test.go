package cassandra

import (
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

// Database is what the tests put between a Messages and its ring.
type Database = rows.Database

// Through opens a Messages on the ring of m, with a memory of its own, and wrap's database in between.
func Through(m *Messages, limit int, wrap func(Database) Database) *Messages {
	return newMessages(m.ring, wrap(m.db), limit)
}

// Layout is the pure part of where rows lie.
type Layout struct{ of layout }

func (l Layout) Raised(seq chat.Seq, found, limit int64) Layout {
	return Layout{l.of.raised(seq, found, limit)}
}
func (l Layout) Decides(seq chat.Seq) bool      { return l.of.decides(seq) }
func (l Layout) BucketOf(seq chat.Seq) chat.Seq { return l.of.bucketOf(seq) }
func (l Layout) Begins() []chat.Seq             { return l.of.begins }
func (l Layout) Ceiling() chat.Seq              { return l.of.ceiling }
func (l Layout) Counted() chat.Seq              { return l.of.counted }

// LayoutOf is what m remembers of a channel.
func LayoutOf(m *Messages, channel chat.ChannelID) Layout { return Layout{m.places.known.of(channel)} }

// Cache is the memory of layouts.
type Cache = cache

// NewCache is a memory of so many buckets.
var NewCache = newCache

func (c *cache) Learn(channel chat.ChannelID, begins ...chat.Seq) {
	c.learn(channel, layout{begins: begins, ceiling: begins[len(begins)-1]})
}
func (c *cache) Of(channel chat.ChannelID) []chat.Seq { return c.of(channel).begins }

// SlotOf is where a post's send is written, and SlotsOf is where it is looked for.
var (
	SlotOf  = slotOf
	SlotsOf = slotsOf
)

const (
	SlotStep        = slotStep
	SlotReach       = slotReach
	BatchBytes      = rows.BatchBytes
	RaisesPerBucket = raisesPerBucket
	MaxStep         = maxStep
	UnnamedAtMost   = unnamedAtMost
)

// Planned is a row in a batch.
type Planned struct {
	Partition   string
	Bytes, Body int
}

// Plan is how Apply would write events, all in the bucket 0.
func Plan(events []event.Stored) [][]Planned {
	var all []rows.Row
	for i := range events {
		more, err := rowsOf(&events[i], 0)
		if err != nil {
			panic(err)
		}
		all = append(all, more...)
	}
	facts := map[*any]Planned{} // by the row's first argument, which is its own
	for _, r := range all {
		f := Planned{Partition: fmt.Sprintf("%s %s %d", r.Partition.Table, r.Partition.Key, r.Partition.Number), Bytes: r.Size}
		if r.Partition.Table == messagesByChannel {
			f.Body = len(r.Write.Args[9].(string))
		}
		facts[&r.Write.Args[0]] = f
	}
	var batches [][]Planned
	for _, b := range rows.Batched(all) {
		var planned []Planned
		for _, w := range b {
			planned = append(planned, facts[&w.Args[0]])
		}
		batches = append(batches, planned)
	}
	return batches
}

// MessageRows is the rows that posts are in messages_by_channel, in batches of so many.
func MessageRows(events []event.Stored, size int) [][]ring.Write {
	of := map[rows.Partition][]ring.Write{}
	for i := range events {
		all, err := rowsOf(&events[i], 0)
		if err != nil {
			panic(err)
		}
		of[all[0].Partition] = append(of[all[0].Partition], all[0].Write)
	}
	var batches [][]ring.Write
	for _, writes := range of {
		batches = slices.AppendSeq(batches, slices.Chunk(writes, size))
	}
	return batches
}
