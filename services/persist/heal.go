package persist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	healSay    = 5 * time.Second        // between two lines in the log about how far it has come
	healFirst  = 250 * time.Millisecond // the pause after a failure doubles from here
	healCap    = 5 * time.Second        // up to here
	healGiveUp = 15 * time.Minute       // how long an event is tried that the store refuses alone; about as long as the consumer's backoff takes
)

// errSetBack says that a store has less than it once said.
var errSetBack = errors.New("the store says less than it did: it was emptied, or restored from a backup")

// look asks how far the consumer has come. What it hands out after this goes into this store; what it handed out
// before may be in the store of somebody else, or in this one as it was before it was emptied. The floor does not tell the two
// apart: beyond it, too, there are events that were acknowledged and never come again.
func (n *progress) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	reach, err := n.persister.source.Reached(ctx, n.shard)
	if err != nil {
		return fmt.Errorf("how far the consumer is: %w", err)
	}
	n.reach, n.looked = reach, true
	return nil
}

// heal brings what lies between the store's progress and the consumer's reach into the store, from the log. It goes on for
// as long as that takes, or until ctx ends. Only then the floor says anything about this store.
func (n *progress) heal(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		before := n.recorded
		err := n.healOnce(ctx)
		if err == nil {
			n.whole = true
			n.persister.counters.noteHealing(n.shard, 0)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if n.recorded > before {
			attempt = 0
		}
		n.persister.log.Warn("the store is not known to be whole; it is tried again", "shard", n.shard, "upto", n.recorded, "err", err)
		if bus.Pause(ctx, bus.Backoff(healFirst, healCap, attempt)) != nil {
			return
		}
	}
}

// healOnce is one attempt. It begins where the store's progress is, so that nothing has to be remembered, and several
// processes may do it at once: the one that is behind changes nothing.
func (n *progress) healOnce(ctx context.Context) error {
	if !n.looked {
		if err := n.look(ctx); err != nil {
			return err
		}
	}
	have, first, err := n.ground(ctx)
	if err != nil {
		return err
	}
	if have+1 < first {
		if have, err = first-1, n.passForgotten(ctx, have+1, first-1); err != nil {
			return err
		}
	}
	if n.recorded = have; have >= n.reach.Delivered {
		return nil
	}
	return n.rewrite(ctx, have+1)
}

// ground is what the store has, and where the log begins.
func (n *progress) ground(ctx context.Context) (have, first chat.Seq, err error) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if have, err = n.persister.store.Progress(ctx, n.shard); err != nil {
		return 0, 0, fmt.Errorf("the store's progress: %w", err)
	}
	if first, _, err = n.persister.bodies.Bounds(ctx, n.shard); err != nil {
		return 0, 0, fmt.Errorf("bounds of the log: %w", err)
	}
	return have, first, nil
}

// passForgotten moves the progress over what the log does not hold any more. If it stayed, no page would ever be complete
// again. That something is missing is said before: a process that dies between the two says it twice.
func (n *progress) passForgotten(ctx context.Context, from, to chat.Seq) error {
	p := n.persister
	switch {
	case from == 1 && n.reach.Deliveries == 0: // a new store beside a new consumer: history begins with the log
		p.log.Info("history begins where the log does", "shard", n.shard, "seq", to+1)
	case to > n.lost:
		n.lost = to
		p.counters.noteLost(n.shard, uint64(to+1-from))
		p.log.Error("the log forgot events that the message store does not have. What of them was not deleted is lost for good, "+
			"unless rows of a backup of the message store are brought back: that can be done at any time",
			"shard", n.shard, "from", from, "to", to)
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	if err := p.store.NoteProgress(ctx, n.shard, to); err != nil {
		return fmt.Errorf("note progress %d: %w", to, err)
	}
	return nil
}

// rewrite writes what the log holds from a seq up to the consumer's reach into the store.
func (n *progress) rewrite(ctx context.Context, from chat.Seq) error {
	p, to, said := n.persister, n.reach.Delivered, time.Now()
	p.log.Info("the store is filled again from the log", "shard", n.shard, "from", from, "to", to)
	r := newReplay(ReplayConfig{Log: p.bodies, Store: p.store, Shard: n.shard, From: from, To: to, Logger: p.log})
	r.Step = func(int) {
		p.counters.noteHealing(n.shard, uint64(to+1-r.done.Next))
		if time.Since(said) >= healSay {
			said = time.Now()
			p.log.Info("the store is being filled again", "shard", n.shard, "next", r.done.Next, "to", to)
		}
	}
	r.notes, r.heals, r.noted, r.judge = true, true, time.Now(), n.judge
	r.patience = 0 // what is written is recorded before it waits, and it waits in heal, for as long as it takes
	r.done = Replayed{From: from, To: to, Next: from}
	p.counters.noteHealing(n.shard, uint64(to+1-from))
	err := r.aim()
	if err == nil {
		err = r.run(ctx)
	}
	p.counters.noteHealed(r.done.Events)
	if r.done.Next > from {
		// What was written is recorded also when ctx has ended; this must not wait for ever.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		noted := p.store.NoteProgress(last, n.shard, r.done.Next-1)
		if noted == nil {
			n.recorded = r.done.Next - 1
		} else if err == nil {
			err = fmt.Errorf("note progress %d: %w", r.done.Next-1, noted)
		}
	}
	if err == nil {
		p.log.Info("the store has what it lacked", "shard", n.shard, "from", from, "to", to, "events", r.done.Events, "refused", r.done.Skipped)
	}
	return err
}

// judge says what becomes of events that the store refused one by one. A store that takes none of several is broken; the
// consumer thinks the same of it. What it refuses alone is passed over at once when it can never be stored, else once it
// was tried for as long as the consumer tries.
func (n *progress) judge(refused []refusal, of int) error {
	if len(refused) == of && of > 1 {
		return hold(fmt.Errorf("the store takes none of %d events: %w", of, refused[0].err))
	}
	open := slices.DeleteFunc(slices.Clone(refused), func(one refusal) bool { return fault.KindOf(one.err).Outcome() == fault.Park })
	if len(open) == 0 {
		return nil
	}
	if n.stuck != open[0].seq {
		n.stuck, n.stuckAt = open[0].seq, time.Now()
	}
	if time.Since(n.stuckAt) < healGiveUp {
		return fmt.Errorf("event %d: %w", open[0].seq, open[0].err)
	}
	for _, one := range open {
		n.persister.log.Error("an event is given up: the store takes others and refuses it", "shard", n.shard, "seq", one.seq, "err", one.err)
	}
	return nil
}
