package directory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

// entry is an event in a memoryLog.
type entry struct {
	at      streams.Place
	msgID   string
	payload string
	seq     chat.Seq
	stored  time.Time
}

// memoryLog is the logs in memory, which forget a Msg-Id after the window, as JetStream does.
type memoryLog struct {
	mu      sync.Mutex
	window  time.Duration
	entries []entry
	down    map[int]bool  // shards that do not answer
	gate    chan struct{} // when set, a publish waits until it is closed
	knocks  chan struct{} // when set, told of every publish
	finds   int
}

var errDown = errors.New("no answer")

func (l *memoryLog) Publish(ctx context.Context, at streams.Place, msgID string, payload []byte) (chat.Seq, error) {
	if l.knocks != nil {
		l.knocks <- struct{}{}
	}
	if l.gate != nil {
		select {
		case <-l.gate:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down[at.Shard] {
		return 0, errDown
	}
	for _, e := range l.entries {
		if e.msgID == msgID && e.at.Shard == at.Shard && time.Since(e.stored) < l.window {
			return e.seq, nil
		}
	}
	e := entry{at: at, msgID: msgID, payload: string(payload), seq: chat.Seq(len(l.entries) + 1), stored: time.Now()}
	l.entries = append(l.entries, e)
	return e.seq, nil
}

func (l *memoryLog) FindMsgID(_ context.Context, at streams.Place, msgID string, since time.Time) (chat.Seq, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finds++
	if l.down[at.Shard] {
		return 0, errDown
	}
	for _, e := range l.entries {
		if e.msgID == msgID && e.at == at && !e.stored.Before(since) {
			return e.seq, nil
		}
	}
	return 0, nil
}

func (l *memoryLog) setDown(shard int, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down == nil {
		l.down = map[int]bool{}
	}
	l.down[shard] = down
}

func (l *memoryLog) all() []entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}

// memoryOutbox is a store.Outbox in memory. It tells nobody what was written, unless bell is set.
type memoryOutbox struct {
	mu      sync.Mutex
	last    store.OutboxID
	owed    []store.OutboxRow
	seqs    map[store.OutboxID]chat.Seq
	claimed map[chat.WorkspaceID]bool
	bell    chan struct{} // when set, whoever sends wakes the one who watches
}

func (o *memoryOutbox) Claim(_ context.Context, limit int, except []chat.WorkspaceID) (store.Claim, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claimed == nil {
		o.claimed = map[chat.WorkspaceID]bool{}
	}
	mine := map[chat.WorkspaceID]bool{}
	var rows []store.OutboxRow
	for _, r := range o.owed {
		if len(rows) == limit || slices.Contains(except, r.WorkspaceID) || (o.claimed[r.WorkspaceID] && !mine[r.WorkspaceID]) {
			continue
		}
		mine[r.WorkspaceID], o.claimed[r.WorkspaceID] = true, true
		rows = append(rows, r)
	}
	return store.Claim{Rows: rows, Release: sync.OnceFunc(func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		for id := range mine {
			delete(o.claimed, id)
		}
	})}, nil
}

func (o *memoryOutbox) Watch(ctx context.Context, wake func()) error {
	for {
		select {
		case <-o.bell:
			wake()
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *memoryOutbox) owe(ws chat.WorkspaceID, shard, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range n {
		o.last++
		o.owed = append(o.owed, store.OutboxRow{
			ID: o.last, WorkspaceID: ws, Shard: shard, CreatedAt: time.Now(),
			Event: event.Event{Kind: event.MemberJoined, Epoch: 1, SenderID: "u1", UserID: "u1", Role: chat.RoleMember},
		})
	}
}

func (o *memoryOutbox) Unpublished(_ context.Context, limit int) ([]store.OutboxRow, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.owed[:min(limit, len(o.owed))]), nil
}

func (o *memoryOutbox) Record(_ context.Context, done []store.OutboxDone) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seqs == nil {
		o.seqs = map[store.OutboxID]chat.Seq{}
	}
	for _, d := range done {
		if o.seqs[d.ID] == 0 {
			o.seqs[d.ID] = d.Seq
		}
		o.owed = slices.DeleteFunc(o.owed, func(r store.OutboxRow) bool { return r.ID == d.ID })
	}
	return nil
}

func (o *memoryOutbox) Owed(_ context.Context, ws chat.WorkspaceID) (store.OutboxID, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var last store.OutboxID
	for _, r := range o.owed {
		if r.WorkspaceID == ws {
			last = r.ID
		}
	}
	return last, nil
}

func (o *memoryOutbox) Recorded(context.Context, int) (chat.Seq, error) { return 0, nil }

func (o *memoryOutbox) OwedUpTo(_ context.Context, ws chat.WorkspaceID, upTo store.OutboxID) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.owed, func(r store.OutboxRow) bool { return r.WorkspaceID == ws && r.ID <= upTo }), nil
}

func (o *memoryOutbox) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.owed)
}

// mortal is what one life of a relay sees of the outbox and the log: at a chosen step it dies, before or after
// the step did its work, and reaches nothing any more.
type mortal struct {
	*memoryOutbox
	*memoryLog
	mu    sync.Mutex
	steps int // until it dies; negative: it does not
	after bool
	die   context.CancelFunc
	dead  bool
}

var errDead = errors.New("the process is dead")

// step does work unless the relay is dead, or dies of it.
func (m *mortal) step(work func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	m.steps--
	if m.steps != 0 {
		return work()
	}
	m.dead = true
	m.die()
	if m.after {
		if err := work(); err != nil {
			return err
		}
	}
	return errDead
}

// Claim gives a claim that ends with the process.
func (m *mortal) Claim(ctx context.Context, limit int, except []chat.WorkspaceID) (claim store.Claim, err error) {
	err = m.step(func() error { claim, err = m.memoryOutbox.Claim(ctx, limit, except); return err })
	if err != nil && claim.Release != nil {
		claim.Release()
	}
	return claim, err
}

func (m *mortal) Record(ctx context.Context, done []store.OutboxDone) error {
	return m.step(func() error { return m.memoryOutbox.Record(ctx, done) })
}

func (m *mortal) Publish(ctx context.Context, at streams.Place, msgID string, payload []byte) (seq chat.Seq, err error) {
	err = m.step(func() error { seq, err = m.memoryLog.Publish(ctx, at, msgID, payload); return err })
	return seq, err
}

func (m *mortal) FindMsgID(ctx context.Context, at streams.Place, msgID string, since time.Time) (seq chat.Seq, err error) {
	err = m.step(func() error { seq, err = m.memoryLog.FindMsgID(ctx, at, msgID, since); return err })
	return seq, err
}
