package limit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards       = 64 // locks; a power of two
	looks        = 8  // buckets that are looked at for each key that comes, to find idle ones
	DefaultLimit = 1 << 16
)

// Config is what a Limits is told.
type Config struct {
	Rate Rate
	Max  int // keys that are remembered, about; 0: DefaultLimit
}

// Limits is a bucket for each key. It may be used by many goroutines at once.
//
// It remembers about Max keys. Each key that comes makes it look at a few others and forget those whose buckets are
// full again, which changes nothing for them. When it is full of busy keys, a key that it does not know is not let in
// for free: it shares one bucket with all such keys of its shard (a 64th of all), until a key goes. So many keys at
// once, such as a crowd of addresses that somebody makes up, never get more than the memory and about 64 times the rate
// of one key together, and whoever is known already keeps their own bucket.
type Limits[K comparable] struct {
	// immutable after New
	rate  Rate
	most  int // keys of one shard
	epoch time.Time
	seed  maphash.Seed

	shards  [shards]shard[K]
	evicted atomic.Uint64
	crowded atomic.Uint64
}

// shard is a part of the keys, under a lock of its own.
type shard[K comparable] struct {
	mu     sync.Mutex    // guards what follows
	latest time.Duration // that was given for any key: goroutines that overtake each other make no key's time go back
	of     map[K]int     // the place of a key in slots
	slots  []slot[K]
	hand   int    // the slot that is looked at next
	crowd  Bucket // of all keys that have no slot
}

type slot[K comparable] struct {
	key    K
	bucket Bucket
}

// New makes a Limits. Times are counted from epoch, such as that of the start: earlier ones that Allow is given count
// as that. One with a monotonic reading makes it deaf to changes of the wall clock.
func New[K comparable](cfg Config, epoch time.Time) *Limits[K] {
	if cfg.Max <= 0 {
		cfg.Max = DefaultLimit
	}
	l := &Limits[K]{rate: cfg.Rate, most: max(1, (cfg.Max+shards-1)/shards), epoch: epoch, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].of = map[K]int{}
	}
	return l
}

// Allow takes n from the bucket of key at now, if it holds so many. If not, nothing is taken, and retryAfter is how
// long after now it will hold them, if nothing else is taken meanwhile; Never if n is more than a burst. Without a
// limit, or for n below 1, it always allows.
func (l *Limits[K]) Allow(key K, n int, now time.Time) (ok bool, retryAfter time.Duration) {
	if !l.rate.Limited() || n < 1 {
		return true, 0
	}
	given := min(max(now.Sub(l.epoch), 0), maxSpan)
	s := &l.shards[maphash.Comparable(l.seed, key)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = max(s.latest, given)
	ok, retryAfter = s.bucket(l, key).Take(l.rate, n, s.latest)
	if !ok && retryAfter != Never {
		retryAfter += s.latest - given
	}
	return ok, retryAfter
}

// bucket is that of key: its own, or the crowd's. It needs mu.
func (s *shard[K]) bucket(l *Limits[K], key K) *Bucket {
	if i, known := s.of[key]; known {
		return &s.slots[i].bucket
	}
	l.evicted.Add(s.sweep())
	if len(s.slots) >= l.most {
		l.crowded.Add(1)
		return &s.crowd
	}
	s.of[key] = len(s.slots)
	s.slots = append(s.slots, slot[K]{key: key}) // the zero Bucket is full
	return &s.slots[len(s.slots)-1].bucket
}

// sweep forgets those of the next few keys whose buckets are full, and returns how many. It needs mu.
func (s *shard[K]) sweep() (gone uint64) {
	for range min(looks, len(s.slots)) {
		if s.hand >= len(s.slots) {
			s.hand = 0
		}
		if len(s.slots) == 0 || !s.slots[s.hand].bucket.idle(s.latest) {
			s.hand++
			continue
		}
		delete(s.of, s.slots[s.hand].key)
		end := len(s.slots) - 1
		if s.hand != end { // the last one takes its place, and is looked at next
			s.slots[s.hand] = s.slots[end]
			s.of[s.slots[s.hand].key] = s.hand
		}
		s.slots[end] = slot[K]{} // a key may hold memory
		s.slots = s.slots[:end]
		gone++
	}
	return gone
}

// Counts is what a Limits has done since it was made.
type Counts struct {
	Keys    int    // that are remembered now
	Evicted uint64 // keys that were forgotten, their buckets full
	Crowded uint64 // questions for a key that found no room of its own
}

// Counts are the counts now.
func (l *Limits[K]) Counts() Counts {
	c := Counts{Evicted: l.evicted.Load(), Crowded: l.crowded.Load()}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		c.Keys += len(s.slots)
		s.mu.Unlock()
	}
	return c
}
