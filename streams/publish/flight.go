package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// stage is what a flight waits for.
type stage uint8

const (
	queued   stage = iota // the writer
	sent                  // an answer
	resting               // its next attempt
	finished              // nothing: its done has been or is being called
)

// flight is one event from Publish to its outcome.
type flight struct {
	// immutable once accepted
	msg      *nats.Msg // its Reply belongs to the writer
	stream   string    // that must store it
	done     func(bus.Ack, error)
	token    uint64
	deadline time.Time

	// guarded by Publisher.mu
	stage    stage
	at       time.Time // when the sweep looks at it
	index    int       // in dueHeap
	attempts int
	open     int   // attempts that may still be stored: sent, without a certain answer
	last     error // why the last attempt failed
}

func newFlight(m bus.Message, done func(bus.Ack, error)) (*flight, error) {
	subject, err := streams.ChatSubject(m.Place.Shard, m.Place.WorkspaceID, m.Place.ChannelID)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "There is no such place")
	}
	msg := &nats.Msg{Subject: subject, Data: m.Payload, Header: nats.Header{streams.HeaderMsgID: {m.MsgID}}}
	if m.TraceParent != "" {
		msg.Header[streams.HeaderTrace] = []string{m.TraceParent}
	}
	return &flight{msg: msg, stream: streams.ChatStream(m.Place.Shard), done: done, last: errNoAnswer}, nil
}

// failure is the outcome of an event without a verdict: unknown only if an attempt may still be stored.
func (f *flight) failure(cause error) error {
	if f.open > 0 {
		cause = errors.Join(bus.ErrUnknown, cause)
	}
	return bus.Unavailable(fmt.Errorf("%s, %d attempts: %w", f.msg.Subject, f.attempts, cause))
}

// dueHeap orders flights by when the sweep must look at them.
type dueHeap []*flight

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is of heap.Interface.
func (h *dueHeap) Push(x any) {
	f := x.(*flight)
	f.index = len(*h)
	*h = append(*h, f)
}

// Pop is of heap.Interface.
func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	f := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return f
}

// next is what follows from an answer.
type next uint8

const (
	ignore  next = iota // it says nothing about the event: keep waiting
	again               // send it again, under the same id
	stored              // it is stored
	refused             // it is not, and will not be
)

// verdict is what an answer, or its absence, means.
type verdict struct {
	then    next
	ack     bus.Ack
	err     error
	certain bool // this attempt is not stored, or is the ack
	always  bool // with refuse: every other attempt is refused too
}

// judgeWrite is the verdict on an attempt that the connection did not take.
func judgeWrite(err error) verdict {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return verdict{then: refused, err: tooLarge(err), certain: true, always: true}
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, nats.ErrHeadersNotSupported): // nothing was written; the last is a connection that was never made
		return verdict{then: again, err: err, certain: true}
	}
	return verdict{then: again, err: err} // a write that failed may have been a write of all of it
}

// Codes of the server's answers (nats-server errors.json).
const (
	codeClusterIncomplete  = 10004
	codeNoSuitablePeers    = 10005
	codeNotActive          = 10006
	codeNotAssigned        = 10007
	codeNotAvailable       = 10008
	codeNotLeader          = 10009
	codeMessageTooLarge    = 10054
	codePeerRemapped       = 10075
	codeStoreFailed        = 10077 // the stream is full (discard new), or the message too large for a file
	codeHeaderTooLarge     = 10097
	codeDuplicateInProcess = 10158
	codeTooManyRequests    = 10167
)

// storeFailedTooLarge is how codeStoreFailed says that it will always be so (nats-server store.go).
const storeFailedTooLarge = "message too large"

// judgeAnswer is the verdict on the answer m to an attempt to store in stream.
func judgeAnswer(m *nats.Msg, stream string) verdict {
	if bus.NoResponders(m) {
		return verdict{then: again, err: nats.ErrNoResponders, certain: true}
	}
	var pub struct {
		Stream    string        `json:"stream"`
		Domain    string        `json:"domain"`
		Seq       uint64        `json:"seq"`
		Duplicate bool          `json:"duplicate"`
		Error     *bus.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &pub); err != nil {
		return verdict{then: ignore, err: fmt.Errorf("not a PubAck: %w", err)}
	}
	if pub.Error != nil && (pub.Stream == stream || pub.Stream == "") {
		return judgeRefusal(pub.Error)
	}
	if pub.Stream != stream || pub.Domain != streams.HubDomain || pub.Seq == 0 || chat.Seq(pub.Seq) > chat.MaxSeq {
		// Another stream captures our subject. That is no proof of ours, and no refusal by it.
		return verdict{then: ignore, err: fmt.Errorf("stored by stream %.40q of domain %.40q at %d", pub.Stream, pub.Domain, pub.Seq)}
	}
	return verdict{then: stored, ack: bus.Ack{Stream: pub.Stream, Domain: pub.Domain, Seq: chat.Seq(pub.Seq), Duplicate: pub.Duplicate}, certain: true}
}

func judgeRefusal(e *bus.APIError) verdict {
	switch e.ErrCode {
	case codeDuplicateInProcess, codeTooManyRequests, codeClusterIncomplete, codeNoSuitablePeers, codeNotActive,
		codeNotAssigned, codeNotAvailable, codeNotLeader, codePeerRemapped:
		return verdict{then: again, err: e, certain: true}
	case codeMessageTooLarge, codeHeaderTooLarge:
		return verdict{then: refused, err: tooLarge(e), certain: true, always: true}
	case codeStoreFailed:
		if e.Description == storeFailedTooLarge {
			return verdict{then: refused, err: tooLarge(e), certain: true, always: true}
		}
		return verdict{then: refused, err: fault.Wrap(fault.Unavailable, e, "The message log is full").After(bus.RetryAfter), certain: true}
	}
	switch e.Code {
	case 429: // an answer of the server, not a status of ours
		return verdict{then: again, err: e, certain: true}
	case 503:
		return verdict{then: refused, err: bus.Unavailable(e), certain: true}
	}
	return verdict{then: refused, err: fault.Wrap(fault.Internal, e, "The message log refuses it"), certain: true}
}

func tooLarge(err error) error {
	return fault.Wrap(fault.TooLarge, err, "The message is larger than the log takes")
}
