package persist_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// watched checks, again and again, that the store has every post up to what its progress says. Each is looked at once: what
// was there stays.
func (r *real) watched() {
	var seen chat.Seq
	look := func() error {
		ctx := context.WithoutCancel(r.t.Context())
		p, err := r.store.Progress(ctx, 0)
		for ; err == nil && seen < p; seen++ {
			_, err = r.store.Message(ctx, "c1", seen+1)
		}
		return err
	}
	r.start(func(ctx context.Context) error {
		for ctx.Err() == nil {
			if err := look(); err != nil {
				r.t.Errorf("progress is beyond %d, which is not there: %v", seen, err)
				return nil
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
}

// emptied puts an empty store into the place of the one that a persister filled.
func (r *real) emptied(n int) (last chat.Seq) {
	r.t.Helper()
	last = r.crowd(n)
	_, _, stop := r.with(r.store)
	r.noted(last)
	stop()
	r.store = openStore(r.t)
	return last
}

func TestAnEmptyStoreBesideAnOldConsumer(t *testing.T) {
	r := newReal(t)
	old := r.emptied(1500)
	r.watched()
	slow := &acting{Messages: r.store, apply: func(_ context.Context, _ int, next func() error) error {
		time.Sleep(10 * time.Millisecond)
		return next()
	}}
	p, _, _ := r.with(slow)
	r.with(slow) // two do it at once
	last := r.crowd(300)
	r.noted(last)
	r.stored(last)
	if c := p.Counts(); c.Healed < uint64(old) || len(c.Lost) != 0 {
		t.Errorf("counts %+v", c)
	}
	// The next one finds nothing to do.
	again, _, _ := r.with(r.store)
	r.noted(r.crowd(1))
	if c := again.Counts(); c.Healed > 1 {
		t.Errorf("counts %+v", c)
	}
}

// mute is a store that does not take the progress.
type mute struct{ *sqlite.Messages }

func (mute) NoteProgress(context.Context, int, chat.Seq) error {
	return fault.New(fault.Unavailable, "it takes no more")
}

func TestDeathBeforeTheProgressIsNoted(t *testing.T) {
	r := newReal(t)
	r.watched()
	last := r.crowd(300)
	p, conn, stop := r.with(mute{r.store})
	r.eventually(func() bool { return p.Counts().Events >= 300 })
	stop()
	conn.Close()
	if p, err := r.store.Progress(t.Context(), 0); err != nil || p != 0 {
		t.Fatalf("progress %d, %v", p, err)
	}
	r.with(r.store)
	r.noted(last)
	r.stored(last)
}

func TestTheHubIsAwayWhileTheStoreIsFilledAgain(t *testing.T) {
	r := newReal(t)
	last := r.emptied(1500) // more than one page of the log
	r.watched()
	began, away := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(began) })
	s := &acting{Messages: r.store, apply: func(_ context.Context, _ int, next func() error) error {
		once()
		<-away
		return next()
	}}
	r.with(s)
	<-began
	r.cluster.StopHub()
	close(away)
	r.eventually(func() bool { // what was read is written, and recorded
		p, err := r.store.Progress(t.Context(), 0)
		return err == nil && p > 0
	})
	if p, err := r.store.Progress(t.Context(), 0); err != nil || p >= last {
		t.Errorf("without the log it says %d, %v", p, err)
	}
	r.cluster.StartHub()
	r.noted(last)
	r.stored(last)
}
