package directory_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

var quiet = slog.New(slog.DiscardHandler)

// run runs a relay until stop is called, which waits for its end.
func run(t *testing.T, cfg directory.RelayConfig) (r *directory.Relay, stop func()) {
	t.Helper()
	cfg.Logger = quiet
	r = directory.NewRelay(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// checkOnce says that the log has every event that was ever owed exactly once, in order for each workspace, and that the
// outbox knows their seqs.
func checkOnce(t *testing.T, what string, o *memoryOutbox, l *memoryLog) {
	t.Helper()
	if n := o.left(); n != 0 {
		t.Errorf("%s: %d events are still owed", what, n)
	}
	seen := map[string]bool{}
	last := map[chat.WorkspaceID]int64{}
	for _, e := range l.all() {
		id, err := streams.ParseOutboxMsgID(e.msgID)
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.msgID] {
			t.Errorf("%s: %s is in the log twice", what, e.msgID)
		}
		seen[e.msgID] = true
		if id < last[e.at.WorkspaceID] {
			t.Errorf("%s: %s comes after %d", what, e.msgID, last[e.at.WorkspaceID])
		}
		last[e.at.WorkspaceID] = id
		if got := o.seqs[store.OutboxID(id)]; got != e.seq {
			t.Errorf("%s: %s has seq %d, the outbox says %d", what, e.msgID, e.seq, got)
		}
		if _, err := event.Parse([]byte(e.payload)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(seen) != int(o.last) {
		t.Errorf("%s: the log has %d of %d events", what, len(seen), o.last)
	}
}

func TestAnEventIsInTheLogOnceWhereverTheRelayDies(t *testing.T) {
	for _, away := range []time.Duration{0, 30 * time.Second, 90 * time.Second, time.Hour} {
		for _, after := range []bool{false, true} {
			for steps := 1; steps <= 14; steps++ {
				what := fmt.Sprintf("dies at step %d (after its work: %v), away for %v", steps, after, away)
				synctest.Test(t, func(t *testing.T) {
					o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
					o.owe("w1", 0, 3)
					o.owe("w2", 1, 2)
					o.owe("w1", 0, 2)
					ctx, die := context.WithCancel(context.Background())
					defer die()
					first := &mortal{memoryOutbox: o, memoryLog: l, steps: steps, after: after, die: die}
					if err := directory.NewRelay(directory.RelayConfig{Outbox: first, Log: first, Logger: quiet}).Run(ctx); err != nil {
						t.Errorf("%s: %v", what, err)
					}
					time.Sleep(away)
					o.owe("w1", 0, 1)
					_, stop := run(t, directory.RelayConfig{Outbox: o, Log: l})
					time.Sleep(time.Minute)
					stop()
					checkOnce(t, what, o, l)
				})
			}
		}
	}
}

func TestTwoRelaysAtOnceDoNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		_, stop1 := run(t, directory.RelayConfig{Outbox: o, Log: l, Poll: 10 * time.Millisecond})
		_, stop2 := run(t, directory.RelayConfig{Outbox: o, Log: l, Poll: 11 * time.Millisecond})
		var writers sync.WaitGroup
		for i := range 8 {
			writers.Go(func() {
				for range 50 {
					o.owe(chat.WorkspaceID(fmt.Sprintf("w%d", i)), i%4, 3)
					time.Sleep(3 * time.Millisecond)
				}
			})
		}
		writers.Wait()
		time.Sleep(time.Minute)
		stop1()
		stop2()
		checkOnce(t, "two relays", o, l)
	})
}

func TestAWorkspaceWhoseLogIsDownHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		l.setDown(0, true)
		o.owe("stuck", 0, 3000) // more than the relay reads at once
		r, stop := run(t, directory.RelayConfig{Outbox: o, Log: l})
		defer stop()
		time.Sleep(time.Minute)
		for range 20 {
			o.owe("fine", 1, 1)
			r.Wake()
			synctest.Wait()
		}
		if n := o.left(); n != 3000 {
			t.Errorf("%d events are owed; those of the workspace that is fine should have gone at once", n)
		}
		time.Sleep(5 * time.Minute)
		l.setDown(0, false)
		time.Sleep(10 * time.Second)
		stop()
		checkOnce(t, "when the log is back", o, l)
	})
}

func TestARelayIsWokenAndLooksByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		r, stop := run(t, directory.RelayConfig{Outbox: o, Log: l, Poll: time.Second})
		defer stop()
		time.Sleep(1500 * time.Millisecond)
		o.owe("w1", 0, 1)
		synctest.Wait()
		if o.left() != 1 {
			t.Error("nobody told the relay, and it did not wait")
		}
		r.Wake()
		synctest.Wait()
		if o.left() != 0 {
			t.Error("the relay was woken and has not published")
		}
		o.owe("w1", 0, 1)
		time.Sleep(time.Second)
		synctest.Wait()
		if o.left() != 0 {
			t.Error("what another process wrote was not noticed within the interval")
		}
		if l.finds != 0 {
			t.Errorf("%d searches of the log for events that were new", l.finds)
		}
	})
}

func TestADatabaseThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		o.owe("w1", 0, 1)
		broken := &flaky{memoryOutbox: o, failures: 5}
		_, stop := run(t, directory.RelayConfig{Outbox: broken, Log: l})
		time.Sleep(time.Minute)
		stop()
		checkOnce(t, "after failures", o, l)
	})
}

// flaky fails some times before it works.
type flaky struct {
	*memoryOutbox
	failures int
}

func (f *flaky) Claim(ctx context.Context, limit int, except []chat.WorkspaceID) (store.Claim, error) {
	if f.failures > 0 {
		f.failures--
		return store.Claim{}, errDown
	}
	return f.memoryOutbox.Claim(ctx, limit, except)
}

func TestTheOutboxWakesARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{bell: make(chan struct{})}, &memoryLog{window: chat.DedupWindow}
		_, stop := run(t, directory.RelayConfig{Outbox: o, Log: l, Poll: time.Hour})
		synctest.Wait()
		began := time.Now()
		o.owe("w1", 0, 300)
		o.bell <- struct{}{}
		synctest.Wait()
		if n := o.left(); n != 0 || !time.Now().Equal(began) {
			t.Errorf("%d events are owed %v after the outbox told of them", n, time.Since(began))
		}
		stop()
		checkOnce(t, "woken by the outbox", o, l)
	})
}

// TestARelayThatWaitsLeavesItToTheOthers has one relay fail, whose pause then ends when another one has done the work: it
// looks again after Poll, and neither before that nor all the time.
func TestARelayThatWaitsLeavesItToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		o.owe("w1", 0, 3)
		counted := &looks{memoryOutbox: o}
		_, stop1 := run(t, directory.RelayConfig{Outbox: counted, Log: &memoryLog{down: map[int]bool{0: true}}, Poll: time.Hour})
		synctest.Wait()
		_, stop2 := run(t, directory.RelayConfig{Outbox: o, Log: l, Poll: time.Hour})
		synctest.Wait()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if n := counted.n; n > 3 {
			t.Errorf("the one that failed looked %d times", n)
		}
		stop1()
		stop2()
		checkOnce(t, "by the other one", o, l)
	})
}

// looks counts claims.
type looks struct {
	*memoryOutbox
	n int
}

func (o *looks) Claim(ctx context.Context, limit int, except []chat.WorkspaceID) (store.Claim, error) {
	o.n++
	return o.memoryOutbox.Claim(ctx, limit, except)
}

func TestOrderHoldsWhenTheLogFailsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		o.owe("w1", 0, 200)
		_, stop := run(t, directory.RelayConfig{Outbox: o, Log: &stumbling{memoryLog: l}})
		time.Sleep(10 * time.Minute)
		stop()
		checkOnce(t, "a log that fails now and then", o, l)
	})
}

// stumbling fails every third publish, every second of those after it has stored the event.
type stumbling struct {
	*memoryLog
	calls int
}

func (s *stumbling) Publish(ctx context.Context, at streams.Place, msgID string, payload []byte) (chat.Seq, error) {
	s.calls++
	if s.calls%6 == 3 {
		return 0, errDown
	}
	seq, err := s.memoryLog.Publish(ctx, at, msgID, payload)
	if s.calls%6 == 0 {
		return 0, errDown
	}
	return seq, err
}

// A backlog that the log may have forgotten is searched for up to the first event that is not there, and not at each row.
func TestABacklogIsSearchedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := &memoryOutbox{}, &memoryLog{window: chat.DedupWindow}
		o.owe("w1", 0, 200)
		dying, cancel := context.WithCancel(t.Context())
		r := directory.NewRelay(directory.RelayConfig{Outbox: &forgetful{memoryOutbox: o, after: 64, die: cancel}, Log: l, Logger: quiet})
		if err := r.Run(dying); err != nil {
			t.Fatal(err)
		}
		published, owed := len(l.all()), o.left()
		if published <= 200-owed {
			t.Fatalf("%d were published and %d are owed: nothing was published and not recorded", published, owed)
		}
		time.Sleep(time.Hour)
		r, stop := run(t, directory.RelayConfig{Outbox: o, Log: l})
		r.Wake()
		time.Sleep(time.Minute)
		stop()
		checkOnce(t, "after the backlog", o, l)
		if there := published - (200 - owed); l.finds != there+1 {
			t.Errorf("%d searches of the log, where %d events of %d were there", l.finds, there, owed)
		}
	})
}

// forgetful is an outbox whose relay dies when it has recorded so many, before it records more.
type forgetful struct {
	*memoryOutbox
	after int
	die   func()
}

func (f *forgetful) Record(ctx context.Context, done []store.OutboxDone) error {
	if f.after <= 0 {
		f.die()
		return errDown
	}
	f.after -= len(done)
	return f.memoryOutbox.Record(ctx, done)
}
