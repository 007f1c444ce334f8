package fanout

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	readEntries = 256       // messages that one question to the log asks for
	readBytes   = 512 << 10 // bytes of them: a batch holds up the stream's writers while it is read
	maxDeleted  = 10_000    // deletes that a feed remembers
	maxHidden   = 10_000    // messages that are nothing to show that a feed remembers
	catchUpPoll = 5 * time.Millisecond
	firstPause  = 50 * time.Millisecond
	longPause   = 3 * time.Second
	patience    = 20                    // questions for a message that the log does not show before its leader is asked whether there is one
	grace       = 50 * time.Millisecond // for live messages that the log shows before they come here
	staleLeader = 25 * time.Second      // longer than a leader believes in itself that lost the others (raft.go: 10 to 20 s)
	maxUnproved = 1 << 16               // messages since the last proof: with more, the log is waited for
)

var errBehind = errors.New("a replica of the log lags behind its leader")

// run keeps the feed whole until ctx ends.
func (f *Feed) run(ctx context.Context) {
	prove := time.NewTimer(f.proofPause())
	defer prove.Stop()
	f.poke()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
			f.mend(ctx)
		case <-prove.C:
			f.prove(ctx)
			prove.Reset(f.proofPause())
		}
	}
}

// proofPause spreads the proofs of many feeds over time.
func (f *Feed) proofPause() time.Duration {
	return f.cfg.ProveEvery/2 + rand.N(f.cfg.ProveEvery)
}

// mend does what the feed's state asks for, until it is whole.
func (f *Feed) mend(ctx context.Context) {
	f.rest(ctx)
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longPause) {
		done, err := f.mendOnce(ctx)
		if done {
			return
		}
		if err == nil {
			pause = firstPause
			continue
		}
		f.slog.Warn("the log does not answer; nothing new is shown until it does", "err", err)
		if bus.Pause(ctx, pause/2+rand.N(pause)) != nil {
			return
		}
	}
}

// mendOnce is one step of mend. It reports whether the feed is whole.
func (f *Feed) mendOnce(ctx context.Context) (bool, error) {
	f.mu.Lock()
	state, audit := f.state, f.audit
	f.mu.Unlock()
	switch {
	case state == starting:
		return false, f.begin(ctx)
	case audit:
		return false, f.compare(ctx)
	case state == repairing:
		return f.repair(ctx)
	}
	return true, nil
}

// begin takes the log's head as the place where the feed starts. The subscription stands already, and its
// interest went to the hub before this question does: nothing that is stored after the answer goes unseen.
// The leader is asked: from a replica that lags, a feed that begins anew would go back behind what it has shown.
//
// A log of which the stream holds nothing, since that is too old or lay in an earlier stream, begins where the stream does. At 0 nobody would be in
// anything yet, and who is in what does not come with the log any more.
func (f *Feed) begin(ctx context.Context) error {
	head, err := f.log.LeaderLast(ctx, f.place.Shard, f.filter)
	if err == nil && head == 0 {
		head, _, err = f.log.Bounds(ctx, f.place.Shard)
		head = max(head, 1) - 1
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring.reset(head)
	f.tracker = newTracker(head)
	f.state, f.audit = repairing, false
	return nil
}

// repair reads what the log holds after head. It reports whether the feed is whole; when it is not, and there
// is no error, the feed is to be compared with the log.
func (f *Feed) repair(ctx context.Context) (bool, error) {
	for tries := 0; ; tries++ {
		reach := f.Reach()
		batch, err := f.read(ctx, reach.Head)
		if err != nil {
			return false, err
		}
		before, err := f.before(ctx, batch.Entries, reach.Head)
		if err != nil {
			return false, err
		}
		done, audit := f.fill(batch, before)
		if done || len(batch.Entries) > 0 {
			f.tell()
			tries = 0
		}
		switch {
		case done || audit:
			return done, nil
		case len(batch.Entries) > 0:
			continue
		case tries >= patience:
			f.settle()
			return false, nil
		}
		// Something was seen that the log does not show: a replica that lags, or a message that somebody put on
		// the fan subject by hand.
		if bus.Pause(ctx, firstPause) != nil {
			return false, ctx.Err()
		}
	}
}

// fill takes a batch that was read after head, and reports whether the feed is whole, and if not, whether it is
// to be compared with the log first.
func (f *Feed) fill(batch bus.Batch, before map[chat.ChannelID]chat.Seq) (done, audit bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range batch.Entries {
		if e := &batch.Entries[i]; e.Seq > f.tracker.head {
			ch := channelOf(e)
			f.take(message{ch, e.Seq, before[ch], e.At, e.Payload})
		}
	}
	f.counts.Repairs++
	if batch.Pending > 0 || f.want > f.ring.head || f.audit {
		return false, f.audit
	}
	f.state, f.want = whole, 0
	select {
	case <-f.first:
	default:
		close(f.first)
	}
	return true, false
}

// settle gives up waiting for a message that was seen. All that was really stored before now is wanted again
// by compare, which asks the stream's leader how far the log goes.
func (f *Feed) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slog.Warn("the log does not show a message that was seen", "seq", f.want, "head", f.ring.head)
	f.want, f.audit = 0, true
}

// prove reads again what the log holds since the last proof, and looks for what the feed did not get. Live
// messages go on being shown meanwhile. A count of them would not do: one replica that lags by as many messages
// as were lost counts as many as the feed got.
func (f *Feed) prove(ctx context.Context) {
	for {
		f.mu.Lock()
		from, sound := f.tracker.proved, f.state == whole
		f.mu.Unlock()
		if !sound {
			return
		}
		batch, err := f.read(ctx, from)
		if err != nil {
			f.slog.Warn("could not prove that nothing is missing", "err", err)
			return
		}
		next, ok := f.check(batch)
		if !ok {
			return
		}
		if next > 0 { // it is on its way, or was lost behind the newest one that came
			if bus.Pause(ctx, grace) == nil {
				f.expect(next)
			}
			return
		}
		if batch.Pending == 0 {
			return
		}
	}
}

// check compares a batch that was read after the last proof with what the feed got, and proves as much of it as
// came. next is the first message in it that is newer than all that came; 0: there is none. ok is false when the feed
// is not whole.
func (f *Feed) check(batch bus.Batch) (next chat.Seq, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state != whole {
		return 0, false
	}
	return f.compareBatch(batch)
}

// compareBatch is check whatever the state, under mu. ok is false when a new generation begins.
func (f *Feed) compareBatch(batch bus.Batch) (next chat.Seq, ok bool) {
	seqs := make([]chat.Seq, 0, len(batch.Entries))
	for _, e := range batch.Entries {
		if e.Seq > f.tracker.head {
			next = e.Seq
			break
		}
		seqs = append(seqs, e.Seq)
	}
	through := f.tracker.proved
	if next > 0 {
		through = f.tracker.head
	} else if n := len(seqs); n > 0 {
		through = seqs[n-1]
	}
	if seq, found := f.tracker.differs(seqs, through, f.erased); found {
		f.lose(seq)
		return 0, false
	}
	f.tracker.prove(through)
	return next, true
}

// erased reports whether the log may lack a message that was taken, under mu: what a delete took back is erased from
// it, and what left the ring since, or is nothing to show, is not looked at.
func (f *Feed) erased(seq chat.Seq) bool {
	e := f.ring.find(seq)
	if e == nil {
		return true
	}
	_, gone := f.deleted[e.textOf()]
	return gone
}

// expect reads the log when a message that it shows has still not come.
func (f *Feed) expect(seq chat.Seq) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tracker.head < seq {
		f.suspect(seq, false)
	}
}

// lose begins a new generation, under mu: seq cannot be shown in order any more, or should not have been shown.
func (f *Feed) lose(seq chat.Seq) {
	f.slog.Warn("what was shown is not what the log holds; sessions resync", "seq", seq, "head", f.tracker.head)
	f.state, f.audit = starting, false
	f.generation++
	f.counts.Holes++
	f.poke()
}

// compare reads the log from the last proof on and looks for what the feed did not get, up to where the stream's
// leader says that the log ends. What is missing before head begins a new generation; what is after it is
// wanted from now on. It runs while no live message is taken.
func (f *Feed) compare(ctx context.Context) error {
	end, err := f.log.LeaderLast(ctx, f.place.Shard, f.filter)
	if err != nil {
		return err
	}
	upTo := f.Reach().Head
	if upTo > end {
		// The newest message that was shown is not there: it is too old, or was never stored.
		if lost, err := f.vanished(ctx, upTo); lost || err != nil {
			return err
		}
	}
	for {
		from, done := f.compared(min(upTo, end), end)
		if done {
			return nil
		}
		batch, err := f.read(ctx, from)
		if err != nil {
			return err
		}
		n := len(batch.Entries)
		if n == 0 || (batch.Pending == 0 && batch.Entries[n-1].Seq < min(upTo, end)) {
			return errBehind
		}
		f.mu.Lock()
		_, ok := f.compareBatch(batch)
		f.mu.Unlock()
		if !ok {
			return nil
		}
	}
}

// vanished begins a new generation when the log does not go as far as what was shown, and reports whether it did. It waits before
// it believes that: a leader that was cut off from the others and does not know it yet says the same, to a leaf that
// came from another member. Nothing is stored through such a leader, so nothing is missed meanwhile.
func (f *Feed) vanished(ctx context.Context, shown chat.Seq) (bool, error) {
	_, last, err := f.log.Bounds(ctx, f.place.Shard)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if shown <= last && shown <= f.tracker.proved {
		f.vanishedAt = time.Time{}
		return false, nil
	}
	switch now := time.Now(); {
	case f.vanishedAt.IsZero():
		f.vanishedAt = now
		return false, errBehind
	case now.Sub(f.vanishedAt) < staleLeader:
		return false, errBehind
	}
	f.vanishedAt = time.Time{}
	f.lose(shown)
	return true, nil
}

// compared is how far the feed is proved. When that is far enough, what follows up to the log's end is wanted.
func (f *Feed) compared(enough, end chat.Seq) (proved chat.Seq, done bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if done = f.tracker.proved >= enough; done {
		f.vanishedAt = time.Time{}
		f.want = max(f.want, end)
		f.audit = false
		f.state = min(f.state, repairing)
	}
	return f.tracker.proved, done
}

// read is the events of the workspace after a position.
func (f *Feed) read(ctx context.Context, after chat.Seq) (bus.Batch, error) {
	return f.log.Read(ctx, bus.ReadQuery{
		Shard: f.place.Shard, Filter: f.filter, From: after + 1, MaxEntries: readEntries, MaxBytes: readBytes,
	})
}

// before is the seq that the log holds, up to a position, of each channel in entries that the tracker does not know.
func (f *Feed) before(ctx context.Context, entries []bus.Entry, upTo chat.Seq) (map[chat.ChannelID]chat.Seq, error) {
	f.mu.Lock()
	unknown := make(map[chat.ChannelID]struct{})
	for i := range entries {
		if ch := channelOf(&entries[i]); ch != foreign && !f.tracker.knows(ch) {
			unknown[ch] = struct{}{}
		}
	}
	f.mu.Unlock()
	return f.lastBefore(ctx, unknown, upTo)
}

// lastBefore asks the log for the ends of channels' chains at a position.
func (f *Feed) lastBefore(ctx context.Context, channels map[chat.ChannelID]struct{}, upTo chat.Seq) (map[chat.ChannelID]chat.Seq, error) {
	if len(channels) == 0 || upTo == 0 {
		return nil, nil
	}
	subjects := make([]string, 0, len(channels))
	of := make(map[string]chat.ChannelID, len(channels))
	for ch := range channels {
		subject, err := streams.ChatSubject(f.place.Shard, f.place.WorkspaceID, ch)
		if err != nil {
			return nil, err
		}
		subjects, of[subject] = append(subjects, subject), ch
	}
	found, err := f.log.LastBefore(ctx, f.place.Shard, subjects, upTo)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := make(map[chat.ChannelID]chat.Seq, len(found))
	for subject, seq := range found {
		before[of[subject]] = f.visible(seq)
	}
	return before, nil
}

// Bounds is the first and the last seq of the stream that the workspace's log lies in.
func (f *Feed) Bounds(ctx context.Context) (first, last chat.Seq, err error) {
	return f.log.Bounds(ctx, f.place.Shard)
}

// CatchUp asks the log for what the feed may not have got yet, and returns when the feed is whole again.
func (f *Feed) CatchUp(ctx context.Context) error {
	f.Suspect() // with an audit: it asks the leader how far the log goes
	for !f.sound() {
		if bus.Pause(ctx, catchUpPoll) != nil {
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the workspace's log does not answer").After(time.Second)
		}
	}
	return nil
}

func (f *Feed) sound() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state == whole
}
