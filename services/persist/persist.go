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
	"github.com/canopychat/canopy/streams/consume"
)

// Store is what a Persister writes; a store.Messages is one.
type Store interface {
	Apply(ctx context.Context, events []event.Stored) error
	Progress(ctx context.Context, shard int) (chat.Seq, error)
	NoteProgress(ctx context.Context, shard int, seq chat.Seq) error
}

// Source is the durable consumers of the shards; Consumers is the real one.
type Source interface {
	// Consume hands over what the consumer of a shard delivers until ctx ends.
	Consume(ctx context.Context, shard streams.Shard, handle consume.Handler) error
	// Floor is the seq up to which everything of a shard has its outcome.
	Floor(ctx context.Context, shard streams.Shard) (chat.Seq, error)
	// Reached is how far the consumer of a shard has come.
	Reached(ctx context.Context, shard streams.Shard) (consume.Reach, error)
}

// Log is the log itself; *bus.Log is one. A store that is behind is filled from it, and what a deleted message said is
// erased there, too.
type Log interface {
	ReplayLog
	Erase(ctx context.Context, shard streams.Shard, seq chat.Seq) error
}

// Config is what a Persister is made of.
type Config struct {
	Store  Store
	Source Source
	Log    Log
	Shown  Shown        // for Missing alone; the same store as Store
	Shards int          // 0: streams.Shards
	Logger *slog.Logger // nil: slog.Default

	// Behind is told, for each event that the store took, how long after the log's own time of it that was. Two machines'
	// clocks may disagree, so it can be negative. It is called from several goroutines. nil: nobody wants to know.
	Behind func(time.Duration)
}

// Persister writes the logs of all shards into the store.
type Persister struct {
	store  Store
	source Source
	bodies Log
	shown  Shown
	shards int
	log    *slog.Logger
	behind func(time.Duration)

	counters counters
}

// New makes a Persister. It starts nothing.
func New(cfg Config) *Persister {
	if cfg.Shards <= 0 {
		cfg.Shards = streams.Shards
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Behind == nil {
		cfg.Behind = func(time.Duration) {}
	}
	return &Persister{store: cfg.Store, source: cfg.Source, bodies: cfg.Log, shown: cfg.Shown, shards: cfg.Shards, log: cfg.Logger, behind: cfg.Behind}
}

// apply is one attempt at a batch. Its outcomes are in the order of the batch. The error is Unavailable:
// nothing can be done now, and the batch must be held and handed over again. A write whose outcome nobody knows is
// among these: doing it again is always right, because the store orders writes by the log and not by their arrival.
func (p *Persister) apply(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
	outcomes := make([]bus.Outcome, len(batch))
	events := make([]event.Stored, 0, len(batch))
	places := make([]int, 0, len(batch)) // of events, in batch
	for i, d := range batch {
		e, err := storedOf(d.Entry)
		if err != nil {
			outcomes[i] = bus.Park(err.Error())
			p.log.Warn("parked", "shard", d.Place.Shard, "seq", d.Seq, "reason", err)
			continue
		}
		outcomes[i] = bus.Done()
		events, places = append(events, e), append(places, i)
	}
	if len(events) > 0 {
		a := attempt{events: events, places: places, outcomes: outcomes, shard: batch[places[0]].Place.Shard}
		if err := p.applyAll(ctx, a); err != nil {
			p.counters.noteHeld()
			return nil, err
		}
		p.note(ctx, a)
		p.eraseDeleted(ctx, a)
	}
	p.counters.noteOutcomes(outcomes)
	return outcomes, nil
}

// applyAll writes the events of an attempt, one by one when the store refuses them as a whole.
func (p *Persister) applyAll(ctx context.Context, a attempt) error {
	err := p.store.Apply(ctx, a.events)
	if err == nil {
		p.noteStored(a.shard, a.events)
		return nil
	}
	if outage(ctx, err) {
		return hold(fmt.Errorf("apply %d events: %w", len(a.events), err))
	}
	a.err = err
	return p.applyEach(ctx, a)
}

// note says at debug what became of each event of an attempt, and nothing of what it says.
func (p *Persister) note(ctx context.Context, a attempt) {
	if !p.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for i := range a.events {
		outcome := "stored"
		if a.outcomes[a.places[i]] != bus.Done() {
			outcome = "refused"
		}
		p.log.LogAttrs(ctx, slog.LevelDebug, "persist", slog.String("trace_id", event.TraceID(a.events[i].TraceParent)), slog.String("kind", string(a.events[i].Kind)),
			slog.Int("shard", int(a.shard)), slog.Uint64("seq", uint64(a.events[i].Seq)), slog.String("outcome", outcome))
	}
}

// attempt is a batch on its way into the store.
type attempt struct {
	events   []event.Stored
	places   []int
	outcomes []bus.Outcome
	shard    streams.Shard
	err      error // why the store refused it as a whole
}

// applyEach finds the events that the store refuses. When it takes none of several it is the store that is
// broken, and not an event: then the batch is held, as in an outage.
func (p *Persister) applyEach(ctx context.Context, a attempt) error {
	refused := 0
	var stored []event.Stored
	for i := range a.events {
		err := p.store.Apply(ctx, a.events[i:i+1])
		if err == nil {
			stored = append(stored, a.events[i])
			continue
		}
		if outage(ctx, err) {
			return hold(fmt.Errorf("apply event %d: %w", a.events[i].Seq, err))
		}
		refused++
		outcome := bus.RetryBecause(0, err.Error())
		if fault.KindOf(err).Outcome() == fault.Park {
			outcome = bus.Park(fault.Public(err).Message)
		}
		a.outcomes[a.places[i]] = outcome
		p.log.Error("the store refuses an event", "seq", a.events[i].Seq, "kind", a.events[i].Kind, "err", err)
	}
	if refused == len(a.events) && refused > 1 {
		return hold(fmt.Errorf("the store takes none of %d events: %w", refused, a.err))
	}
	p.noteStored(a.shard, stored)
	return nil
}

// outage reports whether err says nothing about the events.
func outage(ctx context.Context, err error) bool {
	return ctx.Err() != nil || fault.Is(err, fault.Unavailable) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// hold makes an error one that consume waits out, whatever kind the store gave it.
func hold(err error) error {
	return fault.Wrap(fault.Unavailable, err, "%s", fault.Unavailable.Title())
}

var (
	errForeign = errors.New("the subject is not one of ours")
	errChannel = errors.New("the event says that it is of another channel than its subject")
)

// storedOf reads a delivered event. The error is why it can never be read.
func storedOf(e bus.Entry) (event.Stored, error) {
	if e.Foreign {
		return event.Stored{}, errForeign
	}
	parsed, err := event.Parse(e.Payload)
	if err != nil {
		return event.Stored{}, err
	}
	if parsed.ChannelID != e.Place.ChannelID {
		return event.Stored{}, errChannel
	}
	return event.Stored{
		Event: parsed, WorkspaceID: e.Place.WorkspaceID, Seq: e.Seq, At: e.At,
		Payload: e.Payload, TraceParent: e.TraceParent,
	}, nil
}
