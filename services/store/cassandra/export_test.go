package cassandra

import (
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// Database is what the tests put between a Messages and its ring.
type Database = database

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
	BatchBytes      = batchBytes
	RaisesPerBucket = raisesPerBucket
	MaxStep         = maxStep
)

// Planned is a row in a batch.
type Planned struct {
	Partition   string
	Bytes, Body int
}

// Plan is how Apply would write events, all in the bucket 0.
func Plan(events []event.Stored) [][]Planned {
	var rows []row
	for i := range events {
		more, err := rowsOf(&events[i], 0)
		if err != nil {
			panic(err)
		}
		rows = append(rows, more...)
	}
	names := map[table]string{messagesByChannel: "messages_by_channel", repliesByThread: "replies_by_thread",
		pinsByChannel: "pins_by_channel", sendsByClientID: "sends_by_client_id"}
	facts := map[*any]Planned{} // by the row's first argument, which is its own
	for _, r := range rows {
		f := Planned{Partition: fmt.Sprintf("%s %s %d", names[r.partition.table], r.partition.key, r.partition.number), Bytes: r.size}
		if r.partition.table == messagesByChannel {
			f.Body = len(r.write.Args[9].(string))
		}
		facts[&r.write.Args[0]] = f
	}
	var all [][]Planned
	for _, b := range batched(rows) {
		var planned []Planned
		for _, w := range b {
			planned = append(planned, facts[&w.Args[0]])
		}
		all = append(all, planned)
	}
	return all
}

// MessageRows is the rows that posts are in messages_by_channel, in batches of so many.
func MessageRows(events []event.Stored, size int) [][]ring.Write {
	of := map[partition][]ring.Write{}
	for i := range events {
		rows, err := rowsOf(&events[i], 0)
		if err != nil {
			panic(err)
		}
		of[rows[0].partition] = append(of[rows[0].partition], rows[0].write)
	}
	var batches [][]ring.Write
	for _, writes := range of {
		batches = slices.AppendSeq(batches, slices.Chunk(writes, size))
	}
	return batches
}
