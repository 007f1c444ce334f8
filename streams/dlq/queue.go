package dlq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/publish"
)

// Lasts is how long it is known of a letter that it was dealt with. What tells of a dead event again is younger: ADVISORIES keeps it
// for a week, and no log keeps an event for longer than this.
const Lasts = 30 * 24 * time.Hour

// How a letter was dealt with.
const (
	Retried = "retried"
	Dropped = "dropped"
)

// Errors of a publish that expects nothing on its subject (nats-server errors.json).
const (
	codeWrongLast    = 10071
	codeWrongLastToo = 10164 // of a replicated stream
)

// Queue is the stream DLQ, with what is known of letters that were dealt with. It may be used by many goroutines at once.
type Queue struct {
	conn   *bus.Conn
	bucket *kv.Bucket
}

// Open makes a Queue. It starts nothing, and NATS need not answer.
func Open(conn *bus.Conn) *Queue {
	bucket, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: streams.BucketDeadletters})
	if err != nil {
		panic(err) // the only cause would be the names above
	}
	return &Queue{conn: conn, bucket: bucket}
}

// Put stores a letter, unless it is there or was dealt with; then added is false, and id that of the letter that is there, or 0. After
// Unavailable it may be stored, and putting it again is right. The error is Invalid for a consumer that is not ours.
func (q *Queue) Put(ctx context.Context, l Letter) (id uint64, added bool, err error) {
	r, err := l.record()
	if err != nil {
		return 0, false, fault.Wrap(fault.Invalid, err, "There is no consumer %.40q of %.40q", l.Consumer, l.Stream)
	}
	if ended, err := q.ended(ctx, l); err != nil || ended {
		return 0, false, err
	}
	ack, err := publish.Store(ctx, q.conn, r)
	var refused *bus.APIError
	if errors.As(err, &refused) && (refused.ErrCode == codeWrongLast || refused.ErrCode == codeWrongLastToo) {
		id, err := q.find(ctx, r.Subject)
		if err == nil && id == 0 { // it was dealt with a moment ago, or another is just being stored
			err = bus.Unavailable(refused)
		}
		return id, false, err
	}
	if err != nil {
		return 0, false, err
	}
	if ack.Duplicate {
		return uint64(ack.Seq), false, nil
	}
	// Somebody may have dealt with another's letter between the first look and the store. The note of it is written before the letter
	// goes, so whoever could store this one finds it now.
	ended, err := q.ended(ctx, l)
	if err != nil {
		return 0, false, err
	}
	if ended {
		return 0, false, q.conn.Erase(ctx, streams.StreamDLQ, ack.Seq)
	}
	return uint64(ack.Seq), true, nil
}

// Known reports whether the end of an event at a consumer has a letter, or had one that was dealt with.
func (q *Queue) Known(ctx context.Context, stream, consumer string, seq chat.Seq) (bool, error) {
	subject, err := streams.DeadMsgID(stream, consumer, seq)
	if err != nil {
		return false, err
	}
	if id, err := q.find(ctx, subject); err != nil || id > 0 {
		return id > 0, err
	}
	return q.ended(ctx, Letter{Stream: stream, Consumer: consumer, Seq: seq})
}

// find is the letter on a subject; 0: there is none.
func (q *Queue) find(ctx context.Context, subject string) (uint64, error) {
	m, err := q.fromLeader(ctx, streams.StreamDLQ, getRequest{LastFor: subject})
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	return uint64(m.seq), err
}

func (q *Queue) ended(ctx context.Context, l Letter) (bool, error) {
	key, err := streams.EndedKey(l.Stream, l.Consumer, l.Seq)
	if err != nil {
		return false, err
	}
	_, err = q.bucket.Get(ctx, key)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

// Get reads a letter. The error is NotFound when it is not there, or not any more.
func (q *Queue) Get(ctx context.Context, id uint64) (Letter, error) {
	if id == 0 || chat.Seq(id) > chat.MaxSeq {
		return Letter{}, noLetter(id)
	}
	m, err := q.fromLeader(ctx, streams.StreamDLQ, getRequest{Seq: chat.Seq(id)})
	if fault.Is(err, fault.NotFound) {
		return Letter{}, noLetter(id)
	}
	if err != nil {
		return Letter{}, err
	}
	return letterOf(m), nil
}

func noLetter(id uint64) error {
	return fault.New(fault.NotFound, "There is no dead letter %d, or not any more", id)
}

// Drop throws a letter away for good: its original is never tried again, and no letter about its end comes back. The error is
// NotFound.
func (q *Queue) Drop(ctx context.Context, id uint64) error {
	l, err := q.Get(ctx, id)
	if err != nil {
		return err
	}
	return q.End(ctx, l, Dropped)
}

// End takes a letter out that was dealt with, and notes how. Doing it again is no error. After Unavailable the letter may be there
// still, or not any more.
func (q *Queue) End(ctx context.Context, l Letter, how string) error {
	if l.Stream != "" { // one that was put there by hand has no end that is told again
		key, err := streams.EndedKey(l.Stream, l.Consumer, l.Seq)
		if err != nil {
			return err
		}
		note, err := json.Marshal(map[string]any{"how": how, "at": time.Now().UTC().Truncate(time.Second), "letter": l.ID})
		if err != nil {
			return fmt.Errorf("end of letter %d: %w", l.ID, err)
		}
		if _, err := q.bucket.PutTTL(ctx, key, note, Lasts); err != nil {
			return err
		}
	}
	return q.conn.Erase(ctx, streams.StreamDLQ, chat.Seq(l.ID))
}
