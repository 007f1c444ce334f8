package fanout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams/bus"
)

// Somebody who may publish on fan subjects by hand can be believed for a moment. It does not stop a feed, and
// what the log holds is shown or resynced.
func TestAForgedMessageDoesNotStopAFeed(t *testing.T) {
	good := payloadOf(postOf("c1", "forged"))
	for name, forge := range map[string]func(w *world){
		"huge seq":                 func(w *world) { w.forge("c1", 1<<40, 1, good) },
		"huge seq, nothing before": func(w *world) { w.forge("c9", 1<<40, 0, good) },
		"huge seq after a gap":     func(w *world) { w.forge("c1", 1<<40, 1<<39, good) },
		"seq of another workspace": func(w *world) { w.forge("c1", w.elsewhere(), 1, good) },
		"that seq after a gap":     func(w *world) { seq := w.elsewhere(); w.forge("c1", seq, seq-1, good) },
		"that seq, then one is lost, and a signal": func(w *world) {
			w.forge("c1", w.elsewhere(), 1, good)
			w.loseNext(1)
			w.say("c1", "lost")
			w.Suspect()
		},
		"that seq, and a signal":        func(w *world) { w.forge("c1", w.elsewhere(), 1, good); w.Suspect() },
		"the next seq":                  func(w *world) { w.forge("c1", 2, 1, good) },
		"an old seq":                    func(w *world) { w.forge("c1", 1, 0, good) },
		"garbage payload":               func(w *world) { w.forge("c1", 1<<40, 1, []byte("\xff\x00")) },
		"empty payload":                 func(w *world) { w.forge("c1", 1<<40, 1, nil) },
		"huge seq while it is repaired": func(w *world) { w.lags(1); w.Suspect(); w.forge("c1", 1<<40, 1, good); w.lags(0) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
				f := w.open()
				w.say("c1", "first")
				forge(w)
				time.Sleep(10 * time.Second)
				for range 3 {
					w.say("c1", "true")
					w.say("c2", "true")
					time.Sleep(20 * time.Second)
				}
				w.sees(f, f.Reach().Floor)
				w.isWhole(f)
				if f.Reach().Head > 100 {
					t.Errorf("%+v", f.Reach())
				}
			})
		})
	}
}

// Suspect makes all feeds suspect something.
func (w *world) Suspect() {
	w.signals <- bus.Signal{Reason: bus.Reconnected}
	w.quiet()
}

// What is stored but is no event is counted, and not shown. The next one's prev is the last one that was shown.
func TestGarbageInTheLogIsNotShown(t *testing.T) {
	garbage := []func(w *world) chat.Seq{
		func(w *world) chat.Seq { return w.store(subjectOf(ws, "c1"), nil) },
		func(w *world) chat.Seq { return w.store(subjectOf(ws, "c1"), []byte(`{"v":1}`)) },
		func(w *world) chat.Seq { return w.store(subjectOf(ws, "c1"), payloadOf(postOf("c2", "another's"))) },
		func(w *world) chat.Seq { return w.store(subjectOf(ws, ""), payloadOf(postOf("c1", "a channel's"))) },
		func(w *world) chat.Seq { return w.store("chat.1.w1.c1.more", payloadOf(postOf("c1", "deeper"))) },
		func(w *world) chat.Seq {
			return w.store(subjectOf(ws, "c1"), []byte(strings.Replace(string(payloadOf(postOf("c1", "x"))), `"epoch":1`, `"epoch":2`, 1)))
		},
		func(w *world) chat.Seq {
			return w.store(subjectOf(ws, "c1"), []byte(strings.Replace(string(payloadOf(postOf("c1", "x"))), `"x"`, "\"\xff\"", 1)))
		},
	}
	for _, how := range []string{"live", "repaired", "before the feed", "paged"} {
		t.Run(how, func(t *testing.T) {
			cfg := fanout.Config{}
			if how == "paged" {
				cfg.RingEntries = 2
			}
			inWorld(t, cfg, func(t *testing.T, w *world) {
				var f *fanout.Feed
				if how != "before the feed" {
					f = w.open()
				}
				if how == "repaired" {
					w.loseNext(1000)
				}
				w.say("c1", "first")
				for _, g := range garbage {
					g(w)
					w.say("c1", "between")
					w.say("c2", "beside")
				}
				for _, g := range garbage {
					g(w)
				}
				if f == nil {
					f = w.open()
				}
				w.with(func() { w.fates = func(bus.Republished) fate { return arrives } })
				w.proofs(1)
				for pos := w.last; how == "paged" && pos > 0; pos-- { // down: a page must not learn from one before it
					w.sees(f, pos)
				}
				w.sees(f, 0)
				w.say("c1", "after it all")
				w.say("c1", "and on")
				w.proofs(1)
				w.sees(f, 0)
				wantHoles(t, f, 0)
				if c := f.Counts(); how != "before the feed" && c.Garbage != uint64(2*len(garbage)) {
					t.Errorf("%+v", c)
				}
			})
		})
	}
}

// A page may end with what is not shown.
func TestGarbageAtTheSeamOfPages(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 2, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		w.say("c1", "first")
		w.say("c2", "first")
		for range 400 {
			w.store(subjectOf(ws, "c1"), []byte("garbage"))
		}
		w.say("c1", "second")
		w.say("c2", "second")
		f := w.open()
		r := newReader(f, 0)
		wantLines(t, "a reader", r.readAll(t), w.shown(0))
		if r.pages < 2 {
			t.Errorf("%d pages", r.pages)
		}
	})
}

// An event of a later version is carried as it is.
func TestAnUnknownEventIsCarried(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.store(subjectOf(ws, "c1"), []byte(`{"v":2,"kind":"message.posted","epoch":1,"channel_id":"c1","sender_id":"u1","client_msg_id":"\"x"}`))
		w.store(subjectOf(ws, "c1"), []byte(`{"v":1,"kind":"poll.opened","epoch":1,"channel_id":"c1","sender_id":"u1"}`))
		w.store(subjectOf(ws, "c1"), []byte(`{"v":2,"kind":"message.deleted","epoch":1,"channel_id":"c1","sender_id":"u1"}`))
		w.put(joined("c1", "u2")) // not touched by a delete that says otherwise what it deletes
		got := newReader(f, 0)
		got.readAll(t)
		for _, e := range got.got {
			if text := string(e.Frame); !strings.Contains(text, `{"type":"event"`) || strings.Contains(text, `"deleted":true`) {
				t.Errorf("%q", e.Frame)
			}
		}
		w.put(deleted("c1", 1)) // of this version, about that of a later one
		for _, e := range newReader(f, 0).readSome(t) {
			if e.Event.Kind == event.MessagePosted && strings.Contains(string(e.Frame), `"x`) {
				t.Errorf("a frame that is no JSON: %q", e.Frame)
			}
		}
	})
}

func (r *reader) readSome(t testing.TB) []*fanout.Entry {
	r.readAll(t)
	return r.got
}
