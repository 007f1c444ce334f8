package dlq

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
)

// How a letter's end was noticed.
const (
	FoundNote           = "note"           // a process of ours noted it before it parked the event
	FoundAdvisory       = "advisory"       // the server said so
	FoundReconciliation = "reconciliation" // nobody said so: the event was missing where its consumer should have brought it
)

// Letter is a dead letter.
type Letter struct {
	ID       uint64 // its seq in the DLQ; 0: it is not there yet
	Stream   string // that holds, or held, the original. Empty, as is Consumer: somebody put the letter into the DLQ by hand
	Consumer string // that parked it or gave it up
	Subject  string // of the original; empty if Gone
	Seq      chat.Seq
	Reason   string    // for people; one line
	Attempts int       // deliveries to the consumer
	At       time.Time // when it ended
	StoredAt time.Time // when the original was stored, to the nanosecond; zero if Gone

	MsgID       string      // the Nats-Msg-Id of the original
	TraceParent string      // W3C Trace Context; may be empty
	Found       string      // see above
	Header      nats.Header // the original's, as far as they were kept
	Payload     []byte      // the original's
	Gone        bool        // its stream did not hold the original any more when the letter was written
	GoneBecause string      // if Gone: why, as far as that is known
}

// Entry is the original as its stream held it.
func (l Letter) Entry() bus.Entry {
	e := bus.Entry{Seq: l.Seq, At: l.StoredAt, Payload: l.Payload, MsgID: l.MsgID, TraceParent: l.TraceParent}
	shard, err := streams.ParseChatStream(l.Stream)
	if err != nil {
		e.Subject = l.Subject
		return e
	}
	place, err := streams.ParseChat(l.Subject)
	if err != nil || place.Shard != shard {
		e.Foreign, e.Subject = true, l.Subject
		return e
	}
	e.Place = place
	return e
}

// WorkspaceID is the workspace whose the original is; empty if its subject is of none.
func (l Letter) WorkspaceID() chat.WorkspaceID {
	if p, err := streams.ParseChat(l.Subject); err == nil {
		return p.WorkspaceID
	}
	if ws, _, _, err := streams.ParseDelivery(l.Subject); err == nil {
		return ws
	}
	if ws, _, _, _, err := streams.ParseSched(l.Subject); err == nil {
		return ws
	}
	return ""
}

// Limits of the original's headers in a letter.
const (
	maxKept  = 24 << 10 // of all, in bytes; the server takes 64 KiB
	maxValue = 8 << 10  // of one value

	ownPrefix  = "Canopy-Dead-"
	natsPrefix = "Nats-"
	traceLimit = 128
)

// record is the message that a letter is.
func (l Letter) record() (publish.Record, error) {
	subject, err := streams.DeadMsgID(l.Stream, l.Consumer, l.Seq)
	if err != nil {
		return publish.Record{}, err
	}
	h, cut := kept(l.Header)
	for key, value := range map[string]string{
		streams.HeaderMsgID: subject, streams.HeaderExpectedLast: "0",
		streams.HeaderDeadStream: l.Stream, streams.HeaderDeadConsumer: l.Consumer, streams.HeaderDeadSubject: line(l.Subject, maxValue),
		streams.HeaderDeadSeq: strconv.FormatUint(uint64(l.Seq), 10), streams.HeaderDeadReason: bus.PrintableReason(l.Reason),
		streams.HeaderDeadAttempts: strconv.Itoa(l.Attempts), streams.HeaderDeadAt: l.At.UTC().Format(time.RFC3339),
		streams.HeaderDeadMsgID: line(l.MsgID, maxValue), streams.HeaderDeadFound: l.Found,
	} {
		if value != "" {
			h[key] = []string{value}
		}
	}
	if l.TraceParent != "" {
		h[streams.HeaderTrace] = []string{line(l.TraceParent, traceLimit)}
	}
	if !l.StoredAt.IsZero() {
		h[streams.HeaderDeadStoredAt] = []string{l.StoredAt.UTC().Format(time.RFC3339Nano)}
	}
	if l.Gone {
		h[streams.HeaderDeadGone] = []string{cmp.Or(bus.PrintableReason(l.GoneBecause), "it is not known why")}
	}
	if cut > 0 {
		h[streams.HeaderDeadCut] = []string{strconv.Itoa(cut)}
	}
	return publish.Record{Stream: streams.StreamDLQ, Subject: subject, Header: h, Payload: l.Payload}, nil
}

// kept is what a letter carries of the original's headers, and how many do not fit. The names come in their order, so that what is
// cut is always the same.
func kept(original nats.Header) (h nats.Header, cut int) {
	h = nats.Header{}
	left := maxKept
	for _, key := range slices.Sorted(maps.Keys(original)) {
		name := key
		switch {
		case hasPrefixFold(key, ownPrefix), strings.EqualFold(key, streams.HeaderMsgID), key == streams.HeaderTrace, !isName(key):
			continue // they are said elsewhere, or would say what is not so
		case hasPrefixFold(key, natsPrefix):
			name = streams.HeaderDeadNats + key
		}
		for _, value := range original[key] {
			value = line(value, maxValue)
			if left -= len(name) + len(value) + len(": \r\n"); left < 0 {
				cut++
				continue
			}
			h[name] = append(h[name], value)
		}
	}
	return h, cut
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// isName reports whether a text can be a header's name: a token (RFC 9110 §5.6.2).
func isName(key string) bool {
	for i := range len(key) {
		if c := key[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return key != "" && len(key) <= 256
}

// line makes a value one line of at most limit bytes that a terminal can show. What is one already stays as it is.
func line(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?")))
}

// letterOf reads a message of the DLQ. It reads everything, also what somebody put there by hand: an operator must see what lies
// there.
func letterOf(m message) Letter {
	h := m.header
	l := Letter{
		ID: uint64(m.seq), Stream: h.Get(streams.HeaderDeadStream), Consumer: h.Get(streams.HeaderDeadConsumer), Subject: h.Get(streams.HeaderDeadSubject),
		Reason: bus.PrintableReason(h.Get(streams.HeaderDeadReason)), MsgID: h.Get(streams.HeaderDeadMsgID), TraceParent: h.Get(streams.HeaderTrace),
		Found: h.Get(streams.HeaderDeadFound), Header: nats.Header{}, Payload: m.data, At: m.at,
	}
	seq, err := strconv.ParseUint(h.Get(streams.HeaderDeadSeq), 10, 64)
	subject, err2 := streams.DeadMsgID(l.Stream, l.Consumer, chat.Seq(seq))
	if err != nil || err2 != nil || subject != m.subject {
		return Letter{
			ID: l.ID, Subject: m.subject, Reason: "somebody put it into the DLQ by hand", At: m.at, StoredAt: m.at,
			MsgID: h.Get(streams.HeaderMsgID), Header: h, Payload: m.data,
		}
	}
	l.Seq = chat.Seq(seq)
	l.Attempts, _ = strconv.Atoi(h.Get(streams.HeaderDeadAttempts)) // 0 says that it is not known
	if at, err := time.Parse(time.RFC3339, h.Get(streams.HeaderDeadAt)); err == nil {
		l.At = at.UTC()
	}
	if at, err := time.Parse(time.RFC3339Nano, h.Get(streams.HeaderDeadStoredAt)); err == nil {
		l.StoredAt = at.UTC()
	}
	l.GoneBecause = h.Get(streams.HeaderDeadGone)
	l.Gone = l.GoneBecause != ""
	l.restore(h)
	return l
}

// restore gives the original's headers their names back.
func (l *Letter) restore(h nats.Header) {
	for key, values := range h {
		original, was := strings.CutPrefix(key, streams.HeaderDeadNats)
		switch {
		case was && hasPrefixFold(original, natsPrefix):
			l.Header[original] = values
		case !was && !hasPrefixFold(key, natsPrefix):
			l.Header[key] = values
		}
	}
	if l.MsgID != "" {
		l.Header[streams.HeaderMsgID] = []string{l.MsgID}
	}
}
