package fanout_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// loseNext makes the next n republished messages of w1 be lost.
func (w *world) loseNext(n int) {
	w.with(func() {
		w.fates = func(m bus.Republished) fate {
			if n > 0 && (m.Foreign || m.Place.WorkspaceID == ws) {
				n--
				return lost
			}
			return arrives
		}
	})
}

// wantCounts checks how often a feed was repaired and began anew.
func wantHoles(t testing.TB, f *fanout.Feed, holes uint64) {
	t.Helper()
	if c := f.Counts(); c.Holes != holes || uint64(f.Reach().Generation) != holes {
		t.Errorf("%d holes in generation %d, want %d: %+v", c.Holes, f.Reach().Generation, holes, c)
	}
}

func TestAFeedShowsWhatIsStoredAsItComes(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		w.say("c1", "before the feed")
		w.elsewhere()
		f := w.open()
		if r := f.Reach(); r != (fanout.Reach{Floor: 1, Head: 1}) {
			t.Errorf("it begins at %+v", r)
		}
		for i := range 20 {
			w.elsewhere()
			w.say(chat.ChannelID(fmt.Sprintf("c%d", i%3)), fmt.Sprint("message ", i))
		}
		w.put(joined("", "u2"))
		w.sees(f, 1)
		w.sees(f, 0)
		wantHoles(t, f, 0)
		if f.Counts().Taken != 21 {
			t.Errorf("%+v", f.Counts())
		}
	})
}

// A log of which its stream holds nothing, as it is too old or lay in another stream, begins where the stream does: at 0 nobody would be in
// anything yet, and who is in what does not come with the log any more.
func TestALogThatTheStreamHoldsNothingOfBeginsWhereTheStreamDoes(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		w.hub.with(func() { w.hub.first, w.hub.last = 1000, 999 })
		f := w.open()
		if reach := f.Reach(); reach.Head != 999 || reach.Floor != 999 {
			t.Errorf("it begins with %+v", reach)
		}
		if seq := w.hub.say("c1", "the first"); seq != 1000 {
			t.Fatalf("the stream goes on with %d", seq)
		}
		w.quiet()
		w.sees(f, 999)
		w.proofs(1)
		w.isWhole(f)
		wantHoles(t, f, 0)
	})
}

func TestWhatIsLostInTheMiddleOfAChannelIsReadBeforeAnythingLater(t *testing.T) {
	for _, n := range []int{1, 3, 300} { // 300: more than one question asks for
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inWorld(t, patient, func(t *testing.T, w *world) {
				f := w.open()
				w.say("c1", "first")
				w.say("c2", "other")
				w.loseNext(n)
				for i := range n {
					w.say("c1", fmt.Sprint("lost ", i))
				}
				w.say("c1", "last")
				w.quiet()
				w.sees(f, 0)
				wantHoles(t, f, 0)
				w.isWhole(f)
			})
		})
	}
}

func TestWhatIsLostInANewChannelIsReadBeforeAnythingLater(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.loseNext(1)
		w.say("c1", "lost, and the first of its channel")
		w.say("c1", "second")
		w.quiet()
		w.sees(f, 0)
		wantHoles(t, f, 0)
	})
}

// What is lost in one channel before something was shown of another cannot be shown in order any more.
func TestWhatIsLostBeforeAnotherChannelsMessageBeginsAGeneration(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		r := newReader(f, 0)
		w.loseNext(1)
		hole := w.say("c1", "lost")
		after := w.say("c2", "shown")
		r.readAll(t)
		if r.pos != after || len(r.got) != 2 {
			t.Fatalf("the reader is at %d with %d entries", r.pos, len(r.got))
		}
		w.proofs(1)
		r.readAll(t)
		if !r.resynced {
			t.Errorf("a reader who missed %d was not told", hole)
		}
		wantHoles(t, f, 1)
		w.sees(f, 0) // who starts again sees it all
		w.isWhole(f)
	})
}

// The next message of the channel that has the hole tells at once, also when it is lost itself.
func TestTheNextMessageOfTheChannelTellsOfTheHole(t *testing.T) {
	for _, more := range []int{0, 1} {
		t.Run(fmt.Sprint(more, " more lost"), func(t *testing.T) {
			inWorld(t, patient, func(t *testing.T, w *world) {
				f := w.open()
				w.say("c1", "first")
				w.loseNext(1)
				w.say("c1", "lost")
				w.say("c2", "shown")
				r := newReader(f, 0)
				r.readAll(t)
				w.loseNext(more)
				for range more {
					w.say("c1", "lost as well")
				}
				w.say("c1", "its prev is a lost one")
				w.soon()
				r.readAll(t)
				if !r.resynced || len(r.got) != 2 {
					t.Errorf("the reader has %d entries, resynced: %t", len(r.got), r.resynced)
				}
				w.sees(f, 0)
				w.isWhole(f)
			})
		})
	}
}

func TestALostTailIsFoundByTheProof(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		w.loseNext(2)
		w.say("c1", "lost")
		w.say("c2", "lost too")
		w.proofs(1)
		w.sees(f, 0)
		wantHoles(t, f, 0)
		w.isWhole(f)
	})
}

func TestALostTailIsFoundAfterEachSignal(t *testing.T) {
	for _, reason := range []bus.SignalReason{bus.SlowConsumer, bus.Reconnected, bus.LeaderElected, bus.LinkLost, bus.LinkRestored} {
		t.Run(string(reason), func(t *testing.T) {
			inWorld(t, patient, func(t *testing.T, w *world) {
				f := w.open()
				w.say("c1", "first")
				w.loseNext(2)
				w.say("c1", "lost")
				w.say("c2", "lost too")
				switch reason {
				case bus.SlowConsumer:
					for _, s := range w.subs {
						s.Broken(reason)
					}
				case bus.LeaderElected:
					w.signals <- bus.Signal{Reason: reason, Stream: streams.ChatStream(shard + 1)}
					w.soon()
					if f.Reach().Head != 1 {
						t.Error("the leader of another stream made the feed ask")
					}
					w.signals <- bus.Signal{Reason: reason, Stream: streams.ChatStream(shard)}
				default:
					w.signals <- bus.Signal{Reason: reason}
				}
				w.soon()
				w.sees(f, 0)
				wantHoles(t, f, 0)
				w.isWhole(f)
			})
		})
	}
}

// After a signal, nothing is shown that may stand after a hole.
func TestNothingIsShownAfterASignalUntilTheLogWasAsked(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		w.loseNext(1)
		w.say("c1", "lost over the cut")
		w.with(func() { w.failed = bus.Unavailable(errors.New("cut")) })
		w.signals <- bus.Signal{Reason: bus.LinkLost}
		w.quiet()
		w.say("c2", "came over the link again before the log could be asked")
		w.soon()
		if f.Reach().Head != 1 {
			t.Fatalf("%+v", f.Reach())
		}
		w.with(func() { w.failed = nil })
		time.Sleep(10 * time.Second)
		w.sees(f, 0)
		wantHoles(t, f, 0)
		w.isWhole(f)
	})
}

func TestADuplicateIsTakenOnce(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.with(func() { w.fates = func(bus.Republished) fate { return twice } })
		w.say("c1", "one")
		w.say("c2", "two")
		w.proofs(1)
		first := w.log[0]
		w.send(first.Republished) // long after it was proved
		w.say("c1", "three")
		w.soon()
		w.sees(f, 0)
		wantHoles(t, f, 0)
		if c := f.Counts(); c.Repeated != 4 || c.Repairs != 1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestReorderedMessagesAreShownInOrderOrResync(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "one")
		w.with(func() {
			w.fates = func(m bus.Republished) fate {
				if m.Seq == 2 || m.Seq == 4 {
					return late
				}
				return arrives
			}
		})
		w.say("c1", "two, after three")
		w.say("c1", "three")
		w.soon()
		w.sees(f, 0)
		wantHoles(t, f, 0)
		r := newReader(f, 0)
		r.readAll(t)
		w.say("c1", "four, after another channel's five")
		w.say("c2", "five")
		w.soon()
		r.readAll(t)
		if !r.resynced {
			t.Error("what came late was neither shown in order nor told of")
		}
		w.sees(f, 0)
		w.isWhole(f)
	})
}

func TestALogThatDoesNotAnswer(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		w.with(func() { w.failed = errors.New("no") })
		w.proofs(2) // fail, and change nothing
		w.isWhole(f)
		w.loseNext(1)
		w.say("c1", "lost")
		w.say("c1", "tells of it")
		time.Sleep(time.Minute)
		if head := f.Reach().Head; head != 2 {
			t.Errorf("the feed went on to %d over a gap that it could not read", head)
		}
		w.with(func() { w.failed = nil })
		time.Sleep(10 * time.Second)
		w.sees(f, 0)
		wantHoles(t, f, 0)
	})
}

func TestWhatCameIsNotKeptForEverWhenProofsFail(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.with(func() { w.failed = errors.New("no") })
		body := payloadOf(postOf("c1", "x"))
		for seq := chat.Seq(1); seq <= fanout.MaxUnproved+10; seq++ {
			w.forge("c1", seq, seq-1, body)
		}
		if n := f.Unproved(); n > fanout.MaxUnproved+1 {
			t.Errorf("%d messages are remembered", n)
		}
		if f.Reach().Head > fanout.MaxUnproved+1 {
			t.Error("it shows more than it can prove")
		}
	})
}

// A workspace that is never quiet is proved as well, and what is lost in it is found.
func TestAProofNeedsNoQuiet(t *testing.T) {
	inWorld(t, fanout.Config{ProveEvery: time.Second}, func(t *testing.T, w *world) {
		f := w.open()
		busy := func() {
			for i := range 4000 {
				w.say(chat.ChannelID(fmt.Sprint("c", i%3)), "x")
				time.Sleep(time.Millisecond)
				if n := f.Unproved(); n > 3000 {
					t.Fatalf("%d messages are not proved", n)
				}
				if f.Reach().Generation > 0 {
					return
				}
			}
		}
		busy()
		wantHoles(t, f, 0)
		w.with(func() { w.log = w.log[len(w.log)-1:] })
		w.loseNext(1)
		w.say("quiet", "lost")
		busy()
		wantHoles(t, f, 1)
	})
}
