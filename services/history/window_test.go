package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
)

// Without the store, a log that has forgotten nothing answers everything.
func TestAWholeLogAnswersWithoutTheStore(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.post("the first", 0)
	w.talk(300)
	w.store.set(true)
	for range 5 {
		for _, q := range w.queries() {
			got := w.page(q)
			if diff := cmp.Diff(w.truth(q, w.log.last()), got.Page); diff != "" || got.CompleteThrough != w.lastOfChannel() {
				t.Fatalf("%+v: complete through %d of %d\n%s", q, got.CompleteThrough, w.lastOfChannel(), diff)
			}
		}
	}
	w.checkPins()
}

// erases takes a message away, as ingest and the persister do: the delete says what is left of it, and its texts go out of the log.
func (w *world) erases(seq chat.Seq) {
	w.t.Helper()
	post := w.log.all[seq-1]
	e, err := event.Parse(post.Payload)
	if err != nil || e.Kind != event.MessagePosted {
		w.t.Fatalf("%d is no message: %v", seq, err)
	}
	w.add(event.Event{Kind: event.MessageDeleted, MessageSeq: seq, SenderID: "u2", Post: &event.PostState{
		Epoch: e.Epoch, SenderID: e.SenderID, ClientMsgID: e.ClientMsgID, Thread: e.Thread, At: post.At,
	}})
	w.log.set(func() {
		if w.log.gone == nil {
			w.log.gone = map[chat.Seq]bool{}
		}
		w.log.gone[seq] = true
		for _, said := range w.events {
			if said.Kind == event.MessageEdited && said.MessageSeq == seq {
				w.log.gone[said.Seq] = true
			}
		}
	})
}

// The posts of deleted messages are not in the log any more, and are on its pages as on those of the store.
func TestTheLogAloneShowsWhatWasDeleted(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.post("the first", 0)
	w.talk(200)
	w.persist(w.log.last(), 0)
	for i, e := range w.events {
		if e.Kind == event.MessagePosted && i%3 == 0 {
			w.erases(e.Seq)
		}
	}
	w.talk(20)
	queries := w.queries()
	for _, q := range queries { // the store is behind: the deletes are in the tail, and some of what they delete is beyond the page
		if diff := cmp.Diff(w.truth(q, w.log.last()), w.page(q).Page); diff != "" {
			t.Fatalf("with the store, %+v:\n%s", q, diff)
		}
	}
	w.store.set(true)
	for _, q := range queries {
		got := w.page(q)
		if diff := cmp.Diff(w.truth(q, w.log.last()), got.Page); diff != "" || got.CompleteThrough != w.lastOfChannel() {
			t.Fatalf("%+v: complete through %d of %d\n%s", q, got.CompleteThrough, w.lastOfChannel(), diff)
		}
	}
	w.checkPins()
}

// A delete tells of a message from before the log. What lay around it is not known, so that it is on no page.
func TestWhatTheLogForgotIsNotShownAsDeleted(t *testing.T) {
	w := newWorld(t, history.Config{})
	for i := range 20 {
		w.post(fmt.Sprint("message ", i), 0)
	}
	for _, seq := range []chat.Seq{5, 15} {
		w.erases(seq)
	}
	w.log.set(func() { w.log.first = 11 })
	w.store.set(true)
	for _, q := range []store.PageQuery{{Limit: 50}, {Before: 100, Limit: 50}, {Around: 11, Limit: 50}} {
		got := w.page(q)
		if n := len(got.Messages); n != 10 || got.Messages[n-1].Seq != 11 || !got.HasMore {
			t.Errorf("%+v: %d messages, more %v", q, n, got.HasMore)
			continue
		}
		if m := got.Messages[5]; m.Seq != 15 || !m.Deleted || m.SenderID != "u1" || m.Body != "" {
			t.Errorf("%+v: %+v", q, m)
		}
	}
	w.unavailable(store.PageQuery{Before: 8, Limit: 10})
}

// A delete of an earlier build does not say whose the message was. It is left out, as it was then.
func TestADeleteThatSaysNothingIsPassedOver(t *testing.T) {
	w := newWorld(t, history.Config{})
	first, second := w.post("the first", 0), w.post("the second", 0)
	w.add(event.Event{Kind: event.MessageDeleted, MessageSeq: first})
	w.log.set(func() { w.log.gone = map[chat.Seq]bool{first: true} })
	w.store.set(true)
	if got := w.page(store.PageQuery{Limit: 10}); len(got.Messages) != 1 || got.Messages[0].Seq != second || got.HasMore {
		t.Errorf("%+v", got)
	}
}

// A log that has forgotten the beginning answers what lies in it, and says that there is more.
func TestAYoungLogAnswersWhatItHas(t *testing.T) {
	w := newWorld(t, history.Config{})
	for i := range 100 {
		w.post(fmt.Sprint("message ", i), 0)
	}
	root := chat.Seq(70)
	for i := range 20 {
		w.post(fmt.Sprint("reply ", i), root)
	}
	w.log.set(func() { w.log.first = 51 })
	w.store.set(true)
	for _, c := range []struct {
		q       store.PageQuery
		from    chat.Seq // the oldest on the page
		n       int
		hasMore bool
	}{
		{store.PageQuery{Limit: 10}, 111, 10, true},
		{store.PageQuery{Limit: 200}, 51, 70, true},
		{store.PageQuery{Before: 61, Limit: 50}, 51, 10, true},
		{store.PageQuery{After: 60, Limit: 5}, 61, 5, true},
		{store.PageQuery{After: 50, Limit: 200}, 51, 70, false},
		{store.PageQuery{Around: 80, Limit: 11}, 75, 11, true},
		{store.PageQuery{Around: 52, Limit: 10}, 51, 7, true},
		{store.PageQuery{Thread: root, Limit: 50}, 101, 20, false},
		{store.PageQuery{Thread: 3, After: 60, Limit: 50}, 0, 0, false},
	} {
		got := w.page(c.q)
		if len(got.Messages) != c.n || got.HasMore != c.hasMore || got.CompleteThrough != 120 {
			t.Errorf("%+v: %d messages, more %v, complete through %d", c.q, len(got.Messages), got.HasMore, got.CompleteThrough)
			continue
		}
		if c.n > 0 && got.Messages[c.n-1].Seq != c.from {
			t.Errorf("%+v: from %d, want %d", c.q, got.Messages[c.n-1].Seq, c.from)
		}
	}
	for _, q := range []store.PageQuery{
		{Before: 51, Limit: 10}, {Before: 20, Limit: 10}, {After: 30, Limit: 10}, {Around: 40, Limit: 10}, {Thread: 3, Limit: 10},
	} {
		w.unavailable(q)
	}
	if _, err := w.reader.Pins(t.Context(), place); !fault.Is(err, fault.Unavailable) {
		t.Errorf("pins: %v", err)
	}
	w.log.set(func() { w.log.down = true })
	w.unavailable(store.PageQuery{Limit: 10})
}

// A channel whose making is still in the log is all there, however old the log's other channels are.
func TestANewChannelIsWhole(t *testing.T) {
	w := newWorld(t, history.Config{})
	for range 30 {
		w.add(event.Event{Kind: event.MessagePosted, ChannelID: "c2", ClientMsgID: "x", Body: "elsewhere"})
	}
	w.log.set(func() { w.log.first = 20 })
	w.add(event.Event{Kind: event.ChannelCreated, Channel: &event.ChannelState{Name: "new", Type: chat.ChannelPublic, CreatorID: "u1"}})
	w.store.set(true)
	if got := w.page(store.PageQuery{Limit: 10}); len(got.Messages) != 0 || got.HasMore || got.CompleteThrough != 31 {
		t.Errorf("an empty channel: %+v", got)
	}
	seq := w.post("hello", 0)
	w.add(event.Event{Kind: event.PinAdded, MessageSeq: seq})
	if got := w.page(store.PageQuery{Before: 1000, Limit: 10}); len(got.Messages) != 1 || got.HasMore {
		t.Errorf("%+v", got)
	}
	w.checkPins()
}

func TestOfALongLogOnlyTheEndIsRead(t *testing.T) {
	w := newWorld(t, history.Config{TailBytes: 6 << 20})
	for i := range 30_000 {
		w.post(fmt.Sprint("message ", i), 0)
	}
	w.store.set(true)
	if got := w.page(store.PageQuery{Limit: 50}); got.Messages[49].Seq != 29_951 {
		t.Errorf("the page begins at %d", got.Messages[49].Seq)
	}
	if w.log.got > 5000 {
		t.Errorf("%d events were read for a page of 50", w.log.got)
	}
	got := w.log.got
	w.page(store.PageQuery{Limit: 50})
	if w.log.got != got {
		t.Error("the same page was read from the log again")
	}
	w.unavailable(store.PageQuery{Before: 100, Limit: 10}) // too far back for what may be read
	if n := w.page(store.PageQuery{Limit: 50}); len(n.Messages) != 50 {
		t.Errorf("after that, the newest page has %d messages", len(n.Messages))
	}
}

// hanging is a store that takes questions and never answers.
type hanging struct{ store.Messages }

func (hanging) Progress(ctx context.Context, _ int) (chat.Seq, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestAStoreThatHangsIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &memoryLog{}
		log.append(event.Event{Kind: event.MessagePosted, ChannelID: "c1", SenderID: "u1", ClientMsgID: "m", Body: "hello"})
		reader := history.New(history.Config{Store: hanging{}, Log: log, Logger: slog.New(slog.DiscardHandler)})
		began := time.Now()
		r, err := reader.Page(t.Context(), place, store.PageQuery{Limit: 10})
		if err != nil || len(r.Messages) != 1 || r.CompleteThrough != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		if d := time.Since(began); d > history.DefaultStoreBudget {
			t.Errorf("the page took %v", d)
		}
	})
}
