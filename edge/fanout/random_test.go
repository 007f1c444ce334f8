package fanout_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Messages are stored in several channels while their republished copies are lost, doubled, delayed and put out of order,
// the log fails, its replicas lag, and signals come or do not. Every reader, from whatever position, ends with exactly
// what the log holds after it, in order and with the right prev; or saw a new generation.
func TestEveryReaderEndsWithTheLog(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := fanout.Config{RingEntries: 5 + int(seed%7)*20, ProveEvery: time.Duration(1+seed%5) * time.Second}
			inWorld(t, cfg, func(t *testing.T, w *world) { w.disturbed(t, rand.New(rand.NewPCG(seed, 7)), seed%3) })
		})
	}
}

func (w *world) disturbed(t *testing.T, dice *rand.Rand, trouble uint64) {
	w.talk(dice.IntN(30))
	f := w.open()
	var all sync.WaitGroup
	readers := make([]*reader, 12)
	done := make(chan struct{})
	for i := range readers {
		readers[i] = newReader(f, chat.Seq(dice.Uint64N(uint64(f.Reach().Head)+1)))
		pause := time.Duration(1+dice.IntN(3000)) * time.Millisecond
		all.Go(func() { readers[i].follow(t, pause, done) })
	}
	bad := 0.02 * float64(trouble)                    // of the messages
	theirs := rand.New(rand.NewPCG(dice.Uint64(), 8)) // the hub's, guarded by its mu
	w.with(func() {
		w.fates = func(bus.Republished) fate {
			if theirs.Float64() < bad {
				return []fate{lost, twice, late}[theirs.IntN(3)]
			}
			return arrives
		}
		w.lag = func() int { return theirs.IntN(1 + 3*int(trouble)) }
	})
	for i := range 400 {
		w.something(dice, i)
		time.Sleep(time.Duration(dice.IntN(100)) * time.Millisecond)
		if trouble > 0 && dice.IntN(60) == 0 {
			w.with(func() { w.failed = errors.New("no") })
		} else if dice.IntN(10) == 0 {
			w.with(func() { w.failed = nil })
		}
		if trouble > 0 && dice.IntN(80) == 0 {
			w.signals <- bus.Signal{Reason: bus.LeaderElected, Stream: streams.ChatStream(shard)}
		}
	}
	w.with(func() {
		w.failed, w.lag = nil, func() int { return 0 }
		w.fates = func(bus.Republished) fate { return arrives }
	})
	time.Sleep(time.Minute) // all is quiet: everything is found within some proofs
	close(done)
	all.Wait()
	complete := 0
	for _, r := range readers {
		if r.resynced {
			r.wantInOrder(t, w)
			continue
		}
		complete++
		wantLines(t, fmt.Sprint("a reader with ", r.pages, " pages"), linesOf(r.got), w.shown(r.start()))
	}
	if trouble == 0 && (complete != len(readers) || f.Counts().Holes > 0) {
		t.Errorf("%d of %d readers are complete without any trouble: %+v", complete, len(readers), f.Counts())
	}
	w.sees(f, 0)
	w.isWhole(f)
}

// something is stored: mostly posts, sometimes a neighbour's or garbage.
func (w *world) something(dice *rand.Rand, i int) {
	ch := chat.ChannelID(fmt.Sprint("c", dice.IntN(4)))
	switch dice.IntN(12) {
	case 0:
		w.elsewhere()
	case 1:
		w.store(subjectOf(ws, ch), []byte("garbage"))
	case 2:
		w.put(joined(ch, "u2"))
	default:
		w.say(ch, fmt.Sprint("message ", i))
	}
}

// follow reads until the test is done, and then to the end.
func (r *reader) follow(t *testing.T, pause time.Duration, done chan struct{}) {
	r.from = r.pos
	for last := false; ; {
		more, err := r.step(t.Context(), 7)
		if r.resynced {
			return
		}
		if err == nil && more {
			continue
		}
		if last && err == nil {
			return
		}
		select {
		case <-done:
			last = true
		case <-time.After(pause):
		}
	}
}

func (r *reader) start() chat.Seq { return r.from }

// wantInOrder checks what a reader got before it was told to resync: of the log, and rising.
func (r *reader) wantInOrder(t *testing.T, w *world) {
	t.Helper()
	var before chat.Seq
	all := w.shown(0)
	inLog := map[string]bool{}
	for _, l := range all {
		inLog[l] = true
	}
	for i, l := range linesOf(r.got) {
		seq := r.got[i].Seq
		if seq <= before {
			t.Fatalf("%d after %d", seq, before)
		}
		before = seq
		if !inLog[l] { // also the prev: of a channel nothing is shown after something of it was lost
			t.Fatalf("%s is not in the log", l)
		}
	}
}

// Many readers, with pages and the ring, while messages are stored: for the race detector.
func TestManyReadersAtOnce(t *testing.T) {
	inWorld(t, fanout.Config{RingEntries: 16, ProveEvery: 20 * time.Millisecond}, func(t *testing.T, w *world) {
		f := w.open()
		done := make(chan struct{})
		var all sync.WaitGroup
		readers := make([]*reader, 40)
		var b bell
		for i := range readers {
			readers[i] = newReader(f, 0)
			all.Go(func() {
				f.Watch(&b)
				defer f.Unwatch(&b)
				readers[i].follow(t, time.Duration(1+i)*time.Millisecond, done)
			})
		}
		for i := range 600 {
			w.say(chat.ChannelID(fmt.Sprint("c", i%3)), "x")
			if i%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(10 * time.Second)
		close(done)
		all.Wait()
		for _, r := range readers {
			wantLines(t, "a reader", linesOf(r.got), w.shown(0))
		}
	})
}
