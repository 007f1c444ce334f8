package ingest

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	maxAllIDs   = 1 << 20         // ids of all tails together; the one that was not used for longest goes first
	tailIdle    = 2 * time.Minute // a tail that nobody asks for is dropped
	maxScanning = 2               // searches beyond what a tail has room for, at once; more wait
)

var errForgotten = errors.New("the log has forgotten a part of what must be searched")

// tailKey names the log of a workspace.
type tailKey struct {
	shard     streams.Shard
	workspace chat.WorkspaceID
}

// tails holds the Msg-Ids of the ends of workspaces' logs, as far back as somebody asked. While the
// persister is an hour behind, every client that resends asks for that hour: it is read once, by one of
// them, and after that only what is new.
//
// What is new need not be read at each question: what was stored within the last part of the dedup window
// the log itself knows when the post is published. So a tail that reached the log's end window/4 ago is good
// enough, and the rest of the window is for the publish (its budget), and for a leader who told the end and did not know
// for some seconds that there was another one (bus.Log.LeaderLast): together far less than the three quarters that are left.
type tails struct {
	// immutable
	log   Log
	fresh time.Duration
	limit int
	seed  maphash.Seed
	scans chan struct{} // one token a search beyond a tail

	mu      sync.Mutex // guards what follows; never held while reading
	byKey   map[tailKey]*sharedTail
	sweepAt time.Time
}

// sharedTail is a tail and who reads it.
type sharedTail struct {
	tail
	usedAt  time.Time
	reading *reading // nil: nobody
}

// reading is one read of a tail to the log's end. Its leader sets err and then closes done.
type reading struct {
	done chan struct{}
	err  error
}

func newTails(log Log, window time.Duration) *tails {
	return &tails{
		log: log, fresh: window / 4, limit: maxTailIDs, seed: maphash.MakeSeed(),
		scans: make(chan struct{}, maxScanning), byKey: map[tailKey]*sharedTail{},
	}
}

func (t *tails) hash(msgID string) uint64 { return maphash.String(t.seed, msgID) }

// find looks for a Msg-Id in a workspace's log. 0: it was not stored within reach, except perhaps so lately
// that the log knows it. The error is Unavailable when that cannot be said.
func (t *tails) find(ctx context.Context, key tailKey, r reach, msgID string) (chat.Seq, error) {
	hash := t.hash(msgID)
	for {
		t.mu.Lock()
		s := t.byKey[key]
		if s == nil {
			s = &sharedTail{tail: tail{limit: t.limit}}
			t.byKey[key] = s
		}
		now := time.Now()
		s.usedAt = now
		s.prune(r.after)
		todo, seq := s.judge(hash, r, now, t.fresh)
		through := s.through
		var mine, joined *reading
		if todo == read {
			if joined = s.reading; joined == nil {
				mine = &reading{done: make(chan struct{})}
				s.reading = mine
			}
		}
		t.mu.Unlock()

		var err error
		switch {
		case todo == found || todo == absent:
			return seq, nil
		case todo == unknowable:
			return 0, unavailable(errForgotten, "it is not known whether this was sent before; try again")
		case todo == scan:
			return t.scan(ctx, key, through+1, msgID)
		case mine != nil:
			err = t.lead(ctx, key, s, r, mine)
		default:
			err = follow(ctx, joined)
		}
		if err != nil {
			return 0, err
		}
	}
}

// lead reads what is missing, for itself and for those who follow.
func (t *tails) lead(ctx context.Context, key tailKey, s *sharedTail, r reach, mine *reading) error {
	err := t.begin(ctx, key, s, r)
	if err == nil {
		err = t.fill(ctx, key, s)
	}
	t.mu.Lock()
	s.reading = nil
	t.evictLocked(s)
	t.mu.Unlock()
	mine.err = err
	close(mine.done)
	return err
}

// follow waits for a read by somebody else. What it failed with holds for the follower too, unless it was
// only the leader who gave up.
func follow(ctx context.Context, r *reading) error {
	select {
	case <-r.done:
		if errors.Is(r.err, context.Canceled) || errors.Is(r.err, context.DeadlineExceeded) || errors.Is(r.err, errForgotten) {
			return nil
		}
		return r.err
	case <-ctx.Done():
		return unavailable(context.Cause(ctx), "it took too long; try again")
	}
}

// begin sets where a tail begins, if it does not reach back far enough.
func (t *tails) begin(ctx context.Context, key tailKey, s *sharedTail, r reach) error {
	t.mu.Lock()
	reaches := s.reaches(r)
	t.mu.Unlock()
	if reaches {
		return nil
	}
	oldest, last, err := t.log.Bounds(ctx, key.shard)
	if err != nil {
		return err
	}
	from, fromAt, whole := r.after, time.Time{}, oldest <= r.after+1
	if !r.since.IsZero() {
		whole = true
		if from, fromAt, err = t.seek(ctx, key.shard, r.since, bounds{oldest, last}); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.begin(from, fromAt, whole)
	return nil
}

// fill reads a tail up to the log's end, which the stream's leader tells: a replica that lags ends earlier, and what it
// lacks can be older than the log remembers Msg-Ids. What the tail has when it fails is kept for the next.
func (t *tails) fill(ctx context.Context, key tailKey, s *sharedTail) error {
	filter, err := streams.ChatWorkspaceFilter(key.shard, key.workspace)
	if err != nil {
		return because(err)
	}
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		reached, err := t.fillOnce(ctx, key.shard, filter, s)
		if reached || err != nil {
			return err
		}
		if err := bus.Pause(ctx, wait); err != nil {
			return behind(err)
		}
	}
}

// fillOnce reads until the replicas show no more, and reports whether that is the log's end, or all that there is room for.
func (t *tails) fillOnce(ctx context.Context, shard streams.Shard, filter string, s *sharedTail) (reached bool, err error) {
	began := time.Now()
	end, err := t.log.LeaderLast(ctx, shard, filter)
	if err != nil {
		return false, err
	}
	for over := false; !over; {
		t.mu.Lock()
		q := bus.ReadQuery{Shard: shard, Filter: filter, From: s.through + 1}
		t.mu.Unlock()
		b, err := t.log.Read(ctx, q)
		if err != nil {
			return false, err
		}
		t.mu.Lock()
		over = s.merge(b, t.hash, logEnd{began, end})
		reached = s.full || s.through >= end
		t.mu.Unlock()
	}
	return reached, nil
}

// scan searches what no tail has room for. It is slow and right; few run at once.
func (t *tails) scan(ctx context.Context, key tailKey, from chat.Seq, msgID string) (chat.Seq, error) {
	filter, err := streams.ChatWorkspaceFilter(key.shard, key.workspace)
	if err != nil {
		return 0, because(err)
	}
	select {
	case t.scans <- struct{}{}:
		defer func() { <-t.scans }()
	case <-ctx.Done():
		return 0, unavailable(context.Cause(ctx), "too many sends are looked up; try again")
	}
	end, err := t.log.LeaderLast(ctx, key.shard, filter)
	if err != nil {
		return 0, err
	}
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		b, err := t.log.Read(ctx, bus.ReadQuery{Shard: key.shard, Filter: filter, From: from})
		if err != nil {
			return 0, err
		}
		for _, e := range b.Entries {
			if e.MsgID == msgID {
				return e.Seq, nil
			}
			from = e.Seq + 1
		}
		switch {
		case b.Pending > 0 && len(b.Entries) > 0:
			wait = firstPause
			continue
		case from > end:
			return 0, nil
		}
		if err := bus.Pause(ctx, wait); err != nil { // the replica lags
			return 0, behind(err)
		}
	}
}

func behind(err error) error {
	return unavailable(fmt.Errorf("no replica shows the log's end: %w", err), "the message log is behind; try again")
}

// bounds are the first and last event that a stream holds.
type bounds struct{ oldest, last chat.Seq }

// seek finds a position that everything which was stored since then lies after, and the time that this
// holds for. It prefers one that is twice as far back, so that whoever asks next for a little more finds it
// read. The error is Unavailable with errForgotten when the log does not go back to since.
func (t *tails) seek(ctx context.Context, shard streams.Shard, since time.Time, b bounds) (chat.Seq, time.Time, error) {
	oldestAt, any, err := t.atOrAfter(ctx, shard, b.oldest)
	if err != nil {
		return 0, time.Time{}, err
	}
	further := since.Add(-time.Since(since))
	switch {
	case b.oldest <= 1:
		if !any || !oldestAt.Before(further) {
			return 0, further, nil
		}
	case !any: // all is forgotten, and so is what was stored since
		return 0, time.Time{}, unavailable(errForgotten, "it is not known whether this was sent before; try again")
	case oldestAt.Before(further):
	case oldestAt.Before(since):
		return b.oldest - 1, since, nil
	default:
		return 0, time.Time{}, unavailable(errForgotten, "it is not known whether this was sent before; try again")
	}
	// All at or below low were stored before further, by the order of the log.
	low, high := b.oldest, b.last+1
	for low+1 < high {
		middle := low + (high-low)/2
		at, any, err := t.atOrAfter(ctx, shard, middle)
		if err != nil {
			return 0, time.Time{}, err
		}
		if any && at.Before(further) {
			low = middle
		} else {
			high = middle
		}
	}
	return low, further, nil
}

// atOrAfter is the time of the first event of a shard from seq on. It is false when there is none.
func (t *tails) atOrAfter(ctx context.Context, shard streams.Shard, seq chat.Seq) (time.Time, bool, error) {
	filter, err := streams.ChatShardFilter(shard)
	if err != nil {
		return time.Time{}, false, fault.Wrap(fault.Invalid, err, "there is no such log")
	}
	b, err := t.log.Read(ctx, bus.ReadQuery{Shard: shard, Filter: filter, From: seq, MaxEntries: 1})
	if err != nil || len(b.Entries) == 0 {
		return time.Time{}, false, err
	}
	return b.Entries[0].At, true, nil
}

// evictLocked drops the tails that were not used for longest until the rest has few enough ids; keep stays.
func (t *tails) evictLocked(keep *sharedTail) {
	for {
		total := 0
		var oldest tailKey
		var oldestAt time.Time
		for key, s := range t.byKey {
			total += len(s.ids)
			if s != keep && s.reading == nil && (oldestAt.IsZero() || s.usedAt.Before(oldestAt)) {
				oldest, oldestAt = key, s.usedAt
			}
		}
		if total <= maxAllIDs || oldestAt.IsZero() {
			return
		}
		delete(t.byKey, oldest)
	}
}

// dropIdle drops the tails that nobody asks for any more. Every Submit calls it; it is cheap.
func (t *tails) dropIdle(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.sweepAt) {
		return
	}
	t.sweepAt = now.Add(tailIdle / 4)
	for key, s := range t.byKey {
		if s.reading == nil && now.Sub(s.usedAt) > tailIdle {
			delete(t.byKey, key)
		}
	}
}
