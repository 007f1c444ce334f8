package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// talk stores n messages in three channels, with the neighbours' between them.
func (w *world) talk(n int) {
	for i := range n {
		if i%4 == 3 {
			w.elsewhere()
		}
		w.say(chat.ChannelID(fmt.Sprint("c", i%3)), fmt.Sprint("message ", i))
	}
}

// A reader who is behind gets pages, then the ring, without a seam, wherever the reader starts.
func TestPagesAreFollowedByTheRingWithoutASeam(t *testing.T) {
	for _, n := range []int{5, 40, 255, 256, 257, 700} { // a page holds 256
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inWorld(t, fanout.Config{RingEntries: 10, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
				w.talk(n)
				f := w.open()
				starts := []chat.Seq{0, 1, 2, chat.Seq(n / 2), w.last - 1, w.last}
				for _, pos := range starts {
					w.sees(f, pos)
				}
				w.talk(25)
				for _, pos := range append(starts, f.Reach().Floor-1, f.Reach().Floor, f.Reach().Floor+1, w.last) {
					w.sees(f, pos)
				}
			})
		})
	}
}

func TestAPageHoldsOnlyWhatTheLogHolds(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 4, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		w.talk(30)
		f := w.open()
		w.erase(func(seq chat.Seq) bool { return seq <= 9 || seq == 15 })
		for pos, want := range map[chat.Seq]error{0: fanout.ErrExpired, 8: fanout.ErrExpired, 9: nil, 20: nil} {
			if _, err := f.Page(t.Context(), pos); !errors.Is(err, want) {
				t.Errorf("after %d: %v, want %v", pos, err, want)
			}
		}
		page, err := f.Page(t.Context(), 12)
		if err != nil || page.Entries[0].Prev == 0 || page.Next != f.Reach().Head {
			t.Errorf("%+v %v", page, err)
		}
		w.erase(func(chat.Seq) bool { return true }) // all of it is too old
		if _, err := f.Page(t.Context(), 12); !errors.Is(err, fanout.ErrExpired) {
			t.Errorf("%v", err)
		}
		if page, err := f.Page(t.Context(), w.last); err != nil || len(page.Entries) > 0 {
			t.Errorf("%+v %v", page, err)
		}
		w.with(func() { w.failed = bus.Unavailable(errors.New("no")) })
		if _, err := f.Page(t.Context(), 12); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v", err)
		}
	})
}

// What was at the end of the log is too old by now: the reader need not wait for it.
func TestAPageEndsAtTheRingWhenTheLogHasNoMore(t *testing.T) {
	inWorld(t, fanout.Config{ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		w.talk(10)
		f := w.open()
		w.erase(func(seq chat.Seq) bool { return seq > 7 })
		w.sees(f, 0)
		r := newReader(f, 0)
		r.readAll(t)
		if r.pos != f.Reach().Head {
			t.Errorf("the reader stays at %d", r.pos)
		}
	})
}

func TestReadersAtOnePositionShareAReading(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 4, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		w.talk(50)
		f := w.open()
		w.soon()
		inside := make(chan struct{})
		w.with(func() { w.inside, w.reads = inside, 0 })
		var all sync.WaitGroup
		impatient, cancel := context.WithCancel(t.Context())
		ask := func(ctx context.Context, want error) {
			page, err := f.Page(ctx, 3)
			if !errors.Is(err, want) || err == nil && (len(page.Entries) == 0 || page.Entries[0].Seq <= 3) {
				t.Errorf("%d entries, %v", len(page.Entries), err)
			}
		}
		for range 10 {
			all.Go(func() { ask(impatient, context.Canceled) })
		}
		w.quiet()
		for range 90 {
			all.Go(func() { ask(t.Context(), nil) })
		}
		w.quiet()
		cancel() // also the first one's, who began the reading: it goes on for the others
		w.quiet()
		<-inside
		all.Wait()
		if w.reads != 1 {
			t.Errorf("%d readings", w.reads)
		}
		w.with(func() { w.inside = nil })
	})
}

// A delete takes the text out of what comes later: the ring, pages, the message's edits before and after it.
func TestADeleteTakesTheTextOut(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 20, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		f := w.open()
		first := w.say("c1", "secret")
		w.put(edited("c1", first, "secret two"))
		w.say("c1", "secretly another message")
		second := w.say("c2", "secret of another channel")
		r := newReader(f, 0)
		r.readAll(t)
		if !strings.Contains(string(r.got[0].Frame), "secret") {
			t.Error("not there before")
		}
		w.put(deleted("c1", first))
		w.put(deleted("c2", second))
		w.put(edited("c1", first, "secret three")) // was on its way when the delete was stored
		w.put(deleted("c1", 1000))                 // nothing that was ever here
		wantNoSecret(t, "the ring", f, 0)
		if !strings.Contains(string(r.got[0].Frame), "secret") {
			t.Error("a frame that a session has in hand has changed")
		}
		for range 30 { // what was deleted is below the ring's floor now
			w.say("c3", "more")
		}
		wantNoSecret(t, "pages", f, 0)
	})
}

// What a delete took back is erased from the log soon after: nobody is told to resync for that.
func TestWhatADeleteErasesIsNoHole(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		for i := range 50 {
			w.say("c1", "before")
			seq := w.say("c1", "secret")
			edit := w.put(edited("c1", seq, "secret two"))
			w.put(deleted("c1", seq))
			w.erase(func(s chat.Seq) bool { return s == seq || s == edit })
			if i%7 == 0 {
				w.Suspect()
			}
			time.Sleep(700 * time.Millisecond)
		}
		w.proofs(1)
		if wantHoles(t, f, 0); f.Unproved() != 0 {
			t.Errorf("%d are not proved", f.Unproved())
		}
		w.isWhole(f)
	})
}

// A page that holds the delete as well does without the text, also when the feed began after both.
func TestAPageKnowsItsOwnDeletes(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		first := w.say("c1", "secret")
		w.put(edited("c1", first, "secret two"))
		w.put(deleted("c1", first))
		wantNoSecret(t, "a page", w.open(), 0)
	})
}

func wantNoSecret(t testing.TB, what string, f *fanout.Feed, pos chat.Seq) {
	t.Helper()
	r := newReader(f, pos)
	r.readAll(t)
	marked := 0
	var last chat.Seq
	for _, e := range r.got {
		text := string(e.Frame)
		if strings.Contains(text, "secret") && !strings.Contains(text, "secretly another") {
			t.Errorf("%s: %q", what, text)
		}
		if strings.Contains(text, `"body":"","deleted":true`) {
			marked++
		}
		if e.Seq <= last || e.Event.Body != "" {
			t.Errorf("%s: %d after %d, body %q", what, e.Seq, last, e.Event.Body)
		}
		last = e.Seq
	}
	if marked == 0 {
		t.Errorf("%s: nothing is marked as deleted", what)
	}
}
