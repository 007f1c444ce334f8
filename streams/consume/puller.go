package consume

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// delivered is an event and the subject on which it is acknowledged.
type delivered struct {
	bus.Delivery
	reply string
}

// puller asks a consumer for events. It belongs to one goroutine.
type puller struct {
	c       *Consumer
	subject string
	prefix  string         // of the subjects for the server's remarks on a pull
	got     chan *nats.Msg // events of any pull, also late ones, and remarks. Never closed
	sub     *nats.Subscription
	pulls   uint64
	resumed chan struct{} // one token: the connection was made again. Never closed
	forget  func()        // ends that
}

func openPuller(c *Consumer) (*puller, error) {
	p := &puller{c: c, prefix: nats.NewInbox() + ".", got: make(chan *nats.Msg, 2*c.cfg.MaxBatch+64), resumed: make(chan struct{}, 1)}
	var err error
	if p.subject, err = streams.ConsumerNextSubject(c.cfg.Stream, c.cfg.Consumer); err != nil {
		return nil, err
	}
	if p.sub, err = c.conn.NATS().ChanSubscribe(p.prefix+"*", p.got); err != nil {
		return nil, bus.Unavailable(err)
	}
	p.forget = c.conn.OnReconnect(func() {
		select {
		case p.resumed <- struct{}{}:
		default:
		}
	})
	return p, nil
}

// close lets the server see that nobody listens any more, so that it delivers nothing to an open pull.
func (p *puller) close() {
	p.forget()
	if err := p.sub.Unsubscribe(); err != nil && p.c.conn.Connected() {
		p.c.log.Debug("unsubscribe", "err", err)
	}
	for { // what came too late for a batch goes to somebody else at once
		select {
		case m := <-p.got:
			if _, ok := bus.ParseDelivery(m, p.c.cfg.Stream, p.c.cfg.Consumer); !ok {
				continue
			}
			if err := p.c.conn.NATS().Publish(m.Reply, []byte(ackRetry)); err != nil {
				return // it comes again when the server has waited long enough
			}
		default:
			return
		}
	}
}

// pullRequest asks for what is there, at most Batch events of MaxBytes together; when nothing is there, it waits for the next.
type pullRequest struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	NoWait    bool          `json:"no_wait"` // with Expires: answer as soon as there is anything
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat"`
}

// What a server remarks on a pull (nats-server consumer.go).
const (
	statusHeartbeat = "100"
	statusNoMore    = "404"
	statusTimeout   = "408"
	statusConflict  = "409"
	descriptionOf   = "Description"

	fullOfBytes  = "Message Size Exceeds MaxBytes" // the next event would be one too many
	fullOfEvents = "Batch Completed"
)

// pull gets the next events; none when MaxWait went by. With an error there may be some, too.
func (p *puller) pull(ctx context.Context) ([]delivered, error) {
	cfg := p.c.cfg
	p.pulls++
	reply := p.prefix + strconv.FormatUint(p.pulls, 36)
	heartbeat := max(min(time.Second, cfg.MaxWait/3), 100*time.Millisecond)
	body, err := json.Marshal(pullRequest{cfg.MaxBatch, cfg.MaxBytes, true, max(cfg.MaxWait, 2*heartbeat), heartbeat})
	if err != nil {
		return nil, fmt.Errorf("pull: %w", err)
	}
	if err := p.c.conn.NATS().PublishRequest(p.subject, reply, body); err != nil {
		return nil, bus.Unavailable(err)
	}
	silence := time.NewTimer(2*heartbeat + time.Second)
	defer silence.Stop()
	var batch []delivered
	for len(batch) < cfg.MaxBatch {
		select {
		case <-ctx.Done():
			return batch, nil
		case <-silence.C:
			return batch, errSilent
		case <-p.resumed:
			return batch, errResumed
		case m := <-p.got:
			silence.Reset(2*heartbeat + time.Second)
			if d, ok := bus.ParseDelivery(m, cfg.Stream, cfg.Consumer); ok {
				p.answered()
				batch = append(batch, delivered{d, m.Reply})
			} else if m.Subject == reply {
				if over, err := p.remark(m); over {
					return batch, err
				}
			}
		}
	}
	return batch, nil
}

// remark reads what the server says about the pull.
func (p *puller) remark(m *nats.Msg) (over bool, err error) {
	switch status := bus.Status(m); status {
	case statusHeartbeat:
		p.answered()
		return false, nil
	case statusNoMore, statusTimeout:
		p.answered()
		return true, nil
	case statusConflict:
		if said := m.Header.Get(descriptionOf); said == fullOfBytes || said == fullOfEvents {
			p.answered()
			return true, nil
		}
		fallthrough
	default: // the leader changed, the consumer was deleted, nobody listens …
		return true, fmt.Errorf("pull: status %.10q: %.80q", status, m.Header.Get(descriptionOf))
	}
}

func (p *puller) answered() {
	p.c.note(func(s *State) { s.Pulling, s.LastPull = s.Outage == nil, time.Now() })
}

// limits are those of the consumer that say when an event comes again.
type limits struct {
	AckWait    time.Duration   `json:"ack_wait"`
	Backoff    []time.Duration `json:"backoff"`     // overrides AckWait, by how often an event was delivered
	MaxDeliver int             `json:"max_deliver"` // fewer than 1: for ever
}

// progressEvery is how often an event that is held must be marked: thrice in the shortest time.
func (l limits) progressEvery() time.Duration {
	shortest := l.AckWait
	for _, d := range l.Backoff {
		if shortest <= 0 || d < shortest {
			shortest = d
		}
	}
	return max(shortest/3, 20*time.Millisecond)
}

// delay is what to tell the server so that an event comes again after d; 0: after the consumer's backoff, or somewhat
// earlier, so that what failed together does not come back together.
// The server lets the delay begin as if AckWait had just passed, and compares with the backoff of this
// delivery (nats-server consumer.go, processNak and checkPending): the difference is taken off, and what
// is sent may be negative.
func (l limits) delay(d time.Duration, numDelivered int) time.Duration {
	wait := l.AckWait
	if len(l.Backoff) > 0 {
		wait = l.Backoff[min(max(numDelivered, 1), len(l.Backoff))-1]
	}
	if d <= 0 {
		d = bus.Backoff(wait, wait, 0)
	}
	return d - (wait - l.AckWait)
}

// last makes a park of a retry that no delivery would follow: the server would give the event up, and say so to nobody for certain.
func (l limits) last(h delivered, o bus.Outcome) bus.Outcome {
	if o.Kind == bus.KindRetry && l.MaxDeliver > 0 && h.NumDelivered >= l.MaxDeliver {
		return bus.Park(bus.GaveUp(h.NumDelivered, o.Reason))
	}
	return o
}

// What a client says about a delivery (nats-server consumer.go).
const (
	ackDone     = "+ACK"
	ackProgress = "+WPI"
	ackRetry    = "-NAK" // alone: for anybody, at once
	ackPark     = "+TERM"
)

func acknowledgement(h delivered, o bus.Outcome, limits limits) []byte {
	switch o.Kind {
	case bus.KindRetry:
		return fmt.Appendf(nil, `%s {"delay": %d}`, ackRetry, limits.delay(o.After, h.NumDelivered).Nanoseconds())
	case bus.KindPark:
		return fmt.Appendf(nil, "%s %s", ackPark, bus.PrintableReason(o.Reason))
	default:
		return []byte(ackDone)
	}
}
