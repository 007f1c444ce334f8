package history_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
)

// Whatever the persister has done so far, a page is what the log says.
func TestAPageIsWhatTheLogSays(t *testing.T) {
	for range 8 {
		w := newWorld(t, history.Config{})
		w.post("the first", 0)
		for range 6 {
			w.talk(40)
			p := chat.Seq(w.rand.IntN(int(w.log.last()) + 1))
			w.persist(p, w.rand.Float64())
			for _, q := range w.queries() {
				got := w.page(q)
				if diff := cmp.Diff(w.truth(q, w.log.last()), got.Page); diff != "" {
					t.Fatalf("%+v at progress %d of %d (-log +page):\n%s", q, p, w.log.last(), diff)
				}
				if progress, _ := w.store.Progress(t.Context(), 0); got.CompleteThrough != max(progress, w.lastOfChannel()) {
					t.Fatalf("complete through %d; progress %d, last %d", got.CompleteThrough, progress, w.lastOfChannel())
				}
			}
			w.checkPins()
		}
	}
}

func (w *world) checkPins() {
	w.t.Helper()
	got, err := w.reader.Pins(w.t.Context(), place)
	if err != nil {
		w.t.Fatal(err)
	}
	var want []chat.Message
	for _, m := range w.truth(store.PageQuery{Limit: 10_000}, w.log.last()).Messages {
		if m.Pinned && !m.Deleted && len(want) < chat.MaxPins {
			want = append(want, m)
		}
	}
	if len(got.Messages)+len(want) == 0 {
		return
	}
	if diff := cmp.Diff(want, got.Messages); diff != "" {
		w.t.Fatalf("pins (-log +pins):\n%s", diff)
	}
	if got.CompleteThrough < w.lastOfChannel() {
		w.t.Errorf("pins are complete through %d of %d", got.CompleteThrough, w.lastOfChannel())
	}
}

func TestGarbageInTheTailIsPassedOver(t *testing.T) {
	w := newWorld(t, history.Config{})
	first := w.post("one", 0)
	w.log.set(func() {
		w.log.all = append(w.log.all, w.log.all[0])
		e := &w.log.all[1]
		e.Seq, e.Payload = 2, []byte("hello")
	})
	got := w.page(store.PageQuery{Limit: 10})
	if len(got.Messages) != 1 || got.Messages[0].Seq != first || got.CompleteThrough != 2 {
		t.Errorf("%+v", got)
	}
}

func TestWithoutTheLogThePageIsTheStores(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.talk(60)
	w.persist(30, 0)
	w.log.set(func() { w.log.down = true })
	got := w.page(store.PageQuery{Limit: 50})
	if diff := cmp.Diff(w.truth(store.PageQuery{Limit: 50}, 30), got.Page); diff != "" || got.CompleteThrough != 30 {
		t.Errorf("complete through %d:\n%s", got.CompleteThrough, diff)
	}

	// What a reader saw stays, also when the log is gone.
	w.log.set(func() { w.log.down = false })
	before := w.page(store.PageQuery{Limit: 50})
	w.log.set(func() { w.log.down = true })
	if diff := cmp.Diff(before, w.page(store.PageQuery{Limit: 50})); diff != "" {
		t.Errorf("a read went back:\n%s", diff)
	}
}

func TestAReplicaThatIsBehindIsNotTakenForTheEnd(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.talk(60)
	w.persist(20, 0)
	w.log.set(func() { w.log.shown = 40 })
	got := w.page(store.PageQuery{Limit: 100})
	if got.CompleteThrough >= w.lastOfChannel() || got.CompleteThrough > 40 || got.CompleteThrough < 36 {
		t.Errorf("complete through %d; replicas show 40", got.CompleteThrough)
	}
	if diff := cmp.Diff(w.truth(store.PageQuery{Limit: 100}, 40), got.Page); diff != "" {
		t.Error(diff)
	}
	w.log.set(func() { w.log.shown = 0 })
	if got := w.page(store.PageQuery{Limit: 100}); got.CompleteThrough != w.lastOfChannel() {
		t.Errorf("complete through %d of %d", got.CompleteThrough, w.lastOfChannel())
	}
}

// When the log has forgotten events that the store never got, nothing after them is called complete.
func TestAHoleIsNotHidden(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.talk(60)
	w.persist(20, 0)
	w.log.set(func() { w.log.first = 40 })
	if got := w.page(store.PageQuery{Limit: 100}); got.CompleteThrough != 20 {
		t.Errorf("complete through %d over a hole", got.CompleteThrough)
	}
}

// A persister that is far behind does not make each page read all of it.
func TestATailIsReadOnce(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.talk(2000)
	q := store.PageQuery{Limit: 50}
	w.page(q)
	got := w.log.got
	for range 20 {
		seq := w.post("one more", 0)
		if r := w.page(q); r.Messages[0].Seq != seq {
			t.Fatalf("the newest is %d, want %d", r.Messages[0].Seq, seq)
		}
	}
	if more := w.log.got - got; more != 20 {
		t.Errorf("%d events were read for 20 new ones", more)
	}
}

func TestATailThatIsTooLongSaysSo(t *testing.T) {
	w := newWorld(t, history.Config{TailBytes: 50 << 10})
	w.post("the first", 0)
	w.talk(10_000)
	// Pages of the middle end where the tail ends, and say so.
	got := w.page(store.PageQuery{After: 5, Limit: 100})
	if got.CompleteThrough >= w.lastOfChannel() || got.CompleteThrough < 50 {
		t.Errorf("complete through %d of %d", got.CompleteThrough, w.lastOfChannel())
	}
	want := w.truth(store.PageQuery{After: 5, Limit: 100}, got.CompleteThrough)
	if diff := cmp.Diff(want, got.Page); diff != "" {
		t.Error(diff)
	}
	// As the persister goes on, so does the tail.
	w.persist(9_900, 0)
	if got := w.page(store.PageQuery{Limit: 100}); got.CompleteThrough != w.lastOfChannel() {
		t.Errorf("complete through %d of %d", got.CompleteThrough, w.lastOfChannel())
	}
}

func TestTheNewestMessagesAreThereHoweverLongTheTail(t *testing.T) {
	w := newWorld(t, history.Config{TailBytes: 4 << 20, LogBudget: time.Minute})
	for i := range 20_000 {
		w.post(fmt.Sprint("message ", i), 0)
	}
	q := store.PageQuery{Limit: 50}
	got := w.page(q)
	if diff := cmp.Diff(w.truth(q, w.log.last()), got.Page); diff != "" || got.CompleteThrough != w.lastOfChannel() {
		t.Errorf("complete through %d of %d:\n%s", got.CompleteThrough, w.lastOfChannel(), diff)
	}
}

// After an ack with seq n, a read that begins then holds n: with many readers and writers of one channel, and
// a persister at work.
func TestReadYourWriteUnderLoad(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.post("the first", 0)
	var mu sync.Mutex // of world
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 40 {
				mu.Lock()
				seq := w.post("mine", 0)
				if i%10 == 9 {
					w.persist(seq-3, 0.5)
				}
				mu.Unlock()
				r, err := w.reader.Page(w.t.Context(), place, store.PageQuery{Around: seq, Limit: 3})
				if err != nil || r.CompleteThrough < seq {
					t.Errorf("%d: complete through %d, %v", seq, r.CompleteThrough, err)
					return
				}
				found := false
				for _, m := range r.Messages {
					found = found || m.Seq == seq
				}
				if !found {
					t.Errorf("%d is not in its page %+v", seq, r)
				}
			}
		})
	}
	all.Wait()
}

func TestSendAndMessageAnswerFromTheStore(t *testing.T) {
	w := newWorld(t, history.Config{})
	seq := w.post("hello", 0)
	reply := w.post("again", seq)
	w.add(event.Event{Kind: event.MessageEdited, MessageSeq: reply, Body: "changed"})
	w.post("not stored yet", 0)
	w.persist(3, 0)
	sent, err := w.reader.Send(t.Context(), rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: "m0"})
	if want := (rpc.SendReply{ChannelID: "c1", Seq: seq, Through: 3}); err != nil || sent != want {
		t.Errorf("%+v, %v", sent, err)
	}
	none, err := w.reader.Send(t.Context(), rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: "m3"})
	if want := (rpc.SendReply{Through: 3}); err != nil || none != want {
		t.Errorf("%+v, %v", none, err)
	}
	m, err := w.reader.Message(t.Context(), rpc.MessageRequest{ChannelID: "c1", Seq: reply})
	want := rpc.MessageReply{Epoch: 1, SenderID: "u1", ClientMsgID: "m1", Thread: seq, Body: "changed", Edited: true, At: w.events[1].At}
	if diff := cmp.Diff(want, m); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := w.reader.Message(t.Context(), rpc.MessageRequest{ChannelID: "c2", Seq: reply}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a message of another channel: %v", err)
	}
	w.store.set(true)
	if _, err := w.reader.Send(t.Context(), rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: "m0"}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the store: %v", err)
	}
}

func TestABadQueryIsRefused(t *testing.T) {
	w := newWorld(t, history.Config{})
	for _, q := range []store.PageQuery{{}, {Limit: chat.MaxPageSize + 1}, {Before: 1, After: 1, Limit: 1}} {
		if _, err := w.reader.Page(t.Context(), place, q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	for _, id := range []chat.ChannelID{"", "*", ">", "a.b"} {
		bad := place
		bad.ChannelID = id
		if _, err := w.reader.Page(t.Context(), bad, store.PageQuery{Limit: 1}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := w.reader.Pins(t.Context(), bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("pins of %q: %v", id, err)
		}
	}
}
