package receipt

import (
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

// Receipts is who got and read what, in a keyspace.
type Receipts struct {
	// Immutable after New.
	db     rows.Database
	writer *rows.Writer
}

var (
	_ store.ReadCursors   = (*Receipts)(nil)
	_ store.DeviceCursors = (*Receipts)(nil)
	_ store.Deliveries    = (*Receipts)(nil)
)

// New reads from db, and writes by writer.
func New(db rows.Database, writer *rows.Writer) *Receipts { return &Receipts{db: db, writer: writer} }

// cursorOf is the place that a version stands for.
func cursorOf(version int64) chat.Cursor {
	return chat.Cursor{Epoch: chat.Epoch(uint64(version) >> 48), Seq: chat.Version(version).Seq()}
}
