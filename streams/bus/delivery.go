package bus

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
)

// Delivery is an event that a consumer must say an Outcome for.
type Delivery struct {
	Entry
	NumDelivered int         // 1 the first time
	Header       nats.Header // as it was stored; only of a stream that is not a CHAT
}

// Outcome is what becomes of a Delivery. The zero value is Done.
type Outcome struct {
	Kind   OutcomeKind
	After  time.Duration // with Retry and Keep; 0 with Retry: the consumer's own backoff
	Reason string        // with Park and Retry: for the operator
}

// OutcomeKind says what becomes of a Delivery.
type OutcomeKind uint8

// The kinds of outcomes.
const (
	KindDone   OutcomeKind = iota // never again
	KindRetry                     // again later; after the last delivery that the consumer makes, it is parked instead
	KindPark                      // never again, with a note for good that says why (see Parked); it stays in the log
	KindRemove                    // never again, and it is taken out of its stream
	KindKeep                      // later, by this very process, which holds it meanwhile; no delivery is counted
)

// Done says that the event has been dealt with.
func Done() Outcome { return Outcome{} }

// Retry says that the event must come again, after d; 0: after the consumer's own backoff, with jitter.
func Retry(d time.Duration) Outcome { return RetryBecause(d, "") }

// RetryBecause is Retry with what went wrong: if this was the last delivery, that is why the event is parked.
func RetryBecause(d time.Duration, reason string) Outcome {
	return Outcome{Kind: KindRetry, After: d, Reason: reason}
}

// Park says that the event can never be dealt with.
func Park(reason string) Outcome { return Outcome{Kind: KindPark, Reason: reason} }

// Remove says that the event has been dealt with, and that nobody else wants it: it is taken out of its stream when the server has
// the ack. One that cannot be taken out stays there until it is too old, and is delivered to nobody.
func Remove() Outcome { return Outcome{Kind: KindRemove} }

// Keep says that the event waits for something that is not its fault, and is to be handed over again after d,
// longer each time.
func Keep(d time.Duration) Outcome { return Outcome{Kind: KindKeep, After: d} }

// ParseDelivery reads an event as a pull consumer delivers it. ok is false for what is none.
func ParseDelivery(m *nats.Msg, stream, consumer string) (d Delivery, ok bool) {
	meta, err := m.Metadata()
	if err != nil || meta.Stream != stream || meta.Consumer != consumer {
		return Delivery{}, false
	}
	d.Seq, d.At, d.Payload = chat.Seq(meta.Sequence.Stream), meta.Timestamp.UTC(), m.Data
	d.NumDelivered = int(meta.NumDelivered)
	d.setSubject(m.Subject, stream)
	d.setPublished(m)
	if !isLog(stream) {
		d.Header = m.Header
	}
	return d, true
}
