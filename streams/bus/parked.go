package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// MaxReason is the longest reason in bytes that is kept of why an event was parked.
const MaxReason = 512

// ReasonDeleted is the reason of an advisory about an event that was taken out of its stream while a consumer had not acknowledged
// it (nats-server consumer.go).
const ReasonDeleted = "Unacknowledged message was deleted"

// Parked says that a consumer will never be given an event again, and why. A process of ours notes it on
// streams.ParkedSubject before it says so to the server (ParseParked); the server says it once, to whoever listens
// (ParseAdvisory).
type Parked struct {
	Stream     string    `json:"stream"`
	Consumer   string    `json:"consumer"`
	Seq        chat.Seq  `json:"stream_seq"`
	Deliveries int       `json:"deliveries"`
	Reason     string    `json:"reason"`
	At         time.Time `json:"timestamp"`
}

// ErrNotParked is what every error of ParseParked and ParseAdvisory wraps.
var ErrNotParked = errors.New("it does not say that an event was parked")

// ParseParked reads a note of ours. What it tells of is one of our consumers, and the reason is as PrintableReason makes it.
func ParseParked(b []byte) (Parked, error) {
	var p Parked
	if err := json.Unmarshal(b, &p); err != nil {
		return Parked{}, fmt.Errorf("%w: %w", ErrNotParked, err)
	}
	return p.checked()
}

// Types of the server's advisories (nats-server jetstream_events.go).
const (
	advisoryGivenUp = "io.nats.jetstream.advisory.v1.max_deliver"
	advisoryParked  = "io.nats.jetstream.advisory.v1.terminated"
)

// ParseAdvisory reads what the server says when a consumer gave an event up or parked it. Those of a leaf are refused:
// its streams are not ours.
func ParseAdvisory(b []byte) (Parked, error) {
	var a struct {
		Type   string `json:"type"`
		Domain string `json:"domain"`
		Parked
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return Parked{}, fmt.Errorf("%w: %w", ErrNotParked, err)
	}
	if a.Domain != streams.HubDomain {
		return Parked{}, fmt.Errorf("%w: domain %.40q", ErrNotParked, a.Domain)
	}
	switch a.Type {
	case advisoryGivenUp:
		a.Reason = GaveUp(a.Deliveries, "")
	case advisoryParked:
	default:
		return Parked{}, fmt.Errorf("%w: type %.80q", ErrNotParked, a.Type)
	}
	return a.checked()
}

// Encode writes the note.
func (p Parked) Encode() ([]byte, error) {
	p.Reason = PrintableReason(p.Reason)
	return json.Marshal(p)
}

func (p Parked) checked() (Parked, error) {
	consumers, err := streams.Consumers(p.Stream)
	switch {
	case err != nil:
		return Parked{}, fmt.Errorf("%w: %w", ErrNotParked, err)
	case !slices.Contains(consumers, p.Consumer):
		return Parked{}, fmt.Errorf("%w: consumer %.40q of %s", ErrNotParked, p.Consumer, p.Stream)
	case p.Seq == 0 || p.Seq > chat.MaxSeq || p.Deliveries < 0 || p.At.IsZero():
		return Parked{}, fmt.Errorf("%w: stream_seq %d, deliveries %d, timestamp %v", ErrNotParked, p.Seq, p.Deliveries, p.At)
	}
	p.At, p.Reason = p.At.UTC(), PrintableReason(p.Reason)
	return p, nil
}

// GaveUp is the reason of an event that was delivered as often as its consumer delivers; last is what went wrong the last time, if
// that is known.
func GaveUp(deliveries int, last string) string {
	reason := fmt.Sprintf("gave up after %d deliveries", deliveries)
	if last != "" {
		reason += ": " + last
	}
	return reason
}

// PrintableReason makes a text one line of at most MaxReason bytes that a terminal and a header can show.
func PrintableReason(s string) string {
	if len(s) > 4*MaxReason { // before it is looked at: an error may quote megabytes
		s = s[:4*MaxReason]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > MaxReason {
		s = strings.ToValidUTF8(s[:MaxReason], "")
	}
	return strings.TrimSpace(s)
}
