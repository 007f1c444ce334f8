package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// Limits of reading.
const (
	MaxBatch         = 512     // events of one Read
	DefaultReadBytes = 1 << 20 // bytes of one Read, roughly: at least one event comes
	maxReads         = 32      // questions that are being answered at once; more wait
	maxLast          = 1024    // subjects of one multi_last (nats-server stream.go)
	lastBytes        = 4 << 20 // bytes of one answer to multi_last, whose events come whole
)

// Log reads the logs of all shards by Direct Get. Any replica answers, so an answer may be older than
// what the leader has; it is always a whole and consistent piece of the log, from its beginning. That something is not
// there is therefore never known from Read, Get, Head or Count alone: whoever concludes anything from it asks
// LeaderLast or Bounds how far the log goes, before, and reads until there.
type Log struct {
	conn  *Conn
	slots chan struct{} // taken while a question is being answered
}

// NewLog makes a Log.
func NewLog(conn *Conn) *Log { return &Log{conn: conn, slots: make(chan struct{}, maxReads)} }

// ReadQuery says which events.
type ReadQuery struct {
	Shard      streams.Shard
	Filter     string   // a subject or filter of this shard, made by a builder of streams
	From       chat.Seq // the first one that is wanted
	MaxEntries int      // 0 or more than MaxBatch: MaxBatch
	MaxBytes   int      // of the events, roughly: at least one comes; 0: DefaultReadBytes
}

// Batch is a piece of a log without a hole.
type Batch struct {
	Entries []Entry // rising by Seq
	Pending uint64  // how many more events the log holds after the last one that match
}

// getRequest is the body of a Direct Get and of a get from the leader.
type getRequest struct {
	Seq       chat.Seq `json:"seq,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	UpToSeq   chat.Seq `json:"up_to_seq,omitempty"`
}

// Read reads the events from q.From on. A batch that stops in the middle is an error: Unavailable.
func (l *Log) Read(ctx context.Context, q ReadQuery) (Batch, error) {
	limit, bytes := q.MaxEntries, q.MaxBytes
	if limit <= 0 || limit > MaxBatch {
		limit = MaxBatch
	}
	if bytes <= 0 {
		bytes = DefaultReadBytes
	}
	return l.get(ctx, q.Shard, getRequest{Seq: max(q.From, 1), NextFor: q.Filter, Batch: limit, MaxBytes: bytes}, limit)
}

// Count is how many events the log holds from q.From on that match, at the price of reading one. What was
// deleted or is too old is not among them. It sees the log at one moment: whoever compares it with what
// they have got must have got that before they ask.
func (l *Log) Count(ctx context.Context, q ReadQuery) (uint64, error) {
	q.MaxEntries = 1
	b, err := l.Read(ctx, q)
	if err != nil || len(b.Entries) == 0 {
		return 0, err
	}
	return b.Pending + 1, nil
}

// Get reads one event. NotFound: it was deleted, is too old, or not stored yet, as far as the replica knows.
func (l *Log) Get(ctx context.Context, shard streams.Shard, seq chat.Seq) (Entry, error) {
	b, err := l.get(ctx, shard, getRequest{Seq: max(seq, 1)}, 1)
	if err != nil {
		return Entry{}, err
	}
	if seq == 0 || len(b.Entries) == 0 {
		return Entry{}, notInLog()
	}
	return b.Entries[0], nil
}

// Head is the last event that matches filter, as far as the replica knows; 0: there is none.
func (l *Log) Head(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error) {
	b, err := l.get(ctx, shard, getRequest{LastFor: filter}, 1)
	if err != nil || len(b.Entries) == 0 {
		return 0, err
	}
	return b.Entries[0].Seq, nil
}

// LeaderLast is the last event of a subject; 0: there is none. Only the stream's leader answers, so it
// includes everything that was acknowledged before. For some seconds a leader that was cut off from the others does not know
// that they have another one (10 to 20 s, nats-server raft.go, lostQuorumInterval): to those who reach no other server it
// tells the end of its own log. Nothing can be stored through it meanwhile.
func (l *Log) LeaderLast(ctx context.Context, shard streams.Shard, subject string) (chat.Seq, error) {
	var answer struct {
		Message struct {
			Seq chat.Seq `json:"seq"`
		} `json:"message"`
	}
	to, err := streams.LeaderGetSubject(streams.ChatStream(shard))
	if err == nil {
		err = l.conn.RequestAPI(ctx, to, getRequest{LastFor: subject}, &answer)
	}
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return answer.Message.Seq, err
}

// Bounds are the first and the last event that the stream of a shard holds. When it holds none, first
// is last+1. An expired or deleted event at either end is not counted as held, but last never goes back.
func (l *Log) Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error) {
	var info struct {
		State struct {
			First chat.Seq `json:"first_seq"`
			Last  chat.Seq `json:"last_seq"`
		} `json:"state"`
	}
	to, err := streams.StreamInfoSubject(streams.ChatStream(shard))
	if err == nil {
		err = l.conn.RequestAPI(ctx, to, nil, &info)
	}
	return max(info.State.First, 1), info.State.Last, err
}

// get asks a Direct Get whose answer has at most limit events. Nothing to answer with is no error.
func (l *Log) get(ctx context.Context, shard streams.Shard, req getRequest, limit int) (Batch, error) {
	stream := streams.ChatStream(shard)
	to, err := streams.DirectGetSubject(stream)
	if err != nil {
		return Batch{}, fault.Wrap(fault.Invalid, err, "There is no such log")
	}
	body, err := json.Marshal(req)
	if err != nil {
		return Batch{}, fmt.Errorf("direct get: %w", err)
	}
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return Batch{}, Unavailable(context.Cause(ctx))
	}
	q, err := l.conn.ask(to, body, limit+1)
	if err != nil {
		return Batch{}, err
	}
	defer q.stop()
	a := answer{stream: stream, single: req.Batch == 0 && len(req.MultiLast) == 0}
	for !a.whole {
		m, err := q.next(ctx)
		if err == nil {
			err = a.add(m)
		}
		if err != nil {
			return Batch{}, err
		}
	}
	return a.Batch, nil
}

// answer is an answer to a Direct Get as far as it has come.
type answer struct {
	Batch
	stream string
	single bool // it is one message, with no end after it
	whole  bool
}

// Statuses of a message that is not an event (nats-server stream.go).
const (
	statusEnd     = "204"
	statusNothing = "404"
)

// add takes the next message of the answer. An event says which one came before it, and so does the end:
// an answer that lost a message on its way is not taken for a whole one.
func (a *answer) add(m *nats.Msg) error {
	var before chat.Seq
	if n := len(a.Entries); n > 0 {
		before = a.Entries[n-1].Seq
	}
	if len(m.Header[streams.HeaderStream]) > 0 {
		e, err := parseEntry(m, a.stream)
		if err != nil {
			return fault.Wrap(fault.Internal, err, "The message log answers in an unknown form")
		}
		if prev, err := seqOf(m, streams.HeaderLastSequence); !a.single && (err != nil || prev != before) {
			return Unavailable(errHole)
		}
		a.Entries = append(a.Entries, e)
		a.whole = a.single
		return nil
	}
	switch status := Status(m); {
	case status == statusEnd:
		pending, err := numberOf(m, streams.HeaderNumPending)
		prev, err2 := seqOf(m, streams.HeaderLastSequence)
		if err != nil || err2 != nil || prev != before {
			return Unavailable(errHole)
		}
		a.Pending, a.whole = pending, true
		return nil
	case status == statusNothing && before == 0:
		a.whole = true
		return nil
	default:
		return Unavailable(fmt.Errorf("direct get from %s: status %.40q", a.stream, status))
	}
}

var errHole = errors.New("a message of the answer is missing")

func notInLog() error { return fault.New(fault.NotFound, "The message log does not hold it") }

// RequestAPI asks a JetStream API that answers with JSON. NotFound: there is no such message.
func (c *Conn) RequestAPI(ctx context.Context, subject string, req, answer any) error {
	var body []byte
	if req != nil {
		var err error
		if body, err = json.Marshal(req); err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
	}
	m, err := c.request(ctx, subject, body)
	if err != nil {
		return err
	}
	var failed struct {
		Error *APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failed); err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	switch {
	case failed.Error == nil:
		return json.Unmarshal(m.Data, answer)
	case failed.Error.gone():
		return fault.Wrap(fault.NotFound, failed.Error, "The message log does not hold it")
	}
	return Unavailable(fmt.Errorf("%s: %w", subject, failed.Error))
}
