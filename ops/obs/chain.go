package obs

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Submitter measures and traces the way of a change into the log: what was asked becomes the parent of a span
// publish, whose traceparent goes into the log's header. So every stored event has a trace, recorded or not.
type Submitter struct {
	next    event.Submitter
	metrics *Metrics
	tracing *Tracing
}

// NewSubmitter stands before another Submitter.
func NewSubmitter(next event.Submitter, m *Metrics, t *Tracing) *Submitter {
	return &Submitter{next: next, metrics: m, tracing: t}
}

// Submit implements event.Submitter. A duration is of what was stored; a refusal would only look fast.
func (s *Submitter) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	start := time.Now()
	traceparent, end := s.tracing.Start(ctx, "publish", c.TraceParent)
	c.TraceParent = traceparent
	receipt, err := s.next.Submit(ctx, c)
	end(err)
	if err == nil {
		s.metrics.PublishAck(time.Since(start))
	}
	return receipt, err
}

// Store is what the persister writes to, as it declares it.
type Store interface {
	Apply(ctx context.Context, events []event.Stored) error
	Progress(ctx context.Context, shard int) (chat.Seq, error)
	NoteProgress(ctx context.Context, shard int, seq chat.Seq) error
}

// Persisting traces the way of events into a store: a span persist for each event whose trace is recorded, from the
// start of its batch to the end. It is the store itself when nothing is recorded.
func (t *Tracing) Persisting(to Store) Store {
	if !t.Recording() {
		return to
	}
	return tracedStore{to, t}
}

type tracedStore struct {
	Store
	tracing *Tracing
}

// Apply implements Store.
func (s tracedStore) Apply(ctx context.Context, events []event.Stored) error {
	var ends []func(error)
	for i := range events {
		if parent, err := ParseTraceParent(events[i].TraceParent); err == nil && parent.Sampled() {
			_, end := s.tracing.Start(ctx, "persist", events[i].TraceParent)
			ends = append(ends, end)
		}
	}
	err := s.Store.Apply(ctx, events)
	for _, end := range ends {
		end(err)
	}
	return err
}
