package deadletter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/dlq"
)

// rounds look at all consumers again and again. Looking is quick and is not held up by looking up what is suspect, which each consumer has a
// goroutine of its own for.
type rounds struct {
	s    *Service
	all  []*watched
	told *watched // the consumer of ADVISORIES, which is among all

	// owned by run
	shape   *dlq.Shape // of ADVISORIES in the last round; nil: not known
	handled chat.Seq   // what told was done with then
}

// watched is a consumer that is looked at.
type watched struct {
	stream, consumer string // immutable

	mu       sync.Mutex // guards what follows
	suspects suspects
	loaded   bool    // suspects go on from what the bucket says
	attempts int     // that the consumer makes
	saved    checked // what the bucket says
	shape    *dlq.Shape
}

// checked is what the bucket keeps of a consumer.
type checked struct {
	Mark    chat.Seq   `json:"mark"`
	Suspect chat.Seq   `json:"suspect,omitempty"`    // up to here, from Mark
	Shape   *dlq.Shape `json:"advisories,omitempty"` // of ADVISORIES, with its own consumer alone
}

func newRounds(s *Service) *rounds {
	r := &rounds{s: s}
	for _, stream := range streams.Streams() {
		consumers, err := streams.Consumers(stream)
		if err != nil {
			panic(err) // the only cause would be a name of package streams
		}
		for _, consumer := range consumers {
			w := &watched{stream: stream, consumer: consumer}
			if stream == streams.StreamAdvisories {
				r.told = w
			}
			r.all = append(r.all, w)
		}
	}
	return r
}

// run looks until ctx ends.
func (r *rounds) run(ctx context.Context) error {
	var checking sync.WaitGroup
	defer checking.Wait()
	for _, w := range r.all {
		checking.Go(func() { r.s.checkOn(ctx, w) })
	}
	for {
		r.round(ctx)
		if bus.Pause(ctx, r.s.every) != nil {
			return nil
		}
	}
}

// round looks at every consumer, and then at ADVISORIES: what it holds then tells of everything below the floors that were seen.
func (r *rounds) round(ctx context.Context) {
	for _, w := range r.all {
		if err := r.s.look(ctx, w); err != nil && ctx.Err() == nil {
			r.s.log.Debug("a consumer is looked at again later", "stream", w.stream, "consumer", w.consumer, "err", err)
		}
	}
	shape, err := r.s.queue.ShapeOf(ctx, streams.StreamAdvisories)
	if err != nil {
		return // nothing is known to be told
	}
	handled, known := r.told.floor()
	if !known {
		return
	}
	before := r.shape
	if before == nil {
		before = r.told.shapeBefore()
	}
	if before == nil || lost(*before, shape, r.handled) {
		r.s.log.Info("notes of what ended may be lost: everything since is looked up", "before", before, "now", shape)
		for _, w := range r.all {
			w.with(func() { w.suspects.doubt() })
		}
	}
	r.shape, r.handled = &shape, handled
	for _, w := range r.all {
		w.with(func() {
			if w == r.told { // nobody tells of it
				w.suspects.tell(0, 0)
				w.shape = &shape
				return
			}
			w.suspects.tell(shape.Last, handled)
		})
		if err := r.s.save(ctx, w); err != nil {
			r.s.log.Debug("how far a consumer was found whole is saved later", "stream", w.stream, "consumer", w.consumer, "err", err)
		}
	}
	r.s.counters.note(func(c *Counts) { c.Passes++ })
}

// lost reports whether ADVISORIES lost messages between two looks that nobody may have handled.
func lost(before, now dlq.Shape, handled chat.Seq) bool {
	return !now.Created.Equal(before.Created) || now.Last < before.Last || now.Deleted > before.Deleted || now.First > max(before.First, handled+1)
}

func (w *watched) with(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// floor is what a consumer was done with when it was looked at last.
func (w *watched) floor() (floor chat.Seq, known bool) {
	w.with(func() {
		if n := len(w.suspects.past); n > 0 {
			floor, known = w.suspects.past[n-1].floor, true
		}
	})
	return floor, known
}

// shapeBefore is the shape of ADVISORIES that a process before this one saw; nil: none did.
func (w *watched) shapeBefore() (shape *dlq.Shape) {
	w.with(func() { shape = w.saved.Shape })
	return shape
}

// look takes a sample of a consumer.
func (s *Service) look(ctx context.Context, w *watched) error {
	if err := s.load(ctx, w); err != nil {
		return err
	}
	reach, err := consume.Reached(ctx, s.conn, w.stream, w.consumer)
	if err != nil {
		return err
	}
	more := false
	w.with(func() {
		w.attempts = reach.MaxDeliver
		more = w.suspects.look(sample{
			at: time.Now(), floor: reach.Floor, delivered: reach.Delivered, redelivered: reach.Redelivered,
			dying: reach.Dying, once: reach.MaxDeliver == 1,
		}, s.longest)
	})
	if more {
		s.counters.note(func(c *Counts) { grow(&c.Suspicions, w.consumer, 1) })
	}
	return nil
}

// load goes on where the bucket says that somebody came to. Without that everything is suspect, from the beginning.
func (s *Service) load(ctx context.Context, w *watched) error {
	loaded := false
	w.with(func() { loaded = w.loaded })
	if loaded {
		return nil
	}
	key, err := streams.CheckedKey(w.stream, w.consumer)
	if err != nil {
		return err
	}
	var c checked
	entry, err := s.bucket.Get(ctx, key)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(entry.Value, &c); err != nil {
			s.log.Warn("the bucket deadletters holds what is no mark", "key", key, "err", err)
			c = checked{}
		}
	}
	w.with(func() { w.loaded, w.saved, w.suspects = true, c, suspects{mark: c.Mark, upto: c.Suspect} })
	return nil
}

// save keeps how far a consumer was found whole, and what is suspect, if that changed.
func (s *Service) save(ctx context.Context, w *watched) error {
	var now checked
	same := false
	w.with(func() {
		now = checked{Mark: w.suspects.mark, Shape: w.shape}
		if w.suspects.upto > now.Mark {
			now.Suspect = w.suspects.upto
		}
		same = !w.loaded || now.Mark == w.saved.Mark && now.Suspect == w.saved.Suspect && sameShape(now.Shape, w.saved.Shape)
	})
	if same {
		return nil
	}
	key, err := streams.CheckedKey(w.stream, w.consumer)
	if err != nil {
		return err
	}
	b, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if _, err := s.bucket.Put(ctx, key, b); err != nil {
		return err
	}
	w.with(func() { w.saved = now })
	return nil
}

func sameShape(a, b *dlq.Shape) bool { return a == b || a != nil && b != nil && *a == *b }

// checkOn looks up what is suspect of a consumer, for as long as ctx lasts.
func (s *Service) checkOn(ctx context.Context, w *watched) {
	for ctx.Err() == nil {
		more, err := s.check(ctx, w)
		if err != nil && ctx.Err() == nil {
			s.log.Info("suspect events are looked up again later", "stream", w.stream, "consumer", w.consumer, "err", err)
		}
		if more && err == nil {
			continue
		}
		if bus.Pause(ctx, s.every) != nil {
			return
		}
	}
}

// check looks up the next page of suspects. more: there may be others at once.
func (s *Service) check(ctx context.Context, w *watched) (more bool, err error) {
	var from, to chat.Seq
	attempts := 0
	w.with(func() { from, to = w.suspects.open(); attempts = w.attempts })
	if from > to {
		return false, nil
	}
	if w.stream != streams.StreamAdvisories && s.evidence[w.consumer] == nil {
		s.counters.note(func(c *Counts) { grow(&c.Unproven, w.consumer, uint64(to+1-from)) })
		w.with(func() { w.suspects.clear(to) })
		return false, nil
	}
	entries, err := s.queue.Entries(ctx, w.stream, from, to)
	if err != nil {
		return false, err
	}
	if n := len(entries); n > 0 {
		if err := s.lookUp(ctx, w, entries, attempts); err != nil {
			return false, err
		}
		to = entries[n-1].Seq
		s.counters.note(func(c *Counts) { grow(&c.Checked, w.consumer, uint64(n)) })
	}
	w.with(func() { w.suspects.clear(to) })
	return true, nil
}

// lookUp makes letters of what a consumer did not deal with.
func (s *Service) lookUp(ctx context.Context, w *watched, entries []bus.Entry, attempts int) error {
	if w.stream == streams.StreamAdvisories {
		return s.again(ctx, entries)
	}
	missing, err := s.evidence[w.consumer].Missing(ctx, entries)
	if err != nil {
		return err
	}
	for _, e := range missing {
		p := bus.Parked{
			Stream: w.stream, Consumer: w.consumer, Seq: e.Seq, Deliveries: attempts, At: time.Now().UTC(),
			Reason: "nobody said why: the consumer is past it, and did not do what it is there for",
		}
		if err := s.told(ctx, p, dlq.FoundReconciliation); err != nil {
			return err
		}
	}
	return nil
}

// again handles messages of ADVISORIES that its consumer may have given up.
func (s *Service) again(ctx context.Context, entries []bus.Entry) error {
	batch := make([]bus.Delivery, len(entries))
	for i, e := range entries {
		batch[i] = bus.Delivery{Entry: e}
	}
	outcomes, err := s.take(ctx, batch)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(outcomes, func(o bus.Outcome) bool { return o.Kind == bus.KindRetry }); i >= 0 {
		return bus.Unavailable(fmt.Errorf("message %d of %s: %s", entries[i].Seq, streams.StreamAdvisories, outcomes[i].Reason))
	}
	return nil
}
