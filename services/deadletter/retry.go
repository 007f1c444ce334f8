package deadletter

import (
	"context"
	"fmt"
	"sync"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/dlq"
)

// Retry tries a letter again. What succeeds is no letter any more, and does not come back; what is refused stays, and the reply says
// why. Of two who try the same letter here at once the second finds it gone; two processes may both do it, which changes nothing more.
// The error is NotFound for a letter that is not there, and Unavailable when something did not answer: then it may be done, and trying again is
// right.
func (s *Service) Retry(ctx context.Context, q rpc.DeadRetryRequest) (rpc.DeadRetryReply, error) {
	unlock, err := s.retrying.lock(ctx, q.ID)
	if err != nil {
		return rpc.DeadRetryReply{}, err
	}
	defer unlock()
	l, err := s.queue.Get(ctx, q.ID)
	if err != nil {
		return rpc.DeadRetryReply{}, err
	}
	reply, outcome, err := s.try(ctx, l, q.DryRun)
	s.counters.note(func(c *Counts) { grow(&c.Retries, Retried{l.Consumer, outcome}, 1) })
	s.log.Info("a dead letter is tried again", "letter", l.ID, "stream", l.Stream, "consumer", l.Consumer, "seq", l.Seq,
		"outcome", outcome, "reason", reply.Reason, "err", err)
	return reply, err
}

// try does it, and says with which Outcome.
func (s *Service) try(ctx context.Context, l dlq.Letter, dry bool) (reply rpc.DeadRetryReply, outcome string, err error) {
	switch by := s.redrive[l.Consumer]; {
	case l.Stream == "":
		err = fault.New(fault.Invalid, "Somebody put it among the dead letters by hand: nothing is known of where it came from")
	case by == nil:
		err = fault.New(fault.Unsupported, "Nobody here can try again what %s gave up", l.Consumer)
	case l.Gone:
		err = fault.New(fault.NotFound, "The event is gone: %s", l.GoneBecause)
	default:
		reply.Place, err = by.Redrive(ctx, l, dry)
	}
	switch {
	case err != nil && (ctx.Err() != nil || fault.KindOf(err).Outcome() == fault.Retry):
		return rpc.DeadRetryReply{}, OutcomeFailed, fmt.Errorf("try letter %d again: %w", l.ID, err)
	case err != nil:
		return rpc.DeadRetryReply{Reason: fault.Public(err).Message}, OutcomeRefused, nil
	case dry:
		reply.Done = true
		return reply, OutcomeDry, nil
	}
	if err := s.queue.End(ctx, l, dlq.Retried); err != nil {
		return rpc.DeadRetryReply{}, OutcomeFailed, fmt.Errorf("letter %d is done and not taken out: %w", l.ID, err)
	}
	reply.Done = true
	return reply, OutcomeDone, nil
}

// locks let one at a time work on a letter.
type locks struct {
	mu   sync.Mutex // guards held
	held map[uint64]chan struct{}
}

// lock waits until nobody else has the letter. The error is Unavailable: ctx ended first.
func (l *locks) lock(ctx context.Context, id uint64) (unlock func(), err error) {
	for {
		l.mu.Lock()
		other := l.held[id]
		if other == nil {
			if l.held == nil {
				l.held = map[uint64]chan struct{}{}
			}
			mine := make(chan struct{})
			l.held[id] = mine
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, id)
				l.mu.Unlock()
				close(mine)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, context.Cause(ctx), "Somebody else is trying it")
		}
	}
}
