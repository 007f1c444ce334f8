package later

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	// MaxList is the most entries of one List (nats-server stream.go: of one multi_last).
	MaxList = 1024

	listBytes  = 4 << 20         // of one answer of a replica, whose entries come whole
	listBudget = 5 * time.Second // of a List, when the caller's context allows more
	lagFirst   = 20 * time.Millisecond
	lagCap     = 500 * time.Millisecond
)

var (
	errLags = errors.New("the replica that answered lags behind the leader")
	errHole = errors.New("a message of the answer is missing")
)

// List is the last entry of each subject that matches filter, rising by seq: of the first limit subjects in their order when there are
// more; at most MaxList. It sees everything that was put or cancelled before it was asked. The filter should be narrow, such as that
// of a user: the leader names all subjects that match.
func (s *Store) List(ctx context.Context, stream, filter string, limit int) ([]Entry, error) {
	if stream != streams.StreamDelivery && stream != streams.StreamSched {
		return nil, fault.Wrap(fault.Invalid, streams.ErrBadStream, "Nothing is kept for later in %.40q", stream)
	}
	ctx, cancel := context.WithTimeout(ctx, listBudget)
	defer cancel()
	for attempt := 0; ; attempt++ {
		entries, err := s.list(ctx, stream, filter, min(max(limit, 0), MaxList))
		if !errors.Is(err, errLags) {
			return entries, err
		}
		if bus.Pause(ctx, bus.Backoff(lagFirst, lagCap, attempt)) != nil {
			return nil, bus.Unavailable(err)
		}
	}
}

// list asks the leader which subjects there are and how far the stream goes, and then any replica for what lies on them. The replica must have
// come as far; what it still has on other subjects is gone.
func (s *Store) list(ctx context.Context, stream, filter string, limit int) ([]Entry, error) {
	last, subjects, err := s.named(ctx, stream, filter)
	if err != nil {
		return nil, err
	}
	subjects = subjects[:min(limit, len(subjects))]
	if len(subjects) == 0 {
		return nil, nil
	}
	var all []Entry
	req := getRequest{Seq: 1, MultiLast: subjects, MaxBytes: listBytes}
	for {
		a, err := s.lastOf(ctx, stream, req)
		if err != nil {
			return nil, err
		}
		if a.upTo < last { // or it has nothing of them at all
			return nil, errLags
		}
		all = append(all, a.entries...)
		if a.pending == 0 || a.seq == 0 {
			slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
			return all, nil
		}
		req.Seq = a.seq + 1
	}
}

// named is how far a stream goes, and which subjects it holds that match, sorted, as its leader knows it.
func (s *Store) named(ctx context.Context, stream, filter string) (last chat.Seq, subjects []string, err error) {
	to, err := streams.StreamInfoSubject(stream)
	if err != nil {
		return 0, nil, err
	}
	var info struct {
		State struct {
			Last     chat.Seq          `json:"last_seq"`
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	if err := s.conn.RequestAPI(ctx, to, map[string]string{"subjects_filter": filter}, &info); err != nil {
		return 0, nil, err
	}
	return info.State.Last, slices.Sorted(maps.Keys(info.State.Subjects)), nil
}

// lastOf is one answer of any replica.
func (s *Store) lastOf(ctx context.Context, stream string, req getRequest) (lastAnswer, error) {
	to, err := streams.DirectGetSubject(stream)
	if err != nil {
		return lastAnswer{}, err
	}
	body, err := json.Marshal(req)
	if err != nil {
		return lastAnswer{}, fmt.Errorf("list: %w", err)
	}
	nc := s.conn.NATS()
	inbox, got := nc.NewInbox(), make(chan *nats.Msg, MaxList+1)
	sub, err := nc.ChanSubscribe(inbox, got)
	if err != nil {
		return lastAnswer{}, bus.Unavailable(err)
	}
	defer func() {
		if err := sub.Unsubscribe(); err != nil && s.conn.Connected() {
			s.conn.Logger().Debug("unsubscribe", "err", err)
		}
	}()
	if err := nc.PublishRequest(to, inbox, body); err != nil {
		return lastAnswer{}, bus.Unavailable(err)
	}
	var a lastAnswer
	for {
		select {
		case m := <-got:
			if whole, err := a.add(m); whole || err != nil {
				return a, err
			}
		case <-ctx.Done():
			return a, bus.Unavailable(fmt.Errorf("%s: %w", to, context.Cause(ctx)))
		}
	}
}

// lastAnswer is an answer to a Direct Get of many subjects, as far as it has come.
type lastAnswer struct {
	entries []Entry
	seq     chat.Seq // of the last message
	pending uint64   // more that match, after it
	upTo    chat.Seq // how far the replica has come
}

// Statuses of a message that is not an entry (nats-server stream.go).
const (
	statusEnd     = "204"
	statusNothing = "404"
)

// add takes the next message of the answer and reports whether it was the last. Each says which one came before it: an answer that
// lost a message on its way is not taken for a whole one.
func (a *lastAnswer) add(m *nats.Msg) (whole bool, err error) {
	if len(m.Header[streams.HeaderStream]) == 0 {
		switch status := bus.Status(m); status {
		case statusEnd:
			before, err1 := seqOf(m, streams.HeaderLastSequence)
			upTo, err2 := seqOf(m, streams.HeaderUpToSequence)
			pending, err3 := seqOf(m, streams.HeaderNumPending)
			if err := errors.Join(err1, err2, err3); err != nil || before != a.seq {
				return false, bus.Unavailable(errors.Join(errHole, err))
			}
			a.pending, a.upTo = uint64(pending), upTo
			return true, nil
		case statusNothing:
			return true, nil
		default:
			return false, bus.Unavailable(fmt.Errorf("list: status %.40q", status))
		}
	}
	before, err1 := seqOf(m, streams.HeaderLastSequence)
	seq, err2 := seqOf(m, streams.HeaderSequence)
	at, err3 := time.Parse(time.RFC3339Nano, last(m, streams.HeaderTimeStamp))
	if err := errors.Join(err1, err2, err3); err != nil || before != a.seq {
		return false, bus.Unavailable(errors.Join(errHole, err))
	}
	e, err := entryOf(last(m, streams.HeaderSubject), m.Header, m.Data)
	if err != nil {
		return false, err
	}
	e.Seq, e.StoredAt = seq, at.UTC()
	a.entries, a.seq = append(a.entries, e), seq
	return false, nil
}

// last is the last value of a header. The server adds its own after those that were published, so a publisher cannot forge them.
func last(m *nats.Msg, key string) string {
	if values := m.Header[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

func seqOf(m *nats.Msg, key string) (chat.Seq, error) {
	n, err := strconv.ParseUint(last(m, key), 10, 64)
	if err != nil || chat.Seq(n) > chat.MaxSeq {
		return 0, fmt.Errorf("%s: %.40q is no seq", key, last(m, key))
	}
	return chat.Seq(n), nil
}
