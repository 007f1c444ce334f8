package streams

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

const (
	// StreamDLQ keeps what a consumer parked or gave up: the original payload and headers, why, how often it was tried, and
	// where it came from.
	StreamDLQ = "DLQ"
	// ConsumerDeadletter is the durable consumer of ADVISORIES that moves what they tell of into the DLQ.
	ConsumerDeadletter = "deadletter"
)

// Headers of a dead letter, besides those of the original message, whose Nats-Msg-Id is in HeaderDeadMsgID.
const (
	HeaderDeadStream   = "Canopy-Dead-Stream"    // the stream that holds, or held, the original
	HeaderDeadConsumer = "Canopy-Dead-Consumer"  // the consumer that parked it or gave it up
	HeaderDeadSubject  = "Canopy-Dead-Subject"   // of the original; empty when it was gone
	HeaderDeadSeq      = "Canopy-Dead-Seq"       // of the original in its stream
	HeaderDeadReason   = "Canopy-Dead-Reason"    // why, for people
	HeaderDeadAttempts = "Canopy-Dead-Attempts"  // deliveries to the consumer
	HeaderDeadAt       = "Canopy-Dead-At"        // when it ended, RFC 3339
	HeaderDeadStoredAt = "Canopy-Dead-Stored-At" // when the original was stored, RFC 3339 with nanoseconds
	HeaderDeadMsgID    = "Canopy-Dead-Msg-Id"    // the Nats-Msg-Id of the original
	HeaderDeadFound    = "Canopy-Dead-Found"     // how it was noticed: advisory, note or reconciliation
	HeaderDeadGone     = "Canopy-Dead-Gone"      // why the original could not be kept with it: its stream had no more of it
	HeaderDeadCut      = "Canopy-Dead-Cut"       // how many headers of the original did not fit
	HeaderDeadNats     = "Canopy-Dead-"          // before the name of any other header of the original that begins with Nats-: there it would order the server about
)

const (
	dlqPrefix    = "dlq."
	parkedPrefix = "parked."
)

// DLQSubject is below which the dead letters of a consumer lie, dlq.<stream>.<consumer>; see DeadMsgID. The error is ErrBadStream or ErrBadSubject.
func DLQSubject(stream, consumer string) (string, error) {
	return ofConsumerOf(dlqPrefix, stream, consumer)
}

// DLQFilter is all dead letters, dlq.>.
func DLQFilter() string { return dlqPrefix + ">" }

// ParseDLQ is the inverse of DLQSubject. The error is ErrBadSubject.
func ParseDLQ(subject string) (stream, consumer string, err error) {
	return parseOfConsumer(dlqPrefix, subject)
}

// ParkedSubject is where a process of ours notes for good that a consumer of its parks or gives up an event,
// parked.<stream>.<consumer>: the server says it only once, and to whoever listens. The error is ErrBadStream or ErrBadSubject.
func ParkedSubject(stream, consumer string) (string, error) {
	return ofConsumerOf(parkedPrefix, stream, consumer)
}

// ParseParked is the inverse of ParkedSubject. The error is ErrBadSubject.
func ParseParked(subject string) (stream, consumer string, err error) {
	return parseOfConsumer(parkedPrefix, subject)
}

// DeadFilter is all dead letters of a consumer of a stream; an empty name means any. The error is ErrBadStream or ErrBadSubject.
func DeadFilter(stream, consumer string) (string, error) {
	if stream != "" {
		if err := checkStream(stream); err != nil {
			return "", err
		}
	}
	if consumer != "" && !chat.IsID(consumer) {
		return "", ErrBadSubject
	}
	return dlqPrefix + cmp.Or(stream, wildToken) + "." + cmp.Or(consumer, wildToken) + "." + wildToken, nil
}

// EndedKey is the key in the bucket deadletters of a dead letter that was dealt with, ended.<stream>.<consumer>.<seq>: whoever hears of it
// again makes no new one. The error is ErrBadStream or ErrBadSubject.
func EndedKey(stream, consumer string, seq chat.Seq) (string, error) {
	of, err := deadKey("ended.", stream, consumer)
	if err != nil {
		return "", err
	}
	return of + "." + strconv.FormatUint(uint64(seq), 10), nil
}

// CheckedKey is the key in the bucket deadletters of up to where a consumer has no dead letter missing, checked.<stream>.<consumer>. The error is
// ErrBadStream or ErrBadSubject.
func CheckedKey(stream, consumer string) (string, error) {
	return deadKey("checked.", stream, consumer)
}

// deadKey spells a stream without what a key cannot have.
func deadKey(prefix, stream, consumer string) (string, error) {
	if _, err := ofConsumerOf("", stream, consumer); err != nil {
		return "", err
	}
	return prefix + strings.ToLower(strings.ReplaceAll(stream, "_", "")) + "." + consumer, nil
}

// DeadMsgID is the Nats-Msg-Id of a dead letter and of the note that one is due: the end of one event at one consumer is told
// once, however often it is noticed. It is also the subject that the letter lies on, so that there is one at most and it is found
// without a search. The error is ErrBadStream or ErrBadSubject.
func DeadMsgID(stream, consumer string, seq chat.Seq) (string, error) {
	subject, err := DLQSubject(stream, consumer)
	if err != nil {
		return "", err
	}
	return subject + "." + strconv.FormatUint(uint64(seq), 10), nil
}

// IsAdvisory reports whether a subject is that of something a server says about a consumer, ours or not.
func IsAdvisory(subject string) bool { return strings.HasPrefix(subject, ofConsumer) }

func parseOfConsumer(prefix, subject string) (stream, consumer string, err error) {
	rest, ok := strings.CutPrefix(subject, prefix)
	stream, consumer, _ = strings.Cut(rest, ".")
	consumers, err := Consumers(stream)
	if !ok || err != nil || !slices.Contains(consumers, consumer) {
		return "", "", ErrBadSubject
	}
	return stream, consumer, nil
}
