package fanout_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

func TestFeedsAreSharedAndLinger(t *testing.T) {
	inWorld(t, fanout.Config{Linger: time.Minute}, func(t *testing.T, w *world) {
		a, b := w.open(), w.open()
		if a != b || w.subscribers() != 1 {
			t.Fatal("a workspace has two feeds")
		}
		w.feeds.Release(a)
		time.Sleep(2 * time.Minute)
		if w.subscribers() != 1 {
			t.Fatal("a feed that somebody holds has ended")
		}
		w.feeds.Release(b)
		time.Sleep(50 * time.Second)
		if again := w.open(); again != a {
			t.Error("it did not linger")
		}
		time.Sleep(2 * time.Minute)
		if w.subscribers() != 1 {
			t.Error("the end of its lingering was not called off")
		}
		w.feeds.Release(a)
		time.Sleep(70 * time.Second)
		w.quiet()
		if w.subscribers() != 0 {
			t.Error("it lingers for ever")
		}
		w.say("c1", "nobody is here")
		if again := w.open(); again == a || again.Reach().Head != 1 {
			t.Error("a feed that has ended was given")
		}
		w.feeds.Release(a) // of the one that has ended: nothing happens
		time.Sleep(2 * time.Minute)
		if w.subscribers() != 1 {
			t.Error("the new one has ended")
		}
	})
}

// Who draws a rate of them takes a sum that falls for a restart.
func TestCountsOutliveTheirFeeds(t *testing.T) {
	inWorld(t, fanout.Config{Linger: time.Second}, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "one")
		w.quiet()
		before := w.feeds.Counts()
		if before.Taken == 0 || before != f.Counts() {
			t.Fatalf("%+v, of one feed with %+v", before, f.Counts())
		}
		w.feeds.Release(f)
		time.Sleep(2 * time.Second)
		w.quiet()
		if w.subscribers() != 0 || w.feeds.Counts() != before {
			t.Errorf("when the feed has ended: %+v, before %+v", w.feeds.Counts(), before)
		}
		again := w.open()
		w.say("c1", "two")
		w.quiet()
		if now := w.feeds.Counts(); again == f || now.Taken != before.Taken+again.Counts().Taken {
			t.Errorf("of two feeds: %+v", now)
		}
	})
}

func TestAcquireGivesOnlyAWholeFeed(t *testing.T) {
	inWorld(t, fanout.Config{Linger: time.Second}, func(t *testing.T, w *world) {
		w.say("c1", "x")
		w.with(func() { w.failed = errors.New("no") })
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if f, err := w.feeds.Acquire(ctx, place); f != nil || !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v %v", f, err)
		}
		time.Sleep(2 * time.Second)
		w.quiet()
		if w.subscribers() != 0 {
			t.Error("nobody holds it, and it goes on")
		}
		go func() {
			time.Sleep(5 * time.Second)
			w.with(func() { w.failed = nil })
		}()
		if f := w.open(); f.Reach().Head != 1 {
			t.Errorf("%+v", f.Reach())
		}
		moved := place
		moved.Epoch++
		if _, err := w.feeds.Acquire(t.Context(), moved); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a feed of another epoch was given: %v", err)
		}
		bad := place
		bad.WorkspaceID = "*"
		if _, err := w.feeds.Acquire(t.Context(), bad); err == nil {
			t.Error("a feed of all workspaces was given")
		}
	})
}

func TestNoFeedBeforeRunOrAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		feeds := fanout.New(h, h, fanout.Config{})
		if _, err := feeds.Acquire(t.Context(), place); !fault.Is(err, fault.Unavailable) {
			t.Errorf("before: %v", err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- feeds.Run(ctx) }()
		synctest.Wait()
		f, err := feeds.Acquire(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := feeds.Acquire(t.Context(), place); !fault.Is(err, fault.Unavailable) || h.subscribers() != 0 {
			t.Errorf("after: %v", err)
		}
		feeds.Release(f)
	})
}

// Without signals a feed is not kept whole: the owner must know.
func TestRunEndsWhenSignalsCannotBeWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		feeds := fanout.New(h, h, fanout.Config{})
		ended := make(chan error, 1)
		go func() { ended <- feeds.Run(t.Context()) }()
		synctest.Wait()
		if _, err := feeds.Acquire(t.Context(), place); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("the connection has been closed")
		h.watch <- broken
		synctest.Wait()
		select {
		case err := <-ended:
			if !errors.Is(err, broken) || h.subscribers() != 0 {
				t.Errorf("%v, %d subscriptions", err, h.subscribers())
			}
		default:
			t.Fatal("Run goes on, blind")
		}
		// It may be started again.
		ctx, stop := context.WithCancel(t.Context())
		go func() { ended <- feeds.Run(ctx) }()
		synctest.Wait()
		f, err := feeds.Acquire(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		h.say("c1", "x")
		if f.Reach().Head != 1 {
			t.Errorf("%+v", f.Reach())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

type bell struct{ rung atomic.Int64 }

func (b *bell) Wake(*fanout.Feed) { b.rung.Add(1) }

func TestWatchersAreWoken(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		var one, two bell
		f.Watch(&one)
		f.Watch(&one)
		f.Watch(&two)
		w.say("c1", "x")
		f.Unwatch(&one)
		w.say("c1", "x")
		f.Unwatch(&one)
		w.say("c1", "x")
		w.loseNext(1)
		w.say("c1", "lost")
		before := two.rung.Load()
		w.say("c1", "tells of it")
		w.soon()
		if one.rung.Load() != 2 || before != 3 || two.rung.Load() <= before {
			t.Errorf("%d, %d, %d", one.rung.Load(), before, two.rung.Load())
		}
	})
}

// Who waits in a generation that a hole ended is woken, although nothing new was stored.
func TestWatchersAreWokenByANewGeneration(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.loseNext(1)
		w.say("c1", "lost")
		w.say("c2", "shown")
		var b bell
		f.Watch(&b)
		w.proofs(1)
		if b.rung.Load() == 0 || f.Reach().Generation != 1 {
			t.Errorf("%d %+v", b.rung.Load(), f.Reach())
		}
	})
}

func TestStampOf(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		if _, ok := w.feeds.StampOf(t.Context(), ws, 1); ok {
			t.Error("without a feed")
		}
		f := w.open()
		at := func(seq chat.Seq) time.Time { return epochStart.Add(time.Duration(seq) * time.Millisecond) }
		seq := w.say("c1", "x")
		if got, ok := w.feeds.StampOf(t.Context(), ws, seq); !ok || !got.Equal(at(seq)) {
			t.Errorf("of what is here: %v %t", got, ok)
		}
		hidden := w.store(subjectOf(ws, "c1"), []byte("garbage"))
		if _, ok := f.StampOf(t.Context(), hidden); ok {
			t.Error("of what is not shown")
		}
		for range 3 { // several may ask for one
			go func() {
				if got, ok := f.StampOf(t.Context(), 3); !ok || !got.Equal(at(3)) {
					t.Errorf("of what comes later: %v %t", got, ok)
				}
			}()
		}
		w.quiet()
		w.say("c1", "y")
		w.quiet()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, ok := f.StampOf(ctx, 99); ok {
			t.Error("of what never came")
		}
		w.loseNext(1)
		go func() {
			if _, ok := f.StampOf(t.Context(), 4); !ok {
				t.Error("of what was lost and read from the log")
			}
		}()
		w.quiet()
		w.say("c1", "lost")
		w.say("c1", "tells")
		w.soon()
	})
}
