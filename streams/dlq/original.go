package dlq

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// clocks is how far the clocks of two machines may be apart.
const clocks = time.Minute

// Write makes the letter about an end, with the original as the leader of its stream has it. An original that is not there any more makes a letter that is Gone.
// The error is Unavailable.
func (q *Queue) Write(ctx context.Context, p bus.Parked, found string) (Letter, error) {
	l := Letter{Stream: p.Stream, Consumer: p.Consumer, Seq: p.Seq, Reason: p.Reason, Attempts: p.Deliveries, At: p.At, Found: found}
	m, err := q.fromLeader(ctx, p.Stream, getRequest{Seq: p.Seq})
	switch {
	case fault.Is(err, fault.NotFound):
		l.Gone = true
		l.GoneBecause, err = q.why(ctx, p)
		return l, err
	case err != nil:
		return l, err
	case m.at.After(p.At.Add(clocks)):
		l.Gone, l.GoneBecause = true, fmt.Sprintf("%s was made anew since: it holds another event there, of %s", p.Stream, m.at.Format(time.RFC3339))
		return l, nil
	}
	l.fill(m)
	return l, nil
}

func (l *Letter) fill(m message) {
	l.Subject, l.StoredAt, l.Header, l.Payload = m.subject, m.at, m.header, m.data
	l.MsgID, l.TraceParent = m.header.Get(streams.HeaderMsgID), m.header.Get(streams.HeaderTrace)
}

// why says why a stream does not hold an event.
func (q *Queue) why(ctx context.Context, p bus.Parked) (string, error) {
	s, err := q.state(ctx, p.Stream)
	switch {
	case err != nil:
		return "", err
	case p.Seq > s.State.Last:
		return fmt.Sprintf("%s ends at %d: it was made anew since", p.Stream, s.State.Last), nil
	case p.Seq < s.State.First:
		return fmt.Sprintf("it grew too old: %s begins at %d", p.Stream, s.State.First), nil
	}
	return "it was deleted or erased", nil
}

// Entries are the next messages of one of our streams from a seq up to another, as a consumer is given them; none: there are no more.
// What one of them lacks in the stream was deleted or is too old.
func (q *Queue) Entries(ctx context.Context, stream string, from, to chat.Seq) ([]bus.Entry, error) {
	if from > to {
		return nil, nil
	}
	page, err := q.page(ctx, stream, everything, from)
	if err != nil {
		return nil, err
	}
	entries := make([]bus.Entry, 0, len(page))
	for _, m := range page {
		if m.seq > to {
			break
		}
		l := Letter{Stream: stream, Seq: m.seq}
		l.fill(m)
		entries = append(entries, l.Entry())
	}
	return entries, nil
}

// everything is every subject of a stream.
const everything = ">"

// Shape is what tells whether a stream lost messages.
type Shape struct {
	Created     time.Time // another one: it was deleted and made anew
	First, Last chat.Seq  // First grows by age, by limits of size, and by a purge
	Deleted     uint64    // in between, one by one
}

// ShapeOf is what the leader of a stream says of it.
func (q *Queue) ShapeOf(ctx context.Context, stream string) (Shape, error) {
	s, err := q.state(ctx, stream)
	return Shape{s.Created, s.State.First, s.State.Last, s.State.Deleted}, err
}
