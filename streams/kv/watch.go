package kv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	everything = ">" // the filter of every key

	heartbeat    = 2 * time.Second
	silence      = 3 * heartbeat   // without a message or heartbeat, the consumer is taken for lost
	abandonAfter = 5 * time.Second // the server removes a consumer that nobody has listened to for so long
	againFirst   = 50 * time.Millisecond
	againLimit   = 2 * time.Second

	// pendingBytes is how much may wait for a slow handle. The server has at most 32 MB under way
	// (nats-server consumer.go, JsFlowControlMaxPending) until handle has seen what came before.
	pendingBytes    = 64 << 20
	pendingMessages = 1 << 20
)

// Why a watch begins again.
var (
	errSilent      = errors.New("the consumer fell silent")
	errGap         = errors.New("a message of the consumer is missing")
	errReconnected = errors.New("the connection was made again")
)

// Watch tells handle what is in the bucket and what happens to it, one entry after the other, until ctx ends; then it
// returns nil. Without a filter it is about every key. First comes Start, then a Put of each key that is there (and a
// Delete of some that ended a while ago), then Complete, then each change; of several changes of a key in a short
// time, at least the last.
//
// When something may have been lost (a connection, the link to another domain, a leader, the bucket itself), it begins
// again with Start as soon as the bucket answers: whoever keeps entries drops at Complete those that were not told
// since Start. Until then handle hears nothing. Its consumer lives on one replica, which may lag: Complete can come before the
// newest changes do, and they follow. A watch costs the server one consumer: have one a process, never one a
// user. The error is Invalid, about filters: a bad one, or two that match the same key.
func (b *Bucket) Watch(ctx context.Context, filters []string, handle func(Entry)) error {
	if len(filters) == 0 {
		filters = []string{everything}
	}
	subjects, err := b.subjects(filters)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		w := watcher{bucket: b, subjects: subjects, handle: handle}
		err := w.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if isOverlap(err) {
			return fault.Wrap(fault.Invalid, err, "Two filters match the same key")
		}
		if w.complete {
			attempt = 0
		}
		log := b.conn.Logger().With("bucket", string(b.name), "domain", b.domain)
		if isGone(err) && b.make != nil {
			if err := b.make(ctx); err != nil {
				log.Warn("a bucket is gone and cannot be made", "err", err)
			}
		}
		log.Debug("the watch of a bucket begins again", "err", err)
		if bus.Pause(ctx, bus.Backoff(againFirst, againLimit, attempt)) != nil {
			return nil // ctx ended, which is how a watch ends
		}
	}
}

// snapshot is what a watch tells up to Complete.
func (b *Bucket) snapshot(ctx context.Context, filters []string) ([]Entry, error) {
	subjects, err := b.subjects(filters)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all []Entry
	at := map[string]int{} // a key that changes meanwhile comes twice
	w := watcher{bucket: b, subjects: subjects, handle: func(e Entry) {
		i, seen := at[e.Key]
		switch {
		case e.Op == Complete:
			cancel()
		case e.Op == Put && seen:
			all[i] = e
		case e.Op == Put:
			at[e.Key], all = len(all), append(all, e)
		case e.Op == Delete && seen:
			all[i].Op = Delete
		}
	}}
	if err := w.run(ctx); !w.complete {
		if isOverlap(err) {
			return nil, fault.Wrap(fault.Invalid, err, "Two filters match the same key")
		}
		return nil, bus.Unavailable(err)
	}
	all = slices.DeleteFunc(all, func(e Entry) bool { return e.Op != Put })
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Revision, b.Revision) })
	return all, nil
}

// watcher is one consumer, from its making to its loss. It belongs to one goroutine.
type watcher struct {
	bucket   *Bucket
	subjects []string
	handle   func(Entry)

	name     string // of the consumer
	seq      uint64 // of the consumer's last message
	initial  uint64 // how many entries were there when it was made
	complete bool
}

// run returns why the consumer is of no use any more.
func (w *watcher) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn := w.bucket.conn
	resumed := make(chan struct{}, 1) // one says it for the next
	defer conn.OnReconnect(func() {
		select {
		case resumed <- struct{}{}:
		default:
		}
	})()
	inbox, got := conn.NATS().NewInbox(), make(chan *nats.Msg)
	sub, err := conn.NATS().Subscribe(inbox, func(m *nats.Msg) {
		select {
		case got <- m: // what handle is not ready for waits in the subscription
		case <-ctx.Done():
		}
	})
	if err != nil {
		return bus.Unavailable(err)
	}
	defer w.bucket.unsubscribe(sub)
	if err := sub.SetPendingLimits(pendingMessages, pendingBytes); err != nil {
		return bus.Unavailable(err)
	}
	defer w.abandon()
	if err := w.consume(ctx, inbox); err != nil {
		return err
	}
	w.handle(Entry{Op: Start})
	if w.initial == 0 {
		w.finish()
	}
	return w.follow(ctx, got, resumed)
}

func (w *watcher) follow(ctx context.Context, got <-chan *nats.Msg, resumed <-chan struct{}) error {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx) // a snapshot ends at its Complete, whatever has come already
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-resumed:
			return errReconnected
		case <-quiet.C:
			return errSilent
		case m := <-got:
			if err := w.take(m); err != nil {
				return err
			}
			quiet.Reset(silence)
		}
	}
}

// createRequest is the body of a request for a consumer.
type createRequest struct {
	Stream string                   `json:"stream_name"`
	Config jetstream.ConsumerConfig `json:"config"`
	Action string                   `json:"action"`
}

// consume makes the consumer. It has no state that outlives its server: after a loss another one is made.
func (w *watcher) consume(ctx context.Context, inbox string) error {
	unique, err := uuid.NewV7()
	if err != nil {
		return err
	}
	w.name = chat.IDFromBytes(unique)
	subject, err := streams.BucketWatchSubject(w.bucket.domain, w.bucket.name, w.name)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "There is no such bucket")
	}
	config := jetstream.ConsumerConfig{
		Name: w.name, Description: "canopy: a watch",
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1,
		DeliverSubject: inbox, FlowControl: true, IdleHeartbeat: heartbeat, InactiveThreshold: abandonAfter,
		FilterSubjects: w.subjects, Replicas: 1, MemoryStorage: true,
	}
	var made struct {
		Pending   uint64 `json:"num_pending"`
		Delivered struct {
			Consumer uint64 `json:"consumer_seq"`
		} `json:"delivered"`
	}
	if err := w.bucket.conn.RequestAPI(ctx, subject, createRequest{w.bucket.stream, config, "create"}, &made); err != nil {
		return err
	}
	w.initial = made.Pending + made.Delivered.Consumer // some may be on their way already
	return nil
}

// abandon tells the server that nobody wants the consumer, so that it need not find out. Nobody waits for the answer.
func (w *watcher) abandon() {
	subject, err := streams.BucketUnwatchSubject(w.bucket.domain, w.bucket.name, w.name)
	if err == nil {
		err = w.bucket.conn.NATS().Publish(subject, nil)
	}
	if err != nil { // the connection is gone: the server removes the consumer after abandonAfter
		w.bucket.conn.Logger().Debug("remove a consumer", "err", err)
	}
}

// take handles an entry, a heartbeat or a question for room.
func (w *watcher) take(m *nats.Msg) error {
	if bus.Status(m) != "" {
		return w.control(m)
	}
	about, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("from the consumer: %w", err)
	}
	if about.Sequence.Consumer != w.seq+1 {
		return errGap
	}
	w.seq++
	if key, err := streams.ParseBucketKey(w.bucket.name, m.Subject); err == nil { // else it was put there by hand
		e := Entry{Op: opOf(m.Header), Key: key, Value: m.Data, Revision: Revision(about.Sequence.Stream), At: about.Timestamp.UTC()}
		w.handle(e)
	}
	if !w.complete && (about.NumPending == 0 || w.seq >= w.initial) {
		w.finish()
	}
	return nil
}

// control answers what the server needs to go on. Answers to a question for room go out in order: everything before
// the question has been handled.
func (w *watcher) control(m *nats.Msg) error {
	room := m.Reply
	if stalled := m.Header.Get(streams.HeaderStalled); stalled != "" {
		room = stalled
	}
	if room != "" {
		if err := w.bucket.conn.NATS().Publish(room, nil); err != nil {
			return bus.Unavailable(err)
		}
	}
	if m.Reply != "" {
		return nil
	}
	last, err := numberOf(m, streams.HeaderLastConsumer)
	if err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if last != w.seq {
		return errGap
	}
	if !w.complete && room == "" {
		w.finish() // it is idle, so what was still to come ended before it could
	}
	return nil
}

func (w *watcher) finish() {
	w.complete = true
	w.handle(Entry{Op: Complete})
}

// unsubscribe ends sub.
func (b *Bucket) unsubscribe(sub *nats.Subscription) {
	err := sub.Unsubscribe()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		b.conn.Logger().Warn("unsubscribe", "err", err)
	}
}
