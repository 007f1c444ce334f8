package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Publisher stores events: *publish.Publisher of streams/publish.
type Publisher interface {
	PublishSync(ctx context.Context, m bus.Message) (bus.Ack, error)
}

// Reader reads the logs: *bus.Log.
type Reader interface {
	Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error)
	FindMsgID(ctx context.Context, q bus.ReadQuery, msgID string) (chat.Seq, error) // NotFound only when it reached the leader's end
	Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
}

// Hub is the Log that a Relay uses: the streams of the hub.
type Hub struct {
	Publisher Publisher
	Reader    Reader
}

// Publish implements Log.
func (h Hub) Publish(ctx context.Context, at streams.Place, msgID string, payload []byte) (chat.Seq, error) {
	ack, err := h.Publisher.PublishSync(ctx, bus.Message{Place: at, MsgID: msgID, Payload: payload})
	return ack.Seq, err
}

// FindMsgID implements Log. That there is none is believed only of a replica which has come as far as the leader: one that
// was cut off can lag by more than the dedup window. What is stored after the leader was asked is so new that the log
// itself knows its Msg-Id when it is published again.
func (h Hub) FindMsgID(ctx context.Context, at streams.Place, msgID string, since time.Time) (chat.Seq, error) {
	subject, err := streams.ChatSubject(at.Shard, at.WorkspaceID, at.ChannelID)
	if err != nil {
		return 0, err
	}
	from, err := h.seek(ctx, at.Shard, since)
	if err != nil {
		return 0, fmt.Errorf("find a time in the log: %w", err)
	}
	seq, err := h.Reader.FindMsgID(ctx, bus.ReadQuery{Shard: at.Shard, Filter: subject, From: from}, msgID)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return seq, err
}

// seek is a position of a shard's log that everything stored at since or later lies at or after: by halves,
// because a stream's times rise with its seqs. A replica that lags shows less, and makes the position an earlier one.
func (h Hub) seek(ctx context.Context, shard streams.Shard, since time.Time) (chat.Seq, error) {
	all, err := streams.ChatShardFilter(shard)
	if err != nil {
		return 0, err
	}
	first, last, err := h.Reader.Bounds(ctx, shard)
	if err != nil {
		return 0, err
	}
	low, high := first, last+1 // what lies before low is too old; what lies at high or after is not
	for low < high {
		middle := low + (high-low)/2
		b, err := h.Reader.Read(ctx, bus.ReadQuery{Shard: shard, Filter: all, From: middle, MaxEntries: 1})
		if err != nil {
			return 0, err
		}
		if len(b.Entries) > 0 && b.Entries[0].At.Before(since) {
			low = b.Entries[0].Seq + 1
		} else {
			high = middle
		}
	}
	return min(low, high), nil // a leader's clock may be behind the one's before it: then the earlier position
}
