package ingest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const window = 2 * time.Minute

var errDown = fault.New(fault.Unavailable, "down")

// memoryLog is the log of one shard in memory: it stores, forgets Msg-Ids after a window, and forgets events.
type memoryLog struct {
	mu     sync.Mutex
	all    []bus.Entry // seq is index+1
	first  chat.Seq    // that is still held
	erased map[chat.Seq]bool
	hidden chat.Seq // from this one on, replicas do not show it yet; 0: they show all
	shows  int      // after so many questions for hidden events they do
	down   bool
	reads  int
	begun  time.Time
}

func (l *memoryLog) PublishSync(_ context.Context, m bus.Message) (bus.Ack, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return bus.Ack{}, errDown
	}
	for _, e := range l.all {
		if e.MsgID == m.MsgID && time.Since(e.At) < window {
			return bus.Ack{Seq: e.Seq, Duplicate: true}, nil
		}
	}
	seq := chat.Seq(len(l.all) + 1)
	l.all = append(l.all, bus.Entry{
		Place: m.Place, Seq: seq, At: time.Now().UTC(), Payload: m.Payload, MsgID: m.MsgID, TraceParent: m.TraceParent,
	})
	return bus.Ack{Seq: seq}, nil
}

func (l *memoryLog) visible(seq chat.Seq) bool {
	return seq >= l.first && !l.erased[seq] && (l.hidden == 0 || seq < l.hidden)
}

func (l *memoryLog) Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.down {
		return bus.Batch{}, errDown
	}
	limit := q.MaxEntries
	if limit == 0 {
		limit = 64
	}
	var b bus.Batch
	for _, e := range l.all {
		subject, err := streams.ChatSubject(e.Place.Shard, e.Place.WorkspaceID, e.Place.ChannelID)
		if err != nil {
			return bus.Batch{}, err
		}
		if e.Seq < q.From || !l.visible(e.Seq) || !strings.HasPrefix(subject, strings.TrimSuffix(q.Filter, ">")) {
			continue
		}
		if len(b.Entries) == limit {
			b.Pending++
			continue
		}
		b.Entries = append(b.Entries, e)
	}
	return b, ctx.Err()
}

func (l *memoryLog) Get(_ context.Context, _ streams.Shard, seq chat.Seq) (bus.Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return bus.Entry{}, errDown
	}
	if l.hidden != 0 && seq >= l.hidden {
		if l.shows--; l.shows < 0 {
			l.hidden = 0
		}
	}
	if seq == 0 || int(seq) > len(l.all) || !l.visible(seq) {
		return bus.Entry{}, fault.New(fault.NotFound, "not in the log")
	}
	return l.all[seq-1], nil
}

func (l *memoryLog) LeaderLast(ctx context.Context, _ streams.Shard, filter string) (chat.Seq, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, errDown
	}
	for _, e := range slices.Backward(l.all) {
		subject, err := streams.ChatSubject(e.Place.Shard, e.Place.WorkspaceID, e.Place.ChannelID)
		if err != nil {
			return 0, err
		}
		if e.Seq >= l.first && !l.erased[e.Seq] && strings.HasPrefix(subject, strings.TrimSuffix(filter, ">")) {
			return e.Seq, nil
		}
	}
	return 0, ctx.Err()
}

func (l *memoryLog) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, 0, errDown
	}
	return max(l.first, 1), chat.Seq(len(l.all)), nil
}

func (l *memoryLog) Begun(context.Context, streams.Shard) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return time.Time{}, errDown
	}
	return l.begun, nil
}

// renew is another log in its place, which has nothing of before but its seqs, and knows nobody's Msg-Ids.
func (l *memoryLog) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.all {
		l.all[i].MsgID = ""
	}
	l.first, l.begun = chat.Seq(len(l.all)+1), time.Now()
}

// forget drops the log's events before seq.
func (l *memoryLog) forget(seq chat.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = seq
}

// erase takes an event out of the log, as the persister does with what was deleted.
func (l *memoryLog) erase(seq chat.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.erased == nil {
		l.erased = map[chat.Seq]bool{}
	}
	l.erased[seq] = true
}

// memoryHistory answers as a store that has applied the log up to through.
type memoryHistory struct {
	log     *memoryLog
	through chat.Seq
	down    bool
	early   bool // it is of a build that does not tell the epoch of a message
	asked   atomic.Int32
}

func (h *memoryHistory) epoch(m chat.Message) chat.Epoch {
	if h.early {
		return 0
	}
	return m.Epoch
}

func (h *memoryHistory) message(seq chat.Seq) (chat.Message, streams.Place, bool) {
	h.log.mu.Lock()
	defer h.log.mu.Unlock()
	var s store.State
	if seq == 0 || seq > h.through || int(seq) > len(h.log.all) {
		return chat.Message{}, streams.Place{}, false
	}
	for _, e := range h.log.all[seq-1 : h.through] {
		parsed, err := event.Parse(e.Payload)
		if err == nil {
			s.Apply(event.Stored{Event: parsed, Seq: e.Seq, At: e.At})
		}
	}
	m, ok := s.Message()
	return m, h.log.all[seq-1].Place, ok && m.Seq == seq
}

func (h *memoryHistory) Send(_ context.Context, req rpc.SendRequest) (rpc.SendReply, error) {
	h.asked.Add(1)
	if h.down {
		return rpc.SendReply{}, errDown
	}
	for seq := chat.Seq(1); seq <= h.through; seq++ {
		m, place, ok := h.message(seq)
		if ok && place.WorkspaceID == req.WorkspaceID && m.SenderID == req.SenderID && m.ClientMsgID == req.ClientMsgID {
			return rpc.SendReply{ChannelID: m.ChannelID, Seq: m.Seq, Through: h.through}, nil
		}
	}
	return rpc.SendReply{Through: h.through}, nil
}

func (h *memoryHistory) Message(_ context.Context, req rpc.MessageRequest) (rpc.MessageReply, error) {
	if h.down {
		return rpc.MessageReply{}, errDown
	}
	m, _, ok := h.message(req.Seq)
	if !ok || m.ChannelID != req.ChannelID {
		return rpc.MessageReply{}, fault.New(fault.NotFound, "no such message")
	}
	return rpc.MessageReply{
		Epoch: h.epoch(m), SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Thread: m.Thread, Body: m.Body,
		Edited: !m.EditedAt.IsZero(), Deleted: m.Deleted, Attachments: m.Attachments, At: m.PostedAt,
	}, nil
}

// world is an Ingest and what is around it.
type world struct {
	t       *testing.T
	log     *memoryLog
	history *memoryHistory
	ingest  *ingest.Ingest
	made    int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, log: &memoryLog{}}
	w.history = &memoryHistory{log: w.log}
	w.restart()
	return w
}

// restart is a new process beside the same log and store.
func (w *world) restart() {
	w.ingest = ingest.New(ingest.Config{Publisher: w.log, Log: w.log, History: w.history, Window: window})
}

func (w *world) stored() int { return len(w.log.all) }

// post is a change by user u1 to channel c1, with a new id.
func (w *world) post(body string) event.Change {
	w.made++
	c := w.change(event.MessagePosted)
	c.Body, c.ClientMsgID = body, idAt(time.Now(), w.made)
	return c
}

func (w *world) change(kind event.Kind) event.Change {
	return event.Change{
		Kind: kind, Workspace: "w1", Epoch: 1, ChannelID: "c1", UserID: "u1",
		Standing: chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPublic, InIt: true},
	}
}

func (w *world) ok(c event.Change) event.Receipt {
	w.t.Helper()
	r, err := w.ingest.Submit(w.t.Context(), c)
	if err != nil {
		w.t.Fatalf("%s: %v", c.Kind, err)
	}
	if r.Seq == 0 || r.At.IsZero() {
		w.t.Fatalf("%s: receipt %+v says no place", c.Kind, r)
	}
	return r
}

func (w *world) fails(kind fault.Kind, c event.Change) {
	w.t.Helper()
	before := w.stored()
	r, err := w.ingest.Submit(w.t.Context(), c)
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind {
		w.t.Fatalf("%s: %+v, %v; want %s", c.Kind, r, err, kind)
	}
	if kind == fault.Unavailable && f != errDown && f.RetryAfter == 0 {
		w.t.Errorf("%s: %v does not say when to try again", c.Kind, err)
	}
	if w.stored() != before {
		w.t.Errorf("%s: refused with %v, and stored all the same", c.Kind, err)
	}
}

func (w *world) duplicateOf(first event.Receipt, c event.Change) {
	w.t.Helper()
	r := w.ok(c)
	if !r.Duplicate || r.Seq != first.Seq || !r.At.Equal(first.At) {
		w.t.Fatalf("a resend got %+v; the first send got %+v", r, first)
	}
}
