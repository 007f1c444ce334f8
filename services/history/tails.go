package history

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Bounds of what is kept of logs in memory.
const (
	DefaultTailBytes = 4 << 20  // of one channel: some thousand events
	DefaultBytes     = 64 << 20 // of all; the channel that was not read for longest goes first

	tailIdle    = 10 * time.Minute // a tail that nobody reads is dropped; far below the log's own age limit
	oldestFresh = 5 * time.Second  // how long the first event of a shard counts as known
	staleTries  = 6                // questions to replicas that are behind, with growing pauses: 0.6 s together
	stalePause  = 5 * time.Millisecond
	readTries   = 3 // reads of one reader, when others change the tail in between
)

var (
	errBehind = errors.New("no replica shows the channel's last event")
	errBusy   = errors.New("the cached tail changes too fast")
)

// tailKey names a cached tail: the one after the store's progress, or the window at the log's end that
// answers without the store.
type tailKey struct {
	subject string
	window  bool
}

// tails keeps the tails that were read last, so that while the persister is an hour behind a page reads only
// what is new since the page before. Nothing here is older than its log: what a page needs is always up to
// a position that was asked for it.
type tails struct {
	// immutable
	log       Log
	tailBytes int
	bytes     int

	mu      sync.Mutex // guards what follows; never held while reading
	byKey   map[tailKey]*sharedTail
	sweepAt time.Time
	oldest  map[streams.Shard]oldest
}

// oldest is the first event that a shard's log held at a moment.
type oldest struct {
	seq chat.Seq
	at  time.Time
}

// sharedTail is a tail and who reads it.
type sharedTail struct {
	tail
	usedAt  time.Time
	reading *reading // nil: nobody
}

// reading is one read. Its leader sets err and then closes done.
type reading struct {
	done chan struct{}
	err  error
}

func newTails(cfg Config) *tails {
	t := &tails{
		log: cfg.Log, tailBytes: cfg.TailBytes, bytes: cfg.Bytes,
		byKey: map[tailKey]*sharedTail{}, oldest: map[streams.Shard]oldest{},
	}
	if t.tailBytes <= 0 {
		t.tailBytes = DefaultTailBytes
	}
	if t.bytes <= 0 {
		t.bytes = DefaultBytes
	}
	return t
}

// known is what was read before of what is after a position.
func (t *tails) known(key tailKey, after chat.Seq) piece {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.byKey[key]; s != nil && s.covers(after) {
		return s.piece()
	}
	return piece{from: after, through: after, whole: true}
}

// read reads a tail for s, or joins whoever reads it already. Joining is right whenever that one began:
// what counts in the end is whether the tail holds s.upTo, which was asked for s alone. An error comes with
// what there is all the same.
func (t *tails) read(ctx context.Context, key tailKey, shard streams.Shard, s span) (piece, error) {
	for tries := 0; ; {
		t.mu.Lock()
		t.dropIdleLocked(time.Now())
		shared := t.byKey[key]
		if shared == nil {
			shared = &sharedTail{tail: tail{limit: t.tailBytes}}
			t.byKey[key] = shared
		}
		shared.usedAt = time.Now()
		shared.trim(s.after)
		if shared.serves(s) {
			p := shared.piece()
			t.mu.Unlock()
			return p, nil
		}
		joined := shared.reading
		var mine *reading
		if joined == nil && tries < readTries {
			mine = &reading{done: make(chan struct{})}
			shared.reading = mine
		}
		t.mu.Unlock()

		var err error
		switch {
		case mine != nil:
			tries++
			err = t.lead(ctx, shared, mine, question{key, shard, s})
		case joined != nil:
			select {
			case <-joined.done:
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		default: // each time, somebody else made the tail begin later before we looked
			err = errBusy
		}
		if err != nil {
			return t.known(key, s.after), err
		}
	}
}

// question is what one read is for.
type question struct {
	key   tailKey
	shard streams.Shard
	span
}

func (t *tails) lead(ctx context.Context, s *sharedTail, mine *reading, q question) error {
	err := t.begin(ctx, s, q)
	if err == nil {
		err = t.extend(ctx, s, q)
	}
	t.mu.Lock()
	s.reading = nil
	t.evictLocked(s)
	t.mu.Unlock()
	mine.err = err
	close(mine.done)
	return err
}

// begin makes the tail begin at q.after, unless it covers that.
func (t *tails) begin(ctx context.Context, s *sharedTail, q question) error {
	t.mu.Lock()
	covers := s.covers(q.after)
	t.mu.Unlock()
	if covers {
		return nil
	}
	first, err := t.first(ctx, q.shard)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.begin(q.after, first <= q.after+1)
	return nil
}

// first is the first event that the log of a shard holds. It grows only by age, so that one which was asked
// for some seconds ago misjudges nothing but a store that is as far behind as the log goes back.
func (t *tails) first(ctx context.Context, shard streams.Shard) (chat.Seq, error) {
	t.mu.Lock()
	known, ok := t.oldest[shard]
	t.mu.Unlock()
	asked := time.Now()
	if ok && asked.Sub(known.at) < oldestFresh {
		return known.seq, nil
	}
	first, _, err := t.log.Bounds(ctx, shard)
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.oldest[shard] = oldest{first, asked}
	return first, nil
}

// extend reads on until the tail holds q.upTo or has no room. A replica may be behind the leader who told
// q.upTo: then another question, a little later, finds one that is not.
func (t *tails) extend(ctx context.Context, s *sharedTail, q question) error {
	for tries := 0; ; {
		t.mu.Lock()
		from, done := s.through+1, s.through >= q.upTo || s.over
		t.mu.Unlock()
		if done {
			return nil
		}
		b, err := t.log.Read(ctx, bus.ReadQuery{Shard: q.shard, Filter: q.key.subject, From: from})
		if err != nil {
			return err
		}
		t.mu.Lock()
		s.add(b.Entries)
		t.mu.Unlock()
		if len(b.Entries) > 0 {
			continue
		}
		if tries++; tries > staleTries {
			return errBehind
		}
		if err := bus.Pause(ctx, stalePause<<tries); err != nil {
			return err
		}
	}
}

// evictLocked drops the tails that were not read for longest until the rest is small enough; keep stays.
func (t *tails) evictLocked(keep *sharedTail) {
	for {
		total := 0
		var last tailKey
		var lastAt time.Time
		for key, s := range t.byKey {
			total += s.bytes + eventCost
			if s != keep && s.reading == nil && (lastAt.IsZero() || s.usedAt.Before(lastAt)) {
				last, lastAt = key, s.usedAt
			}
		}
		if total <= t.bytes || lastAt.IsZero() {
			return
		}
		delete(t.byKey, last)
	}
}

func (t *tails) dropIdleLocked(now time.Time) {
	if now.Before(t.sweepAt) {
		return
	}
	t.sweepAt = now.Add(tailIdle / 10)
	for key, s := range t.byKey {
		if s.reading == nil && now.Sub(s.usedAt) > tailIdle {
			delete(t.byKey, key)
		}
	}
}
