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
)

const (
	noteEvery   = 250 * time.Millisecond // between two records of the progress of a busy shard
	noteTimeout = 2 * time.Second        // of one record
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

// runShard consumes one shard and records its progress beside it.
func (p *Persister) runShard(ctx context.Context, shard streams.Shard) error {
	work := make(chan struct{}, 1) // one token: there may be progress to record. Never closed
	work <- struct{}{}             // what was acknowledged by a process that died before it recorded it
	note := &progress{persister: p, shard: shard}
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
		p.log.Info("the last progress is not recorded; history reads a little more of the log", "shard", shard, "err", err)
	}
	return err
}

// progress records how far a shard has been applied.
type progress struct {
	// immutable
	persister *Persister
	shard     streams.Shard

	recorded chat.Seq // owned by run, and by runShard after it

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

// run records while there is work, and until the server counts all of it as acknowledged: acks go out after
// the batch. When others hold what comes before, it is they who will have work and record; so a floor that
// stays where it is ends the asking after some turns.
func (n *progress) run(ctx context.Context, work <-chan struct{}) {
	const patience = 40 // turns: 10 s, longer than an ack is ever on its way
	ticker := time.NewTicker(noteEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-work:
		}
		for still := 0; still < patience; still++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			before := n.recorded
			settled, err := n.record(ctx)
			if err != nil && ctx.Err() == nil {
				n.persister.log.Debug("progress is not recorded", "shard", n.shard, "err", err)
			}
			if settled {
				break
			}
			if n.recorded != before {
				still = 0
			}
		}
	}
}

// record writes the consumer's floor into the store if it grew. settled: all that this process applied is
// below it.
func (n *progress) record(ctx context.Context) (settled bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	floor, err := n.persister.source.Floor(ctx, n.shard)
	if err != nil {
		return false, fmt.Errorf("floor of the consumer: %w", err)
	}
	if floor > n.recorded {
		if err := n.persister.store.NoteProgress(ctx, n.shard, floor); err != nil {
			return false, fmt.Errorf("note progress %d: %w", floor, err)
		}
		n.recorded = floor
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recorded >= n.applied, nil
}
