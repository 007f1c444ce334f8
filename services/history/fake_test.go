package history_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

var (
	place   = store.ChannelPlace{WorkspaceID: "w1", ChannelID: "c1"}
	errDown = fault.New(fault.Unavailable, "down")
)

// memoryLog is the log of shard 0 in memory.
type memoryLog struct {
	mu    sync.Mutex
	all   []bus.Entry       // seq is index+1
	first chat.Seq          // that is still held
	shown chat.Seq          // replicas show no more than this; 0: all
	gone  map[chat.Seq]bool // erased
	down  bool
	reads int
	got   int // events that were read
}

func (l *memoryLog) append(e event.Event) event.Stored {
	e.Epoch, e.V = 1, event.Version
	payload, err := event.Encode(e)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seq := chat.Seq(len(l.all) + 1)
	at := time.UnixMilli(1_700_000_000_000 + int64(seq)*1000).UTC()
	l.all = append(l.all, bus.Entry{Place: streams.Place{WorkspaceID: "w1", ChannelID: e.ChannelID}, Seq: seq, At: at, Payload: payload})
	return event.Stored{Event: e, WorkspaceID: "w1", Seq: seq, At: at}
}

func (l *memoryLog) last() chat.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return chat.Seq(len(l.all))
}

func (l *memoryLog) Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.down {
		return bus.Batch{}, errDown
	}
	var b bus.Batch
	for _, e := range l.all[min(int(max(q.From, l.first, 1))-1, len(l.all)):] {
		if l.gone[e.Seq] || l.shown != 0 && e.Seq > l.shown || !strings.HasSuffix(q.Filter, "."+string(e.Place.ChannelID)) {
			continue
		}
		if len(b.Entries) == 16 {
			b.Pending++
			continue
		}
		l.got++
		b.Entries = append(b.Entries, e)
	}
	return b, ctx.Err()
}

func (l *memoryLog) LeaderLast(_ context.Context, _ streams.Shard, subject string) (chat.Seq, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, errDown
	}
	for i := len(l.all) - 1; i >= 0 && l.all[i].Seq >= l.first; i-- {
		if strings.HasSuffix(subject, "."+string(l.all[i].Place.ChannelID)) {
			return l.all[i].Seq, nil
		}
	}
	return 0, nil
}

func (l *memoryLog) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return 0, 0, errDown
	}
	return max(l.first, 1), chat.Seq(len(l.all)), nil
}

func (l *memoryLog) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// outage is a store that can be down.
type outage struct {
	store.Messages
	mu   sync.Mutex
	down bool
}

func (o *outage) set(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *outage) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.down {
		return errDown
	}
	return nil
}

func (o *outage) Progress(ctx context.Context, shard int) (chat.Seq, error) {
	if err := o.err(); err != nil {
		return 0, err
	}
	return o.Messages.Progress(ctx, shard)
}

// world is a Reader, a log and a real store, of which the test is the persister.
type world struct {
	t      *testing.T
	log    *memoryLog
	store  *outage
	reader *history.Reader
	events []event.Stored // of channel c1
	rand   *rand.Rand
}

func newWorld(t *testing.T, cfg history.Config) *world {
	t.Helper()
	m, err := sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, log: &memoryLog{}, store: &outage{Messages: m}, rand: rand.New(rand.NewPCG(1, 2))}
	cfg.LogBudget, cfg.StoreBudget = cmp.Or(cfg.LogBudget, time.Minute), cmp.Or(cfg.StoreBudget, time.Minute) // the machine may be busy
	cfg.Store, cfg.Log, cfg.Logger = w.store, w.log, slog.New(slog.DiscardHandler)
	w.reader = history.New(cfg)
	return w
}

func (w *world) add(e event.Event) event.Stored {
	if e.ChannelID == "" {
		e.ChannelID = "c1"
	}
	if e.SenderID == "" {
		e.SenderID = "u1"
	}
	s := w.log.append(e)
	if s.ChannelID == "c1" {
		w.events = append(w.events, s)
	}
	return s
}

func (w *world) post(body string, thread chat.Seq) chat.Seq {
	return w.add(event.Event{Kind: event.MessagePosted, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", w.log.last())), Body: body, Thread: thread}).Seq
}

// talk adds n events of all kinds, and of another channel.
func (w *world) talk(n int) {
	for range n {
		var earlier, thread chat.Seq
		if len(w.events) > 0 {
			earlier = w.events[w.rand.IntN(len(w.events))].Seq
			if w.rand.IntN(4) == 0 {
				thread = w.events[0].Seq
			}
		}
		switch k := w.rand.IntN(10); {
		case k < 4 || earlier == 0:
			w.post(fmt.Sprint("message ", w.log.last()), thread)
		case k == 4:
			w.add(event.Event{Kind: event.MessagePosted, ChannelID: "c2", ClientMsgID: "x", Body: "elsewhere"})
		case k == 5:
			w.add(event.Event{Kind: event.MessageDeleted, MessageSeq: earlier})
		case k == 6:
			w.add(event.Event{Kind: event.ReactionAdded, MessageSeq: earlier, Emoji: "👍"})
		case k == 7:
			w.add(event.Event{Kind: event.PinAdded, MessageSeq: earlier})
		case k == 8:
			w.add(event.Event{Kind: event.PinRemoved, MessageSeq: earlier})
		default:
			w.add(event.Event{Kind: event.MessageEdited, MessageSeq: earlier, Body: fmt.Sprint("edit ", w.log.last())})
		}
	}
}

// persist applies everything up to p and says so, and some of what comes after it, in any order.
func (w *world) persist(p chat.Seq, share float64) {
	w.t.Helper()
	var events []event.Stored
	for _, e := range w.events {
		if e.Seq <= p || w.rand.Float64() < share {
			events = append(events, e)
		}
	}
	w.rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	if err := w.store.Apply(w.t.Context(), events); err != nil {
		w.t.Fatal(err)
	}
	if err := w.store.NoteProgress(w.t.Context(), 0, p); err != nil {
		w.t.Fatal(err)
	}
}

// truth is what q reads of the whole log up to seq.
func (w *world) truth(q store.PageQuery, upTo chat.Seq) store.Page {
	q.ChannelID = "c1"
	var events []event.Stored
	for _, e := range w.events {
		if e.Seq <= upTo {
			events = append(events, e)
		}
	}
	return q.Overlay(store.Page{}, events)
}

func (w *world) lastOfChannel() chat.Seq { return w.events[len(w.events)-1].Seq }

func (w *world) page(q store.PageQuery) store.Reading {
	w.t.Helper()
	r, err := w.reader.Page(w.t.Context(), place, q)
	if err != nil {
		w.t.Fatalf("%+v: %v", q, err)
	}
	return r
}

func (w *world) unavailable(q store.PageQuery) {
	w.t.Helper()
	if r, err := w.reader.Page(w.t.Context(), place, q); !fault.Is(err, fault.Unavailable) {
		w.t.Errorf("%+v: %d messages, %v; want unavailable", q, len(r.Messages), err)
	}
}

func (w *world) queries() []store.PageQuery {
	some := func() chat.Seq { return 1 + chat.Seq(w.rand.Uint64N(uint64(w.log.last()))) }
	limit := func() int { return 1 + w.rand.IntN(30) }
	thread := w.events[0].Seq
	return []store.PageQuery{
		{Limit: limit()}, {Limit: chat.MaxPageSize}, {Before: some(), Limit: limit()}, {After: some(), Limit: limit()},
		{Around: some(), Limit: limit()}, {Thread: thread, Limit: limit()}, {Thread: thread, After: some(), Limit: limit()},
	}
}
