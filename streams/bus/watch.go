package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams"
)

// SignalReason is why events may have been lost on their way.
type SignalReason string

// The reasons.
const (
	SlowConsumer  SignalReason = "slow_consumer"  // a subscription's receiver did not keep up
	Reconnected   SignalReason = "reconnected"    // this connection was broken, and is back
	LeaderElected SignalReason = "leader_elected" // a stream has another leader
	LinkLost      SignalReason = "link_lost"      // the hub does not answer
	LinkRestored  SignalReason = "link_restored"  // it answers again
)

// Signal says that republished events may have been lost.
type Signal struct {
	Reason SignalReason
	Stream string // whose; empty: of every stream
}

// Times and limits of WatchSignals.
const (
	probeEvery    = time.Second
	probeTimeout  = time.Second
	watchAdvisory = 256 // elections that wait to be told
)

// WatchSignals tells handle of everything after which republished events may be missing, one after the
// other, until ctx ends. The hub is probed every second, and the loss of the link to it and its return
// are told once each. A link that was away for less than a second may go unnoticed: whoever must miss
// nothing also counts now and then.
func (c *Conn) WatchSignals(ctx context.Context, handle func(Signal)) error {
	lost := make(chan SignalReason, 2) // one of each reason; one that waits says it for the next
	note := func(reason SignalReason) {
		select {
		case lost <- reason:
		default:
		}
	}
	defer c.OnReconnect(func() { note(Reconnected) })()
	elected := make(chan *nats.Msg, watchAdvisory)
	sub, err := c.nc.ChanSubscribe(streams.LeaderElectedFilter(), elected)
	if err != nil {
		return Unavailable(err)
	}
	defer func() { c.logError("unsubscribe", c.unsubscribe(sub)) }()
	c.onSlow(sub, func() { note(SlowConsumer) })

	p := prober{conn: c, linked: true}
	defer p.end()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		changed := false
		select {
		case <-ctx.Done():
			return nil
		case reason := <-lost:
			handle(Signal{Reason: reason})
		case m := <-elected:
			if stream, err := streams.ParseLeaderElected(m.Subject); err == nil {
				handle(Signal{Reason: LeaderElected, Stream: stream})
			}
		case m := <-p.answer:
			changed = p.conclude(!NoResponders(m))
		case <-tick.C:
			changed = p.tick()
		}
		if changed && p.linked {
			handle(Signal{Reason: LinkRestored})
		} else if changed {
			handle(Signal{Reason: LinkLost})
		}
	}
}

// prober asks the hub whether it is there. It belongs to one goroutine.
type prober struct {
	conn   *Conn
	linked bool
	asked  *asked
	answer chan *nats.Msg // of asked; nil: no probe is under way
	sent   time.Time
}

// tick ends a probe that was not answered in time and sends the next. It reports whether linked changed.
func (p *prober) tick() (changed bool) {
	if p.asked != nil {
		if time.Since(p.sent) < probeTimeout-probeEvery/10 { // ticks are not exact
			return false
		}
		changed = p.conclude(false)
	}
	q, err := p.conn.ask(streams.HubInfoSubject(), nil, 1)
	if err != nil {
		return p.conclude(false) || changed
	}
	p.asked, p.answer, p.sent = q, q.got, time.Now()
	return changed
}

// conclude ends the probe. It reports whether linked changed.
func (p *prober) conclude(linked bool) (changed bool) {
	p.end()
	changed = linked != p.linked
	p.linked = linked
	return changed
}

func (p *prober) end() {
	if p.asked != nil {
		p.asked.stop()
	}
	p.asked, p.answer = nil, nil
}
