package later

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
)

// Message is stored on Subject at once; or, with Target and At, it waits on Subject and is stored on Target at At.
type Message struct {
	Subject string
	Target  string    // of the same stream, and not Subject; empty: the message does not wait
	At      time.Time // one that is past is now; zero if Target is empty
	MsgID   string    // by which the stream knows a repetition for two minutes; empty: not at all
	Payload []byte    // must not change until Put returns
}

// Entry is a Message as its stream holds it.
type Entry struct {
	Message
	Seq      chat.Seq
	StoredAt time.Time
}

// Store puts messages and finds them again. It may be used by many goroutines at once.
type Store struct{ conn *bus.Conn }

// New makes a Store.
func New(conn *bus.Conn) *Store { return &Store{conn: conn} }

// Put stores messages, many in flight, and returns when all are stored, in any order. A message that waits replaces what waits on its
// subject. After Unavailable some may be stored, and putting all of them again is safe while the stream knows their MsgIDs.
// Invalid: the subject or target of one is not of DELIVERY or SCHED, and none is stored.
func (s *Store) Put(ctx context.Context, messages ...Message) error {
	records := make([]publish.Record, len(messages))
	for i, m := range messages {
		r, err := m.record()
		if err != nil {
			return err
		}
		records[i] = r
	}
	_, err := publish.StoreAll(ctx, s.conn, records)
	return err
}

// atPrefix is how a schedule says that it is for one time (nats-server scheduler.go).
const atPrefix = "@at "

func (m Message) record() (publish.Record, error) {
	stream, err := streams.LaterStream(m.Subject)
	if err != nil {
		return publish.Record{}, badSubject(m.Subject, err)
	}
	r := publish.Record{Stream: stream, Subject: m.Subject, Header: nats.Header{}, Payload: m.Payload}
	if m.MsgID != "" {
		r.Header[streams.HeaderMsgID] = []string{m.MsgID}
	}
	if m.Target == "" && m.At.IsZero() {
		return r, nil
	}
	if of, err := streams.LaterStream(m.Target); err != nil || of != stream || m.Target == m.Subject || m.At.IsZero() {
		return publish.Record{}, fault.New(fault.Invalid, "What waits on %.120q cannot be stored on %.120q at %v", m.Subject, m.Target, m.At)
	}
	r.Header[streams.HeaderSchedule] = []string{atPrefix + m.At.UTC().Format(time.RFC3339Nano)}
	r.Header[streams.HeaderScheduleTarget] = []string{m.Target}
	return r, nil
}

func badSubject(subject string, err error) error {
	return fault.Wrap(fault.Invalid, err, "Nothing is kept for later on %.120q", subject)
}

// entryOf reads what the server holds.
func entryOf(subject string, h nats.Header, payload []byte) (e Entry, err error) {
	e.Subject, e.Payload, e.MsgID, e.Target = subject, payload, h.Get(streams.HeaderMsgID), h.Get(streams.HeaderScheduleTarget)
	if at, ok := strings.CutPrefix(h.Get(streams.HeaderSchedule), atPrefix); ok {
		if e.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return e, fmt.Errorf("schedule of %s: %w", subject, err)
		}
		e.At = e.At.UTC()
	}
	return e, nil
}

// getRequest is the body of a get from the leader, or of a Direct Get of many subjects.
type getRequest struct {
	Seq       chat.Seq `json:"seq,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
}

// Last is what waits on a subject, or the last that lies there, as the leader has it. The error is NotFound when there is nothing.
func (s *Store) Last(ctx context.Context, stream, subject string) (Entry, error) {
	if of, err := streams.LaterStream(subject); err != nil || of != stream {
		return Entry{}, badSubject(subject, streams.ErrBadSubject)
	}
	to, err := streams.LeaderGetSubject(stream)
	if err != nil {
		return Entry{}, err
	}
	var answer struct {
		Message struct {
			Seq    chat.Seq  `json:"seq"`
			Header []byte    `json:"hdrs"`
			Data   []byte    `json:"data"`
			Time   time.Time `json:"time"`
		} `json:"message"`
	}
	if err := s.conn.RequestAPI(ctx, to, getRequest{LastFor: subject}, &answer); err != nil {
		return Entry{}, err
	}
	h := nats.Header{}
	if len(answer.Message.Header) > 0 {
		if h, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return Entry{}, fmt.Errorf("headers of %s: %w", subject, err)
		}
	}
	e, err := entryOf(subject, h, answer.Message.Data)
	e.Seq, e.StoredAt = answer.Message.Seq, answer.Message.Time.UTC()
	return e, err
}

// Cancel takes out what waits or lies on a subject; was says whether anything did. What was due a moment ago may lie on its target
// already. After Unavailable it may be gone.
func (s *Store) Cancel(ctx context.Context, stream, subject string) (was bool, err error) {
	if of, err := streams.LaterStream(subject); err != nil || of != stream {
		return false, badSubject(subject, streams.ErrBadSubject)
	}
	to, err := streams.PurgeSubject(stream)
	if err != nil {
		return false, err
	}
	var done struct {
		Purged uint64 `json:"purged"`
	}
	err = s.conn.RequestAPI(ctx, to, map[string]string{"filter": subject}, &done)
	return done.Purged > 0, err
}

// Delete takes one message out, after its end. One that is not there any more is no error.
func (s *Store) Delete(ctx context.Context, stream string, seq chat.Seq) error {
	if stream != streams.StreamDelivery && stream != streams.StreamSched {
		return fault.Wrap(fault.Invalid, streams.ErrBadStream, "Nothing is kept for later in %.40q", stream)
	}
	return s.conn.TakeOut(ctx, stream, seq)
}
