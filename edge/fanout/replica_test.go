package fanout_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// lags makes every replica be n messages behind the leader.
func (w *world) lags(n int) { w.with(func() { w.lag = func() int { return n } }) }

// A replica that lags by as many messages as were lost holds as many as the feed got.
func TestAReplicaThatLagsProvesNothing(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		w.loseNext(1)
		w.say("c1", "lost")
		w.say("c2", "shown")
		w.lags(1)
		r := newReader(f, 0)
		w.proofs(3)
		w.lags(0)
		w.proofs(1)
		r.readAll(t)
		if !r.resynced {
			t.Error("a hole was proved away")
		}
		w.sees(f, 0)
	})
}

// The same after a signal: the comparison waits until a replica has come as far as the leader.
func TestAComparisonWaitsForTheLeadersLast(t *testing.T) {
	for name, store := range map[string]func(w *world){
		"lost in the middle": func(w *world) { w.say("c1", "lost"); w.say("c2", "shown") },
		"lost at the tail":   func(w *world) { w.say("c1", "lost") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, patient, func(t *testing.T, w *world) {
				f := w.open()
				w.say("c1", "first")
				w.loseNext(1)
				store(w)
				head := f.Reach().Head
				w.lags(1)
				w.signals <- bus.Signal{Reason: bus.LeaderElected, Stream: streams.ChatStream(shard)}
				time.Sleep(time.Minute)
				w.say("c3", "not before the log was asked")
				if f.Reach().Head != head {
					t.Errorf("the feed went on to %+v", f.Reach())
				}
				w.lags(0)
				time.Sleep(10 * time.Second)
				w.sees(f, 0)
				w.isWhole(f)
			})
		})
	}
}

// A gap is seen, but the replica that is asked does not have the messages yet.
func TestARepairWaitsForAReplica(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.say("c1", "first")
		w.loseNext(1)
		w.lags(2)
		w.say("c1", "lost")
		w.say("c1", "tells of it")
		time.Sleep(30 * time.Second)
		if f.Reach().Head != 1 {
			t.Errorf("%+v", f.Reach())
		}
		w.lags(1)
		time.Sleep(10 * time.Second)
		w.lags(0)
		time.Sleep(10 * time.Second)
		w.sees(f, 0)
		wantHoles(t, f, 0)
		w.isWhole(f)
	})
}

// A feed begins where the leader is, also when the replicas are behind.
func TestAFeedNeverBeginsBehindTheLeader(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		for range 5 {
			w.say("c1", "old")
		}
		w.lags(3)
		f := w.open()
		if f.Reach().Head != 5 {
			t.Errorf("%+v", f.Reach())
		}
		w.loseNext(1)
		w.say("c1", "lost")
		w.say("c2", "shown")
		r := newReader(f, 5)
		r.readAll(t)
		w.lags(0)
		w.proofs(1)
		w.lags(4)
		r.readAll(t)
		if !r.resynced || f.Reach().Head < r.pos {
			t.Errorf("resynced: %t, from %d to %+v", r.resynced, r.pos, f.Reach())
		}
	})
}

// A page that a lagging replica gives has no seam with the ring yet.
func TestAPageOfAReplicaThatLagsSkipsNothing(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 4, ProveEvery: time.Hour}, func(t *testing.T, w *world) {
		f := w.open()
		for range 20 {
			w.say("c1", "x")
		}
		w.lags(8)
		r := newReader(f, 0)
		for {
			more, err := r.step(t.Context(), 7)
			if err != nil || !more {
				break
			}
		}
		if r.pos > 12 {
			t.Errorf("the reader is at %d, and the replica at 12", r.pos)
		}
		w.lags(0)
		wantLines(t, "the reader", r.readAll(t), w.shown(0))
	})
}

// CatchUp is for a client who saw more at another gateway.
func TestCatchUpReachesWhatTheLeaderHad(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		w.loseNext(2)
		w.say("c1", "lost")
		last := w.say("c1", "lost, but seen at another gateway")
		w.lags(1)
		go func() {
			time.Sleep(5 * time.Second)
			w.lags(0)
		}()
		if err := f.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		if head := f.Reach().Head; head < last {
			t.Errorf("caught up to %d, want %d", head, last)
		}
		w.sees(f, 0)
		wantHoles(t, f, 0)
	})
}

// What was deleted from the log, or is too old for it, is not waited for.
func TestErasedMessagesAreNotMissed(t *testing.T) {
	inWorld(t, fanout.Config{}, func(t *testing.T, w *world) {
		f := w.open()
		for range 6 {
			w.say("c1", "x")
		}
		w.proofs(1)
		w.erase(func(seq chat.Seq) bool { return seq <= 2 || seq == 4 || seq == 6 })
		w.signals <- bus.Signal{Reason: bus.LinkRestored}
		w.proofs(3)
		wantHoles(t, f, 0)
		w.say("c1", "next")
		w.proofs(1)
		if wantHoles(t, f, 0); f.Reach().Head != 7 || f.Unproved() != 0 {
			t.Errorf("%+v, %d not proved", f.Reach(), f.Unproved())
		}
	})
}

// A leaf comes to a member that was cut off while it led, and does not know yet that the others have another leader.
func TestALeaderThatWasCutOffIsNotBelievedAtOnce(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		for range 6 {
			w.say("c1", "x")
		}
		w.with(func() { w.cut = 3 })
		w.lags(3)
		w.signals <- bus.Signal{Reason: bus.Reconnected}
		time.Sleep(20 * time.Second)
		if f.Reach().Head != 6 {
			t.Errorf("%+v", f.Reach())
		}
		w.with(func() { w.cut = 0 })
		w.lags(0)
		time.Sleep(10 * time.Second)
		wantHoles(t, f, 0)
		w.isWhole(f)
		w.sees(f, 0)
	})
}

// A log that was really put back says so for longer, and then everybody resyncs.
func TestALogThatStaysBehindWhatWasShownIsBelieved(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		for range 6 {
			w.say("c1", "x")
		}
		w.with(func() { w.cut = 3 })
		w.signals <- bus.Signal{Reason: bus.Reconnected}
		time.Sleep(time.Minute)
		wantHoles(t, f, 1)
	})
}

// While many feeds wait for their turn to ask, the one with a message to show does not.
func TestAMessageThatWaitsIsNotSpread(t *testing.T) {
	inWorld(t, patient, func(t *testing.T, w *world) {
		f := w.open()
		for i := range 2000 {
			if _, err := w.feeds.Acquire(t.Context(), fanout.Place{WorkspaceID: chat.WorkspaceID(fmt.Sprint("many", i)), Shard: shard, Epoch: epoch}); err != nil {
				t.Fatal(err)
			}
		}
		w.signals <- bus.Signal{Reason: bus.LeaderElected, Stream: streams.ChatStream(shard)}
		w.quiet()
		seq := w.say("c1", "live")
		w.quiet() // no time passes
		if f.Reach().Head != seq {
			t.Errorf("%+v; %d was stored", f.Reach(), seq)
		}
	})
}
