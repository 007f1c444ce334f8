package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Limits of one question to a replica.
const (
	pageMessages = 256
	pageBytes    = 4 << 20
	pageBudget   = 5 * time.Second
	lagFirst     = 20 * time.Millisecond // the pause while a replica lags behind its leader doubles from here
	lagCap       = 500 * time.Millisecond
	lagTries     = 8
)

var (
	errLags = errors.New("the replica that answered lags behind the leader")
	errHole = errors.New("a message of the answer is missing")
)

// message is one of any stream.
type message struct {
	seq     chat.Seq
	subject string
	at      time.Time
	header  nats.Header
	data    []byte
}

// getRequest is the body of a get from the leader, and of a Direct Get of many.
type getRequest struct {
	Seq      chat.Seq `json:"seq,omitempty"`
	LastFor  string   `json:"last_by_subj,omitempty"`
	NextFor  string   `json:"next_by_subj,omitempty"`
	Batch    int      `json:"batch,omitempty"`
	MaxBytes int      `json:"max_bytes,omitempty"`
}

// fromLeader reads one message from the leader of a stream. The error is NotFound when there is none.
func (q *Queue) fromLeader(ctx context.Context, stream string, req getRequest) (message, error) {
	to, err := streams.LeaderGetSubject(stream)
	if err != nil {
		return message{}, err
	}
	var answer struct {
		Message struct {
			Seq     chat.Seq  `json:"seq"`
			Subject string    `json:"subject"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	if err := q.conn.RequestAPI(ctx, to, req, &answer); err != nil {
		return message{}, err
	}
	m := message{seq: answer.Message.Seq, subject: answer.Message.Subject, at: answer.Message.Time.UTC(), header: nats.Header{}, data: answer.Message.Data}
	if len(answer.Message.Header) > 0 {
		if h, err := nats.DecodeHeadersMsg(answer.Message.Header); err == nil {
			m.header = h
		} // else whoever published it by hand wrote none that can be read
	}
	return m, nil
}

// state is what the leader of a stream says of it.
type state struct {
	Created time.Time `json:"created"`
	State   struct {
		First   chat.Seq `json:"first_seq"`
		Last    chat.Seq `json:"last_seq"`
		Deleted uint64   `json:"num_deleted"`
	} `json:"state"`
}

func (q *Queue) state(ctx context.Context, stream string) (s state, err error) {
	to, err := streams.StreamInfoSubject(stream)
	if err != nil {
		return s, err
	}
	err = q.conn.RequestAPI(ctx, to, nil, &s)
	return s, err
}

// page is the next messages of a stream from a seq on that match; none: the leader has none either. A replica that lags is asked
// again.
func (q *Queue) page(ctx context.Context, stream, filter string, from chat.Seq) ([]message, error) {
	for attempt := 0; ; attempt++ {
		got, err := q.fromReplica(ctx, stream, getRequest{Seq: max(from, 1), NextFor: filter, Batch: pageMessages, MaxBytes: pageBytes})
		if err != nil || len(got) > 0 {
			return got, err
		}
		_, err = q.fromLeader(ctx, stream, getRequest{Seq: max(from, 1), NextFor: filter})
		switch {
		case fault.Is(err, fault.NotFound):
			return nil, nil
		case err != nil:
			return nil, err
		case attempt == lagTries:
			return nil, bus.Unavailable(fmt.Errorf("%s from %d: %w", stream, from, errLags))
		}
		if err := bus.Pause(ctx, bus.Backoff(lagFirst, lagCap, attempt)); err != nil {
			return nil, bus.Unavailable(err)
		}
	}
}

// fromReplica asks any replica for messages.
func (q *Queue) fromReplica(ctx context.Context, stream string, req getRequest) ([]message, error) {
	to, err := streams.DirectGetSubject(stream)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("direct get: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, pageBudget)
	defer cancel()
	nc := q.conn.NATS()
	inbox, got := nc.NewInbox(), make(chan *nats.Msg, pageMessages+1)
	sub, err := nc.ChanSubscribe(inbox, got)
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	defer func() {
		if err := sub.Unsubscribe(); err != nil && q.conn.Connected() {
			q.conn.Logger().Debug("unsubscribe", "err", err)
		}
	}()
	if err := nc.PublishRequest(to, inbox, body); err != nil {
		return nil, bus.Unavailable(err)
	}
	var a answer
	for {
		select {
		case m := <-got:
			if whole, err := a.add(m); whole || err != nil {
				return a.messages, err
			}
		case <-ctx.Done():
			return nil, bus.Unavailable(fmt.Errorf("%s: %w", to, context.Cause(ctx)))
		}
	}
}

// answer is one to a Direct Get of many, as far as it has come.
type answer struct {
	messages []message
	seq      chat.Seq // of the last
}

// Statuses of a message that is not one of the stream's (nats-server stream.go).
const (
	statusEnd     = "204"
	statusNothing = "404"
)

// add takes the next message of the answer and reports whether it was the last. Each says which one came before it: an answer that
// lost a message on its way is not taken for a whole one.
func (a *answer) add(m *nats.Msg) (whole bool, err error) {
	if len(m.Header[streams.HeaderStream]) == 0 {
		switch status := bus.Status(m); status {
		case statusEnd:
			if before, err := seqOf(m, streams.HeaderLastSequence); err != nil || before != a.seq {
				return false, bus.Unavailable(errors.Join(errHole, err))
			}
			return true, nil
		case statusNothing:
			return true, nil
		default:
			return false, bus.Unavailable(fmt.Errorf("direct get: status %.40q", status))
		}
	}
	before, err1 := seqOf(m, streams.HeaderLastSequence)
	seq, err2 := seqOf(m, streams.HeaderSequence)
	at, err3 := time.Parse(time.RFC3339Nano, lastOf(m, streams.HeaderTimeStamp))
	if err := errors.Join(err1, err2, err3); err != nil || before != a.seq {
		return false, bus.Unavailable(errors.Join(errHole, err))
	}
	own := nats.Header{}
	for key, values := range m.Header { // without what the server added to each
		if n := len(values); n > 1 || !added[key] {
			own[key] = values
			if added[key] {
				own[key] = values[:n-1]
			}
		}
	}
	a.messages = append(a.messages, message{seq, lastOf(m, streams.HeaderSubject), at.UTC(), own, m.Data})
	a.seq = seq
	return false, nil
}

// added are the headers that the server adds to a message of an answer.
var added = map[string]bool{
	streams.HeaderStream: true, streams.HeaderSubject: true, streams.HeaderSequence: true, streams.HeaderTimeStamp: true,
	streams.HeaderLastSequence: true, streams.HeaderNumPending: true,
}

// lastOf is the last value of a header: the server adds its own after those that were published.
func lastOf(m *nats.Msg, key string) string {
	if values := m.Header[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

func seqOf(m *nats.Msg, key string) (chat.Seq, error) {
	n, err := strconv.ParseUint(lastOf(m, key), 10, 64)
	if err != nil || chat.Seq(n) > chat.MaxSeq {
		return 0, fmt.Errorf("%s: %.40q is no seq", key, lastOf(m, key))
	}
	return chat.Seq(n), nil
}
