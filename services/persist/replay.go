package persist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	replayNote     = 2 * time.Second        // between two records of a replay's progress
	replayPatience = 2 * time.Minute        // how long a store or a log that is down may hold a replay up
	replayFirst    = 100 * time.Millisecond // the pause of a replay that is held up doubles from here
	replayCap      = 5 * time.Second        // up to here
	replayStale    = 8                      // questions to replicas that do not show the end yet
)

// ReplayLog is the log that a replay reads; *bus.Log is one.
type ReplayLog interface {
	Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error) // of any replica: it may lag
	LeaderLast(ctx context.Context, shard streams.Shard, subject string) (chat.Seq, error)
	Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
}

// ReplayConfig says what to write again.
type ReplayConfig struct {
	Log   ReplayLog
	Store Store
	Shard streams.Shard
	From  chat.Seq // the first event; 0: the first one that the log holds
	To    chat.Seq // the last one; 0: the log's last as it is when the replay begins

	// LeaveHole allows From to be beyond what the store has. What lies between is then missing there.
	LeaveHole bool

	Begin  func(total int) // is told how many positions there are, once; nil: nobody
	Step   func(n int)     // is told of positions that are done; nil: nobody
	Logger *slog.Logger    // nil: slog.Default
}

// Replayed says what a replay did.
type Replayed struct {
	From, To chat.Seq // what was to be written; To before From: nothing
	Next     chat.Seq // where another one must go on; To+1: this one did everything
	Events   int      // that the store took
	Skipped  int      // that are no events or that the store can never take; the persister parks them
	Noted    bool     // the store's progress says so, too
}

// Done reports whether nothing is left.
func (r Replayed) Done() bool { return r.Next > r.To }

// ErrGone is wrapped by the error about a From that the log does not hold any more.
var ErrGone = errors.New("the log does not go back so far")

// ErrHole is wrapped by the error about a From beyond what the store has.
var ErrHole = errors.New("events would be missing in the store")

// Replay writes the history of one shard again, from the log, in its order. It may run beside persisters and readers,
// and be stopped anywhere: writing again changes nothing, so the next one goes on from Replayed.Next, or from the start.
//
// The store becomes what it was, but for what the log does not hold any more: what it forgot by age, and the posts of
// deleted messages, whose texts were erased from it. Where such a message stood, an empty store shows nothing, instead
// of a deleted message.
//
// The store's progress says that everything up to it has been applied. A replay moves it to what it has written when
// nothing that the log holds was left out before From: From is at most one beyond the progress, or is the log's first
// event. In the second case, what is between was forgotten by the log and no replay can bring it, so that only LeaveHole
// allows it; but what there is is then complete as far as the log goes, and history may say so. Otherwise progress stays
// where it is, until a replay without a hole.
//
// The error is a *fault.Error when the log or the store is down for too long, ctx's when that ended; Replayed is right
// with any error.
func Replay(ctx context.Context, cfg ReplayConfig) (Replayed, error) {
	r := newReplay(cfg)
	if err := r.plan(ctx); err != nil {
		return r.done, err
	}
	r.Begin(int(r.done.To + 1 - r.done.From))
	err := r.run(ctx)
	if r.notes {
		// What was written is recorded also when ctx has ended; this must not wait for ever.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		r.done.Noted = r.note(last)
	}
	return r.done, err
}

// PlanReplay says what Replay would do now, or why it would refuse. It writes nothing.
func PlanReplay(ctx context.Context, cfg ReplayConfig) (Replayed, error) {
	r := newReplay(cfg)
	err := r.plan(ctx)
	return r.done, err
}

func newReplay(cfg ReplayConfig) *replay {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Begin == nil {
		cfg.Begin = func(int) {}
	}
	if cfg.Step == nil {
		cfg.Step = func(int) {}
	}
	return &replay{ReplayConfig: cfg, patience: replayPatience}
}

// replay is a Replay on its way.
type replay struct {
	ReplayConfig
	patience time.Duration // with a store or a log that is down
	filter   string        // of everything in the shard
	notes    bool          // progress may be recorded
	heals    bool          // what the log forgets meanwhile ends it, also at the log's end
	noted    time.Time
	done     Replayed

	// judge says what becomes of events of a page that the store refused one by one; nil: it is passed over. nil: what can
	// never be stored is passed over, anything else ends the replay.
	judge func(refused []refusal, of int) error
}

// refusal is an event that the store did not take.
type refusal struct {
	seq chat.Seq
	err error
}

// aim says what is read.
func (r *replay) aim() (err error) {
	r.filter, err = streams.ChatShardFilter(r.Shard)
	return err
}

// plan looks at what there is, and refuses what would leave a hole that nobody asked for.
func (r *replay) plan(ctx context.Context) (err error) {
	if err := r.aim(); err != nil {
		return err
	}
	first, last, err := r.Log.Bounds(ctx, r.Shard)
	if err != nil {
		return fmt.Errorf("bounds of shard %d: %w", r.Shard, err)
	}
	from, to := r.From, last
	if from == 0 {
		from = first
	}
	if r.To != 0 {
		to = min(r.To, last)
	}
	if from < first {
		return fmt.Errorf("from %d: %w: the log of shard %d holds %s", from, ErrGone, r.Shard, span(first, last))
	}
	if from > last+1 {
		return fmt.Errorf("from %d: %w: the log of shard %d holds %s", from, ErrNotYet, r.Shard, span(first, last))
	}
	progress, err := r.Store.Progress(ctx, r.Shard)
	if err != nil {
		return fmt.Errorf("progress of shard %d: %w", r.Shard, err)
	}
	if from > progress+1 && !r.LeaveHole {
		return fmt.Errorf("from %d: %w: the store has shard %d up to %d, and the log holds %s",
			from, ErrHole, r.Shard, progress, span(first, last))
	}
	r.notes = from <= max(progress+1, first)
	r.done = Replayed{From: from, To: max(to, from-1), Next: from}
	return nil
}

// ErrNotYet is wrapped by the error about a From that the log has not come to.
var ErrNotYet = errors.New("the log does not go so far")

func span(first, last chat.Seq) string {
	if first > last {
		return "nothing"
	}
	return fmt.Sprintf("%d to %d", first, last)
}

// run reads and writes a page after the other.
func (r *replay) run(ctx context.Context) error {
	for stale := 0; !r.done.Done(); {
		var b bus.Batch
		err := r.patiently(ctx, "read the log", func(ctx context.Context) (err error) {
			b, err = r.Log.Read(ctx, bus.ReadQuery{Shard: r.Shard, Filter: r.filter, From: r.done.Next})
			return err
		})
		if err != nil {
			return err
		}
		if err := r.checkForgotten(ctx, b); err != nil {
			return err
		}
		upTo, entries := r.page(b)
		if err := r.write(ctx, entries); err != nil {
			return err
		}
		if upTo >= r.done.Next {
			r.step(ctx, upTo)
			stale = 0
			continue
		}
		over, err := r.atEnd(ctx, stale)
		if err != nil {
			return err
		}
		if over {
			r.step(ctx, r.done.To)
		}
		stale++
	}
	return nil
}

// checkForgotten refuses to go on when the log forgot events by age before they were read. At the beginning that is
// how it is: the first event of a log is another one every moment.
func (r *replay) checkForgotten(ctx context.Context, b bus.Batch) error {
	if len(b.Entries) == 0 || b.Entries[0].Seq == r.done.Next || r.LeaveHole || (r.From == 0 && r.done.Next == r.done.From) {
		return nil
	}
	return r.checkGone(ctx)
}

// checkGone refuses to go on when the log begins later than with what is to be read next.
func (r *replay) checkGone(ctx context.Context) error {
	first, last, err := r.Log.Bounds(ctx, r.Shard)
	if err != nil {
		return fmt.Errorf("bounds of shard %d: %w", r.Shard, err)
	}
	if first > r.done.Next { // else they were erased because their messages were deleted
		return fmt.Errorf("from %d: %w any more: the log of shard %d holds %s", r.done.Next, ErrGone, r.Shard, span(first, last))
	}
	return nil
}

// page is what counts of a batch, and up to where that is all there is.
func (r *replay) page(b bus.Batch) (upTo chat.Seq, entries []bus.Entry) {
	for i, e := range b.Entries {
		if e.Seq > r.done.To {
			return r.done.To, b.Entries[:i]
		}
		upTo = e.Seq
	}
	return upTo, b.Entries
}

// atEnd reports, when a replica shows nothing more, whether there is nothing: the last events can have been erased, or
// the replica can be behind.
func (r *replay) atEnd(ctx context.Context, stale int) (bool, error) {
	last, err := r.Log.LeaderLast(ctx, r.Shard, r.filter)
	if err != nil {
		return false, fmt.Errorf("the last event of shard %d: %w", r.Shard, err)
	}
	if last < r.done.Next {
		if r.heals {
			return true, r.checkGone(ctx)
		}
		return true, nil
	}
	if stale >= replayStale {
		return false, fault.New(fault.Unavailable, "no replica of the log shows the event %d", r.done.Next)
	}
	return false, bus.Pause(ctx, bus.Backoff(replayFirst/10, replayCap, stale))
}

// step notes that everything up to a position is written.
func (r *replay) step(ctx context.Context, upTo chat.Seq) {
	r.Step(int(upTo + 1 - r.done.Next))
	r.done.Next = upTo + 1
	if r.notes && time.Since(r.noted) >= replayNote {
		r.note(ctx)
		r.noted = time.Now()
	}
}

// note records what is written. What it cannot record, the next one does; nothing but some time is lost.
func (r *replay) note(ctx context.Context) bool {
	if r.done.Next <= r.done.From {
		return false
	}
	err := r.Store.NoteProgress(ctx, r.Shard, r.done.Next-1)
	if err != nil {
		r.Logger.Info("the progress of the replay is not recorded", "shard", r.Shard, "seq", r.done.Next-1, "err", err)
	}
	return err == nil
}

// write applies a page, and finds what the store can never take when it refuses the page as a whole.
func (r *replay) write(ctx context.Context, entries []bus.Entry) error {
	events := make([]event.Stored, 0, len(entries))
	for _, entry := range entries {
		e, err := storedOf(entry)
		if err != nil {
			r.done.Skipped++
			continue
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil
	}
	whole := r.patiently(ctx, "write to the store", func(ctx context.Context) error { return r.Store.Apply(ctx, events) })
	if whole == nil {
		r.done.Events += len(events)
		return nil
	}
	if outage(ctx, whole) {
		return whole
	}
	return r.writeEach(ctx, events)
}

// writeEach finds the events that the store refuses.
func (r *replay) writeEach(ctx context.Context, events []event.Stored) error {
	var refused []refusal
	for i := range events {
		err := r.patiently(ctx, "write to the store", func(ctx context.Context) error { return r.Store.Apply(ctx, events[i:i+1]) })
		switch {
		case err == nil:
			r.done.Events++
		case outage(ctx, err):
			return err
		case r.judge != nil || fault.KindOf(err).Outcome() == fault.Park:
			refused = append(refused, refusal{events[i].Seq, err})
		default:
			return fmt.Errorf("event %d of shard %d: %w", events[i].Seq, r.Shard, err)
		}
	}
	if r.judge != nil {
		if err := r.judge(refused, len(events)); err != nil {
			return err
		}
	}
	r.done.Skipped += len(refused)
	for _, one := range refused {
		r.Logger.Warn("the store refuses an event", "shard", r.Shard, "seq", one.seq, "err", one.err)
	}
	return nil
}

// patiently does f again while what it needs is down, for as long as that is worth waiting for.
func (r *replay) patiently(ctx context.Context, what string, f func(context.Context) error) error {
	since := time.Now()
	for attempt := 0; ; attempt++ {
		err := f(ctx)
		switch {
		case err == nil, !outage(ctx, err):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Since(since) >= r.patience:
			return hold(fmt.Errorf("%s: %w", what, err))
		}
		r.Logger.Warn("the replay waits", "for", what, "shard", r.Shard, "err", err)
		if err := bus.Pause(ctx, bus.Backoff(replayFirst, replayCap, attempt)); err != nil {
			return err
		}
	}
}

// SeekTime finds the first event of a shard that was stored at t or later. It is one beyond the last when none was.
// When the log has forgotten events that may be as young as t, the error wraps ErrGone.
func SeekTime(ctx context.Context, log ReplayLog, shard streams.Shard, t time.Time) (chat.Seq, error) {
	filter, err := streams.ChatShardFilter(shard)
	if err != nil {
		return 0, err
	}
	first, last, err := log.Bounds(ctx, shard)
	if err != nil {
		return 0, fmt.Errorf("bounds of shard %d: %w", shard, err)
	}
	low, high := first, last+1 // the answer is in between; times rise with seqs
	for low < high {
		middle := low + (high-low)/2
		b, err := log.Read(ctx, bus.ReadQuery{Shard: shard, Filter: filter, From: middle, MaxEntries: 1})
		if err != nil {
			return 0, fmt.Errorf("read %d of shard %d: %w", middle, shard, err)
		}
		if len(b.Entries) > 0 && b.Entries[0].At.Before(t) {
			low = b.Entries[0].Seq + 1
		} else {
			high = middle
		}
	}
	if low == first && first > 1 && first <= last {
		b, err := log.Read(ctx, bus.ReadQuery{Shard: shard, Filter: filter, From: first, MaxEntries: 1})
		if err != nil {
			return 0, fmt.Errorf("read %d of shard %d: %w", first, shard, err)
		}
		if len(b.Entries) > 0 && b.Entries[0].At.After(t) {
			return 0, fmt.Errorf("from %s: %w: the log of shard %d holds %s, from %s on", t.UTC().Format(time.RFC3339),
				ErrGone, shard, span(first, last), b.Entries[0].At.Format(time.RFC3339))
		}
	}
	return low, nil
}
