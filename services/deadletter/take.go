package deadletter

import (
	"context"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// lettersAtOnce is how many letters of a batch are on their way at once.
const lettersAtOnce = 64

// end is one end of an event at a consumer, and who of a batch tells of it.
type end struct {
	parked bus.Parked
	found  string
	places []int
}

// take makes letters of what a batch of ADVISORIES tells. A hub that does not answer is Unavailable: the whole batch is held, and those
// letters that are there already are found then.
func (s *Service) take(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
	outcomes := make([]bus.Outcome, len(batch))
	ends := s.endsOf(batch, outcomes)
	failed := make([]error, len(ends)) // each owned by its goroutine until all have ended
	slots := make(chan struct{}, lettersAtOnce)
	var all sync.WaitGroup
	for i, e := range ends {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			failed[i] = s.told(ctx, e.parked, e.found)
		})
	}
	all.Wait()
	for i, err := range failed {
		if err == nil {
			continue
		}
		if fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return nil, bus.Unavailable(err)
		}
		s.log.Error("a dead letter cannot be written", "stream", ends[i].parked.Stream, "consumer", ends[i].parked.Consumer, "seq", ends[i].parked.Seq, "err", err)
		for _, place := range ends[i].places {
			outcomes[place] = bus.RetryBecause(0, err.Error())
		}
	}
	return outcomes, nil
}

// endsOf reads a batch. What tells of nothing is parked; of several that tell of one end, our note counts, which has the last error.
func (s *Service) endsOf(batch []bus.Delivery, outcomes []bus.Outcome) []*end {
	type key struct {
		stream, consumer string
		seq              chat.Seq
	}
	var ends []*end
	known := map[key]*end{}
	for i, d := range batch {
		p, found, err := endOf(d.Subject, d.Payload)
		if err != nil {
			outcomes[i] = bus.Park(err.Error())
			s.counters.note(func(c *Counts) { c.Garbage++ })
			s.log.Warn("parked: it tells of nothing", "subject", d.Subject, "seq", d.Seq, "reason", err)
			continue
		}
		if found == "" {
			continue // it is about a consumer that is not ours
		}
		if found == dlq.FoundAdvisory && p.Reason == bus.ReasonDeleted {
			s.counters.note(func(c *Counts) { c.Deleted++ })
			continue
		}
		at := key{p.Stream, p.Consumer, p.Seq}
		e := known[at]
		if e == nil {
			e = &end{parked: p, found: found}
			known[at], ends = e, append(ends, e)
		}
		if found == dlq.FoundNote {
			e.parked, e.found = p, found
		}
		e.places = append(e.places, i)
	}
	return ends
}

// endOf reads a message of ADVISORIES. found is empty for what is not about us.
func endOf(subject string, payload []byte) (p bus.Parked, found string, err error) {
	if stream, consumer, err := streams.ParseParked(subject); err == nil {
		if p, err = bus.ParseParked(payload); err == nil && (p.Stream != stream || p.Consumer != consumer) {
			err = fault.New(fault.Invalid, "the note says that it is of another consumer than its subject")
		}
		return p, dlq.FoundNote, err
	}
	what, stream, consumer, err := streams.ParseAdvisory(subject)
	switch {
	case err == nil:
	case streams.IsAdvisory(subject): // of an operator's own consumer, or a watch of a bucket
		return p, "", nil
	default:
		return p, "", err
	}
	if p, err = bus.ParseAdvisory(payload); err == nil && (p.Stream != stream || p.Consumer != consumer) {
		err = fault.New(fault.Invalid, "the advisory %s says that it is of another consumer than its subject", what)
	}
	return p, dlq.FoundAdvisory, err
}

// told makes a letter of an end, unless there is one or it was dealt with.
func (s *Service) told(ctx context.Context, p bus.Parked, found string) error {
	known, err := s.queue.Known(ctx, p.Stream, p.Consumer, p.Seq)
	switch {
	case err != nil:
		return err
	case known: // whoever made the letter may have died before it took the original away
		return s.takeAway(ctx, p)
	}
	l, err := s.queue.Write(ctx, p, found)
	if err != nil {
		return err
	}
	id, added, err := s.queue.Put(ctx, l)
	if err != nil || !added {
		return err
	}
	s.counters.note(func(c *Counts) { grow(&c.Letters, Origin{p.Consumer, found}, 1) })
	s.log.Warn("dead letter", "letter", id, "stream", p.Stream, "consumer", p.Consumer, "seq", p.Seq, "attempts", p.Deliveries,
		"found", found, "gone", l.Gone, "reason", l.Reason)
	return s.takeAway(ctx, p)
}

// takeAway ends the original of a letter where jobs lie: it is nobody's any more. A log keeps its events, which are everybody's.
func (s *Service) takeAway(ctx context.Context, p bus.Parked) error {
	switch p.Stream {
	case streams.StreamDelivery, streams.StreamSched:
		return s.jobs.Delete(ctx, p.Stream, p.Seq)
	}
	return nil
}
