package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Pauses between two questions for an event that is stored and that the replica which answered does not have yet.
const (
	firstPause = 5 * time.Millisecond
	maxPause   = 200 * time.Millisecond
)

// LogStamps reads timestamps from the log itself: a round trip for each. A gateway has them in its rings.
type LogStamps struct{ log Log }

// NewLogStamps makes a LogStamps.
func NewLogStamps(log Log) LogStamps { return LogStamps{log} }

// StampOf reads the event's timestamp. The event is stored.
func (s LogStamps) StampOf(ctx context.Context, _ chat.WorkspaceID, shard streams.Shard, seq chat.Seq) (time.Time, error) {
	e, err := stored(ctx, s.log, shard, seq)
	return e.At, err
}

// stored reads an event that is known to be in the log: a replica that does not have it is behind, and is
// asked again until ctx ends. Then the error is Unavailable.
func stored(ctx context.Context, log Log, shard streams.Shard, seq chat.Seq) (bus.Entry, error) {
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		e, err := log.Get(ctx, shard, seq)
		if !fault.Is(err, fault.NotFound) {
			return e, err
		}
		if err := bus.Pause(ctx, wait); err != nil {
			return bus.Entry{}, unavailable(fmt.Errorf("no replica shows %d: %w", seq, err), "the message log is behind; try again")
		}
	}
}
