package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// errBehind says that a replica which answered has not come as far as was asked.
var errBehind = errors.New("a replica of the log is behind its leader")

// witness is an event whose place in an answer proves that the replica which gave it has everything up to a position:
// the last one that the log holds at or before it.
type witness struct {
	subject string
	seq     chat.Seq // 0: the log holds nothing at or before the position
}

// LastBefore is, for each subject, the last event at or before upTo, which the log must have stored.
// Subjects without one are left out. Unavailable: the replicas that answered have not come as far as upTo.
//
// A replica that lags does not say so: it answers with older events, and a subject whose first event it does not have
// yet it leaves out. So the log's own last event up to upTo is asked for among the others, in the same question:
// only an answer that ends with it is believed.
func (l *Log) LastBefore(ctx context.Context, shard streams.Shard, subjects []string, upTo chat.Seq) (map[string]chat.Seq, error) {
	last := make(map[string]chat.Seq, len(subjects))
	if upTo == 0 || len(subjects) == 0 { // upTo 0 would mean the whole log to the server
		return last, nil
	}
	w, err := l.witness(ctx, shard, upTo)
	if err != nil || w.seq == 0 {
		return last, err
	}
	wanted := make(map[string]struct{}, len(subjects))
	for _, s := range subjects {
		wanted[s] = struct{}{}
	}
	delete(wanted, w.subject) // it is in every part, once
	rest := make([]string, 0, len(wanted))
	for s := range wanted {
		rest = append(rest, s)
	}
	for first := true; first || len(rest) > 0; first = false {
		part := append([]string{w.subject}, rest[:min(len(rest), maxLast-1)]...)
		rest = rest[len(part)-1:]
		end, err := l.lastOf(ctx, shard, getRequest{MultiLast: part, UpToSeq: upTo}, last)
		if err != nil {
			return nil, err
		}
		if end != w.seq { // the last of them all, or the replica lags; or it was erased just now
			return nil, Unavailable(fmt.Errorf("the log up to %d: %w", upTo, errBehind))
		}
	}
	for _, s := range subjects {
		if s == w.subject {
			return last, nil
		}
	}
	delete(last, w.subject)
	return last, nil
}

// witness finds the log's last event at or before upTo. Mostly that is the one at upTo. When that was erased it is looked for
// before, in an answer that goes on beyond upTo: there a replica shows that it has come so far.
func (l *Log) witness(ctx context.Context, shard streams.Shard, upTo chat.Seq) (witness, error) {
	e, err := l.Get(ctx, shard, upTo)
	if err == nil {
		return witnessOf(&e)
	}
	if !fault.Is(err, fault.NotFound) {
		return witness{}, err
	}
	all, err := streams.ChatShardFilter(shard)
	if err != nil {
		return witness{}, fault.Wrap(fault.Invalid, err, "There is no such log")
	}
	const (
		first, grow  = 32, 8
		witnessBytes = 128 << 10
	)
	for width := chat.Seq(first); ; width *= grow {
		from := chat.Seq(1)
		if upTo > width {
			from = upTo - width + 1
		}
		w, err := l.lastIn(ctx, ReadQuery{Shard: shard, Filter: all, From: from, MaxEntries: 2 * first, MaxBytes: witnessBytes}, upTo)
		if err != nil || w.seq > 0 || from == 1 {
			return w, err
		}
	}
}

func witnessOf(e *Entry) (witness, error) {
	subject, err := e.subject()
	if err != nil {
		return witness{}, fmt.Errorf("subject of event %d: %w", e.Seq, err)
	}
	return witness{subject, e.Seq}, nil
}

// lastIn is the last event from q.From up to upTo; seq 0: there is none.
func (l *Log) lastIn(ctx context.Context, q ReadQuery, upTo chat.Seq) (w witness, err error) {
	for {
		b, err := l.Read(ctx, q)
		if err != nil {
			return witness{}, err
		}
		for i := range b.Entries {
			if b.Entries[i].Seq > upTo {
				return w, nil
			}
			if w, err = witnessOf(&b.Entries[i]); err != nil {
				return witness{}, err
			}
			q.From = w.seq + 1
		}
		if b.Pending > 0 && len(b.Entries) > 0 {
			continue
		}
		// The log may end here, or the replica. The leader of the stream knows.
		_, end, err := l.Bounds(ctx, q.Shard)
		if err == nil && end < upTo {
			err = Unavailable(fmt.Errorf("the log is at %d, before %d", end, upTo))
		}
		if err == nil {
			var held chat.Seq
			if held, err = l.LeaderLast(ctx, q.Shard, q.Filter); err == nil && held > max(w.seq, q.From-1) {
				err = Unavailable(fmt.Errorf("the log up to %d: %w", upTo, errBehind))
			}
		}
		if err != nil {
			return witness{}, err
		}
		return w, nil
	}
}

// lastOf adds the answers to one multi_last, and says at which event they end. They rise by seq and stop at a limit of
// bytes: the rest lies after the last of them. Another replica may answer each question; that is right all the
// same, for a later question repeats every subject, and what it finds counts.
func (l *Log) lastOf(ctx context.Context, shard streams.Shard, req getRequest, last map[string]chat.Seq) (end chat.Seq, err error) {
	req.Seq, req.MaxBytes = 1, lastBytes
	for {
		b, err := l.get(ctx, shard, req, maxLast)
		if err != nil {
			return 0, err
		}
		for _, e := range b.Entries {
			end, req.Seq = e.Seq, e.Seq+1
			subject, err := e.subject()
			if err != nil {
				return 0, fmt.Errorf("subject of event %d: %w", e.Seq, err)
			}
			last[subject] = e.Seq
		}
		if b.Pending == 0 || len(b.Entries) == 0 {
			return end, nil
		}
	}
}

// FindMsgID finds the first event from q.From on that was published under msgID. NotFound: the log had none when it was
// asked for its end, and none of what came later was seen. A replica that lags is no proof of that: Unavailable.
func (l *Log) FindMsgID(ctx context.Context, q ReadQuery, msgID string) (chat.Seq, error) {
	end, err := l.LeaderLast(ctx, q.Shard, q.Filter)
	if err != nil {
		return 0, err
	}
	for {
		b, err := l.Read(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, e := range b.Entries {
			if e.MsgID == msgID {
				return e.Seq, nil
			}
			q.From = e.Seq + 1
		}
		switch {
		case b.Pending > 0 && len(b.Entries) > 0:
		case max(q.From, 1) > end:
			return 0, notInLog()
		default: // it lags; or what was the end has been erased since, which the next try learns
			return 0, Unavailable(fmt.Errorf("the log up to %d: %w", end, errBehind))
		}
	}
}
