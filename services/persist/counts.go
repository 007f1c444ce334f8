package persist

import (
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Counts is what a Persister did since it began.
type Counts struct {
	Batches uint64                     // that the store took
	Events  uint64                     // that the store took; one that was delivered again counts again
	Parked  uint64                     // that can never be read or stored
	Retried uint64                     // that the store refused alone, and that come again
	Kept    uint64                     // times that a delete waited because its texts could not be erased yet
	Held    uint64                     // times that a batch was held because the store did not take it
	Last    map[streams.Shard]chat.Seq // the highest seq of each shard that the store took here
}

// counters are Counts as they grow.
type counters struct {
	mu  sync.Mutex // guards now
	now Counts
}

// Counts is what the Persister did so far.
func (p *Persister) Counts() Counts {
	c := &p.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now
	now.Last = make(map[streams.Shard]chat.Seq, len(c.now.Last))
	for shard, seq := range c.now.Last {
		now.Last[shard] = seq
	}
	return now
}

// noteHeld counts a batch that the store did not take.
func (c *counters) noteHeld() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Held++
}

// noteStored counts the events that the store took, and tells how long after the log each was there.
func (p *Persister) noteStored(shard streams.Shard, events []event.Stored) {
	if len(events) == 0 {
		return
	}
	now := time.Now()
	c := &p.counters
	c.mu.Lock()
	if c.now.Last == nil {
		c.now.Last = map[streams.Shard]chat.Seq{}
	}
	c.now.Batches++
	c.now.Events += uint64(len(events))
	for i := range events {
		c.now.Last[shard] = max(c.now.Last[shard], events[i].Seq)
	}
	c.mu.Unlock()
	for i := range events {
		p.behind(now.Sub(events[i].At))
	}
}

// noteOutcomes counts what became of a batch besides being stored.
func (c *counters) noteOutcomes(outcomes []bus.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range outcomes {
		switch o.Kind {
		case bus.KindPark:
			c.now.Parked++
		case bus.KindRetry:
			c.now.Retried++
		case bus.KindKeep:
			c.now.Kept++
		case bus.KindDone: // it is among Events
		}
	}
}
