package persist

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

const (
	noteEvery   = 250 * time.Millisecond // between two records of the progress of a busy shard
	noteTimeout = 2 * time.Second        // of one record
	noteIdle    = 5 * time.Second        // between two while nothing comes: a floor that an event held up moves on when that is given up
)

// Run fills the store until ctx ends, or until a consumer fails for good; then it ends the others and says
// why. It returns when everything it started has ended and the last progress is recorded.
func (p *Persister) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make([]error, p.shards) // each owned by its goroutine until all have ended
	var running sync.WaitGroup
	for shard := range p.shards {
		running.Go(func() {
			if err := p.runShard(ctx, shard); err != nil {
				failed[shard] = fmt.Errorf("persist shard %d: %w", shard, err)
				stop()
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// runShard consumes one shard and records its progress beside it. What the store lacks of what came before is brought
// there beside it as well, because the order of writes does not matter: new events need not wait for old ones.
func (p *Persister) runShard(ctx context.Context, shard streams.Shard) error {
	work := make(chan struct{}, 1) // one token: there may be progress to record. Never closed
	work <- struct{}{}             // what was acknowledged by a process that died before it recorded it
	note := &progress{persister: p, shard: shard}
	// Before the first pull, so that nothing is written again that comes now. Else it is asked later, when more was handed out.
	if err := note.look(ctx); err != nil {
		p.log.Debug("how far the consumer has come is asked again later", "shard", shard, "err", err)
	}
	noting, stop := context.WithCancel(ctx)
	var noter sync.WaitGroup
	noter.Go(func() { note.run(noting, work) })
	err := p.source.Consume(ctx, shard, func(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes, err := p.apply(ctx, batch)
		if err != nil {
			return nil, err
		}
		note.noteApplied(batch)
		select {
		case work <- struct{}{}:
		default: // there is a token already
		}
		return outcomes, nil
	})
	stop()
	noter.Wait()
	// What was acknowledged last is recorded too. ctx has ended, and this must not wait for ever.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if _, err := note.record(last); err != nil {
		p.log.Info("the last progress is not recorded; the next process writes a little again", "shard", shard, "err", err)
	}
	return err
}

// progress records how far a shard has been applied.
type progress struct {
	// immutable
	persister *Persister
	shard     streams.Shard

	// owned by run, and by runShard before and after it
	recorded chat.Seq      // the store has everything up to here and says so
	reach    consume.Reach // of the consumer, before anything that this store is known to have got
	looked   bool          // reach is known
	whole    bool          // the store has everything up to reach, so that the floor is true of it
	lost     chat.Seq      // up to here it was said what the log forgot
	stuck    chat.Seq      // the event that the store refused, and not others, when it was last written again
	stuckAt  time.Time     // for the first time

	mu      sync.Mutex // guards what follows
	applied chat.Seq   // the highest seq that this process applied
}

func (n *progress) noteApplied(batch []bus.Delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range batch {
		n.applied = max(n.applied, d.Seq)
	}
}

// run makes the store whole, and then records while there is work. When the store is set back, it begins anew.
func (n *progress) run(ctx context.Context, work <-chan struct{}) {
	ticker, idle := time.NewTicker(noteEvery), time.NewTicker(noteIdle)
	defer ticker.Stop()
	defer idle.Stop()
	for {
		if !n.whole {
			n.heal(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			if _, err := n.record(ctx); err != nil && ctx.Err() == nil {
				n.persister.log.Debug("progress is not recorded", "shard", n.shard, "err", err)
			}
			continue
		case <-work:
		}
		n.follow(ctx, ticker.C)
	}
}

// follow records until the server counts all work as acknowledged: acks go out after the batch. When others hold what comes
// before, it is they who will have work and record; so a floor that stays where it is ends the asking after some turns.
func (n *progress) follow(ctx context.Context, turn <-chan time.Time) {
	const patience = 40 // turns: 10 s, longer than an ack is ever on its way
	for still := 0; still < patience; still++ {
		select {
		case <-ctx.Done():
			return
		case <-turn:
		}
		before := n.recorded
		settled, err := n.record(ctx)
		if err != nil && ctx.Err() == nil {
			n.persister.log.Debug("progress is not recorded", "shard", n.shard, "err", err)
		}
		if settled {
			return
		}
		if !n.whole {
			n.heal(ctx)
		}
		if n.recorded != before {
			still = 0
		}
	}
}

// record writes the consumer's floor into the store if it grew, unless the store has less than it is known to have had:
// then the floor says nothing of it any more. settled: all that this process applied is below it.
func (n *progress) record(ctx context.Context) (settled bool, err error) {
	if !n.whole {
		return false, nil // heal has recorded what it did
	}
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	floor, err := n.persister.source.Floor(ctx, n.shard)
	if err != nil {
		return false, fmt.Errorf("floor of the consumer: %w", err)
	}
	if floor > n.recorded {
		have, err := n.persister.store.Progress(ctx, n.shard)
		if err != nil {
			return false, fmt.Errorf("the store's progress: %w", err)
		}
		if have < n.recorded {
			n.persister.log.Warn("the store begins anew", "shard", n.shard, "had", n.recorded, "has", have)
			n.whole, n.looked, n.recorded = false, false, have
			return false, errSetBack
		}
		if floor > have {
			if err := n.persister.store.NoteProgress(ctx, n.shard, floor); err != nil {
				return false, fmt.Errorf("note progress %d: %w", floor, err)
			}
		}
		n.recorded = max(floor, have)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recorded >= n.applied, nil
}
