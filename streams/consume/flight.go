package consume

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// begin waits until another batch may be pulled and counts it as being handled: Batches are at work, or one of them
// waits for an outage to end. It is false when ctx ended first.
func (c *Consumer) begin(ctx context.Context) bool {
	for ctx.Err() == nil {
		c.mu.Lock()
		free := c.busy < c.cfg.Batches && c.holding == 0
		if free {
			c.busy++
		}
		c.mu.Unlock()
		if free {
			return true
		}
		select {
		case <-ctx.Done():
		case <-c.changed:
		}
	}
	return false
}

// end takes a batch off that begin counted.
func (c *Consumer) end() {
	c.mu.Lock()
	c.busy--
	c.mu.Unlock()
	c.wake()
}

// wake lets begin look again.
func (c *Consumer) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // there is a token already
	}
}

// flight is a batch in hand. It belongs to one goroutine, so that nothing is marked in progress after its end was said.
type flight struct {
	c      *Consumer
	limits limits
	held   []delivered // not settled yet
	parks  []parking   // to be noted before they are settled
	tick   *time.Ticker
}

// fly hands a batch to the handler until each of its events is settled. What is held is marked in progress, before
// the server would deliver it again.
func (c *Consumer) fly(ctx context.Context, held []delivered, limits limits) {
	f := &flight{c: c, limits: limits, held: held, tick: time.NewTicker(limits.progressEvery())}
	defer f.tick.Stop()
	f.settle(ctx, func(h delivered) bus.Outcome {
		if h.Foreign && f.c.cfg.PassForeign {
			return bus.Done()
		}
		if h.Foreign {
			return bus.Park("its subject is not that of a channel or workspace: it was published by hand")
		}
		return bus.Keep(0)
	})
	settled := f.turn(ctx)
	c.end() // what is kept must not keep others from being pulled: it may wait for them
	f.keepWaiting(ctx, settled)
}

// turn hands over what is held, once. after is how long what it leaves is to be kept; negative: nothing is left.
func (f *flight) turn(ctx context.Context) (after time.Duration) {
	if len(f.held) == 0 {
		return -1
	}
	batch := make([]bus.Delivery, len(f.held))
	for i, h := range f.held {
		batch[i] = h.Delivery
	}
	outcomes := f.decided(ctx, batch)
	if outcomes == nil { // shut down in an outage
		f.giveBack()
		return -1
	}
	after, i := -1, 0
	f.settle(ctx, func(delivered) bus.Outcome {
		o := outcomes[i]
		i++
		if o.Kind == bus.KindKeep {
			after = max(after, o.After, 0)
		}
		return o
	})
	return after
}

// keepWaiting hands over again what is kept, with growing pauses for as long as nothing of it gets done.
func (f *flight) keepWaiting(ctx context.Context, after time.Duration) {
	kept := f.c.keep(len(f.held))
	if over := f.held[kept:]; len(over) > 0 {
		f.c.log.Warn("too much waits; the rest is retried later", "events", len(over), "first", over[0].Seq)
	}
	i := 0
	f.settle(ctx, func(delivered) bus.Outcome {
		i++
		if i > kept {
			return bus.RetryBecause(0, "too many events wait at once")
		}
		return bus.Keep(0)
	})
	for attempt := 0; len(f.held) > 0; attempt++ {
		if !f.pause(ctx, bus.Backoff(max(after, f.c.cfg.HoldFirst), keepCap, attempt)) {
			f.giveBack()
			break
		}
		before := len(f.held)
		after = f.turn(ctx)
		if len(f.held) < before {
			attempt = -1
		}
	}
	f.c.keep(-kept)
}

// keep takes places for n more events to be kept, as many as there are; fewer than 0 gives places back.
func (c *Consumer) keep(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n = min(n, maxKept-c.state.Kept)
	c.state.Kept += n
	return n
}

// decided asks the handler and marks what is held until it answers. nil: ctx ended in an outage, or its grace is over.
func (f *flight) decided(ctx context.Context, batch []bus.Delivery) []bus.Outcome {
	handling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	answer := make(chan []bus.Outcome, 1)
	go func() { answer <- f.c.decide(ctx, handling, batch) }() // every way out of the loop is its answer
	stopping := ctx.Done()
	var grace <-chan time.Time
	for {
		select {
		case outcomes := <-answer:
			return outcomes
		case <-stopping:
			stopping, grace = nil, time.After(f.c.cfg.Grace)
		case <-grace:
			cancel()
		case <-f.tick.C:
			f.mark()
		}
	}
}

// pause waits, and marks what is held. It is false when ctx ended first.
func (f *flight) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-f.tick.C:
			f.mark()
		}
	}
}

// mark says that what is held is in progress. When the connection is broken, the next tick tries again.
func (f *flight) mark() {
	for _, h := range f.held {
		if !f.say(h, ackProgress) {
			return
		}
	}
	for _, p := range f.parks {
		if !f.say(p.delivered, ackProgress) {
			return
		}
	}
}

// say tells the server something about a delivery that it may lose. It is false when the connection did not take it.
func (f *flight) say(h delivered, what string) bool {
	err := f.c.conn.NATS().Publish(h.reply, []byte(what))
	if err != nil {
		f.c.log.Debug("a word on a delivery is lost", "err", err, "what", what, "seq", h.Seq)
	}
	return err == nil
}

// settle acknowledges what is held, in its order but for what is parked, which comes last: it is noted first. It leaves what is to be
// kept. What is lost on the way comes again, so an error is only worth a line.
func (f *flight) settle(ctx context.Context, outcome func(delivered) bus.Outcome) {
	var lost losses
	var removed []delivered
	kept := f.held[:0]
	for _, h := range f.held {
		switch o := f.limits.last(h, outcome(h)); {
		case o.Kind == bus.KindKeep:
			kept = append(kept, h)
		case o.Kind == bus.KindRemove:
			removed = append(removed, h)
		case o.Kind == bus.KindPark && f.c.notesParks():
			f.parks = append(f.parks, parking{h, bus.PrintableReason(o.Reason)})
		default:
			lost.add(h, f.c.conn.NATS().Publish(h.reply, acknowledgement(h, o, f.limits)))
		}
	}
	f.held = kept
	lost.log(f.c.log)
	f.remove(ctx, removed)
	f.park(ctx)
}

// losses are acknowledgements that the connection did not take.
type losses struct {
	err   error    // of the first
	first chat.Seq // whose it is
}

func (l *losses) add(h delivered, err error) {
	if err != nil && l.err == nil {
		l.err, l.first = err, h.Seq
	}
}

func (l *losses) log(to *slog.Logger) {
	if l.err != nil {
		to.Warn("acknowledgements are lost; their events come again", "err", l.err, "first", l.first)
	}
}

// giveBack lets somebody else have what is held, at once, or when the server has waited long enough.
func (f *flight) giveBack() {
	for _, h := range f.held {
		if !f.say(h, ackRetry) {
			break
		}
	}
	f.held = nil
}

// decide asks the handler, over outages. nil: ctx ended first.
func (c *Consumer) decide(ctx, handling context.Context, batch []bus.Delivery) []bus.Outcome {
	outage := hold{c: c}
	for attempt := 0; ; attempt++ {
		outcomes, err := c.handle(handling, batch)
		if err == nil && len(outcomes) != len(batch) {
			err = fmt.Errorf("the handler says %d outcomes for %d events", len(outcomes), len(batch))
		}
		if err == nil {
			outage.set(nil)
			return outcomes
		}
		if handling.Err() != nil {
			return nil // its grace is over
		}
		if !fault.Is(err, fault.Unavailable) {
			c.log.Error("the handler failed; its events are retried", "err", err, "events", len(batch), "first", batch[0].Seq)
			outcomes = make([]bus.Outcome, len(batch))
			for i := range outcomes {
				outcomes[i] = bus.RetryBecause(0, err.Error())
			}
			outage.set(nil)
			return outcomes
		}
		if ctx.Err() != nil {
			return nil // nothing is out of order: it was told to stop
		}
		outage.set(err)
		if bus.Pause(ctx, bus.Backoff(c.cfg.HoldFirst, c.cfg.HoldCap, attempt)) != nil {
			return nil
		}
	}
}

// hold is one who may wait for an outage to end.
type hold struct {
	c  *Consumer
	on bool
}

// set says what it waits for; nil: nothing. The first who waits and the last who does not are worth a line.
func (h *hold) set(err error) {
	c := h.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && !h.on:
		c.holding++
	case err == nil && h.on:
		c.holding--
	}
	h.on = err != nil
	switch {
	case c.holding == 0 && c.state.Outage != nil:
		c.state.Outage, c.state.Since = nil, time.Time{}
		c.log.Info("what they waited for is back")
		c.wake()
	case err != nil && c.state.Outage == nil:
		c.state.Since = time.Now()
		c.log.Warn("holding events until what they need is back", "err", err)
	}
	if err != nil {
		c.state.Outage, c.state.Pulling = err, false
	}
}
