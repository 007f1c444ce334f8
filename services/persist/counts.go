package persist

import (
	"maps"
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
	Healed  uint64                     // that were written again because the store was behind the consumer
	Last    map[streams.Shard]chat.Seq // the highest seq of each shard that the store took here
	Healing map[streams.Shard]uint64   // positions of the log that are to be written again; a shard without any is not in it
	Lost    map[streams.Shard]uint64   // positions that the log forgot before the store had them
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
	now.Last, now.Healing, now.Lost = maps.Clone(c.now.Last), maps.Clone(c.now.Healing), maps.Clone(c.now.Lost)
	return now
}

// noteHealing says how much of a shard is still to be written again.
func (c *counters) noteHealing(shard streams.Shard, left uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left == 0 {
		delete(c.now.Healing, shard)
		return
	}
	if c.now.Healing == nil {
		c.now.Healing = map[streams.Shard]uint64{}
	}
	c.now.Healing[shard] = left
}

// noteHealed counts events that were written again.
func (c *counters) noteHealed(events int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Healed += uint64(events)
}

// noteLost counts what the store will never have.
func (c *counters) noteLost(shard streams.Shard, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now.Lost == nil {
		c.now.Lost = map[streams.Shard]uint64{}
	}
	c.now.Lost[shard] += n
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
