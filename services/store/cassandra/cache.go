package cassandra

import (
	"container/list"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
)

// cachedBuckets is how many buckets, of all channels together, a process remembers: some 20 MB. The channels used longest
// ago go first; one that is asked for again costs one small read.
const cachedBuckets = 1 << 17

// cache is the layouts of the channels that were used last.
type cache struct {
	limit int // buckets

	mu      sync.Mutex
	buckets int                              // guarded by mu
	used    *list.List                       // guarded by mu; of *shelf, the one used last in front
	shelves map[chat.ChannelID]*list.Element // guarded by mu
}

type shelf struct {
	channel chat.ChannelID
	layout  layout
}

func newCache(limit int) *cache {
	return &cache{limit: limit, used: list.New(), shelves: map[chat.ChannelID]*list.Element{}}
}

// of is what is known of a channel; an empty layout: nothing.
func (c *cache) of(channel chat.ChannelID) layout {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.shelves[channel]
	if at == nil {
		return layout{}
	}
	c.used.MoveToFront(at)
	return at.Value.(*shelf).layout
}

// learn takes what a read or a write told of a channel, and returns what is known then. Answers may come in any
// order; an older one changes nothing. That a channel has no rows is not kept, for it may change.
func (c *cache) learn(channel chat.ChannelID, l layout) layout {
	if len(l.begins) == 0 {
		return l
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.shelves[channel]
	if at == nil {
		at = c.used.PushFront(&shelf{channel: channel})
		c.shelves[channel] = at
	}
	s := at.Value.(*shelf)
	if l.newerThan(s.layout) {
		c.buckets += len(l.begins) - len(s.layout.begins)
		s.layout = l
	}
	c.used.MoveToFront(at)
	known := s.layout
	for c.buckets > c.limit && c.used.Len() > 1 {
		oldest := c.used.Remove(c.used.Back()).(*shelf)
		delete(c.shelves, oldest.channel)
		c.buckets -= len(oldest.layout.begins)
	}
	return known
}
