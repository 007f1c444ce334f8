package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/storetest"
)

// desk is a store in memory that takes its time: what it answers is how it was when it was asked.
type desk struct {
	store.Messages // what is not below is not asked
	takes          time.Duration
	hangs          bool  // it does not answer before the context ends
	err            error // instead of an answer

	mu       sync.Mutex // guards what follows
	events   []event.Stored
	progress chat.Seq
	asked    int // times for progress
	pages    int // times for a page
}

func (d *desk) wait(ctx context.Context) error {
	d.mu.Lock()
	hangs, err, takes := d.hangs, d.err, d.takes
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
		return err
	}
}

func (d *desk) Progress(ctx context.Context, _ int) (chat.Seq, error) {
	d.mu.Lock()
	d.asked++
	p := d.progress
	d.mu.Unlock()
	return p, d.wait(ctx)
}

func (d *desk) Page(ctx context.Context, q store.PageQuery) (store.Page, error) {
	d.mu.Lock()
	d.pages++
	page := storetest.NewModel(d.events).Page(q)
	d.mu.Unlock()
	return page, d.wait(ctx)
}

func (d *desk) Send(ctx context.Context, _ store.SendKey) (store.SendPlace, error) {
	return store.SendPlace{}, d.wait(ctx)
}

func (d *desk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *desk) counts() (asked, pages int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked, d.pages
}

// office is a Reader on a desk and a log in memory. Its time is that of the bubble.
type office struct {
	*world
	desk *desk
}

func newOffice(t *testing.T, takes time.Duration) *office {
	o := &office{world: &world{t: t, log: &memoryLog{}}, desk: &desk{takes: takes}}
	o.reader = history.New(history.Config{Store: o.desk, Log: o.log, Logger: slog.New(slog.DiscardHandler)})
	return o
}

// keep lets the desk have everything up to seq.
func (o *office) keep(upTo chat.Seq) {
	o.desk.set(func() {
		for _, e := range o.events {
			if e.Seq > o.desk.progress && e.Seq <= upTo {
				o.desk.events = append(o.desk.events, e)
			}
		}
		o.desk.progress = upTo
	})
}

var newest = store.PageQuery{Limit: 10}

func TestIdenticalPagesAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 100*time.Millisecond)
		for i := range 5 {
			o.post(fmt.Sprint("message ", i), 0)
		}
		o.keep(5)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				q := newest
				q.Limit += i % 2
				if r := o.page(q); len(r.Messages) != 5 || r.CompleteThrough != 5 {
					t.Errorf("%d messages, complete through %d", len(r.Messages), r.CompleteThrough)
				}
			})
		}
		all.Wait()
		if asked, pages := o.desk.counts(); asked != 2 || pages != 2 {
			t.Errorf("the store was asked %d times for its progress, %d times for a page; there are two questions", asked, pages)
		}
		o.page(newest) // nothing is kept of what was answered
		if _, pages := o.desk.counts(); pages != 3 {
			t.Errorf("%d pages", pages)
		}
	})
}

// A reader joins a page that was begun before their own message was stored, and finds it all the same.
func TestWhoJoinsAPageFindsWhatWasAcknowledgedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Second)
		o.post("before", 0)
		o.keep(1)
		var all sync.WaitGroup
		all.Go(func() { o.page(newest) })
		for i := range 8 { // progress takes one second and the page another
			time.Sleep(240 * time.Millisecond)
			seq := o.post(fmt.Sprint("mine ", i), 0)
			if i%3 == 0 {
				o.keep(seq)
			}
			all.Go(func() {
				if r := o.page(newest); r.Messages[0].Seq < seq || r.CompleteThrough < seq {
					t.Errorf("after the ack of %d the newest is %d, complete through %d", seq, r.Messages[0].Seq, r.CompleteThrough)
				}
			})
		}
		all.Wait()
		if _, pages := o.desk.counts(); pages != 1 {
			t.Errorf("%d pages were read, and all could be shared", pages)
		}
	})
}

// Without the log a page is as old as the store's progress in it. Whoever has seen more than a page that was begun before
// they came does not get that one.
func TestWhoJoinsAPageDoesNotGoBack(t *testing.T) {
	for _, c := range []struct {
		name string
		hurt func(*office)
	}{
		{"without the log", func(o *office) { o.log.set(func() { o.log.down = true }) }},
		{"when the log forgot what was between", func(o *office) { o.log.set(func() { o.log.first = 6 }) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, time.Second)
				for i := range 6 {
					o.post(fmt.Sprint("message ", i), 0)
				}
				o.keep(2)
				var old sync.WaitGroup
				old.Go(func() { o.page(newest) })
				time.Sleep(500 * time.Millisecond)
				o.keep(5)
				c.hurt(o)
				seen := o.page(store.PageQuery{Limit: 3}) // another question, which joins nobody
				if seen.CompleteThrough < 5 {
					t.Fatalf("complete through %d, want 5 or more", seen.CompleteThrough)
				}
				old.Wait()

				o.keep(2)
				old.Go(func() { o.page(newest) })
				time.Sleep(500 * time.Millisecond)
				o.keep(5)
				if r := o.page(newest); r.CompleteThrough < seen.CompleteThrough || r.Messages[0].Seq < 5 {
					t.Errorf("complete through %d after %d, newest %d", r.CompleteThrough, seen.CompleteThrough, r.Messages[0].Seq)
				}
				old.Wait()
			})
		})
	}
}

// A reader who goes away takes the page from nobody who waits for it too.
func TestWhoGoesAwayLeavesThePageToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Second)
		o.post("hello", 0)
		o.keep(1)
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			r, err := o.reader.Page(leaving, place, newest)
			if err == nil && r.CompleteThrough != 1 {
				t.Errorf("who left got %+v", r)
			}
		})
		synctest.Wait()
		all.Go(func() { o.page(newest) })
		synctest.Wait()
		leave()
		all.Wait()
		if _, pages := o.desk.counts(); pages != 1 {
			t.Errorf("%d pages", pages)
		}
	})
}

// A store that hangs is not waited for by every page: after some it counts as down, and one page a second asks again.
func TestAStoreThatHangsIsNotWaitedForAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 10*time.Millisecond)
		for i := range 30 {
			o.post(fmt.Sprint("message ", i), 0)
		}
		o.keep(20)
		o.log.set(func() { o.log.first = 15 })
		o.desk.set(func() { o.desk.hangs = true })
		older := store.PageQuery{Before: 5, Limit: 10}
		const budget = history.DefaultStoreBudget + 50*time.Millisecond

		slow := 0
		for range 100 {
			began := time.Now()
			if r := o.page(newest); r.CompleteThrough != 30 || len(r.Messages) != 10 || !r.HasMore {
				t.Fatalf("the tail: %d messages, complete through %d", len(r.Messages), r.CompleteThrough)
			}
			o.unavailable(older)
			if took := time.Since(began); took > 2*budget {
				t.Fatalf("two pages took %v", took)
			} else if took > 100*time.Millisecond {
				slow++
			}
			time.Sleep(20 * time.Millisecond)
		}
		if slow < 2 || slow > 5 { // three until it is known, and one a second after that
			t.Errorf("%d of 100 waited for the store", slow)
		}
		if _, err := o.reader.Send(t.Context(), rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: "m"}); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a send is looked up: %v", err)
		}

		o.desk.set(func() { o.desk.hangs = false })
		time.Sleep(5 * time.Second)
		o.page(newest) // the probe
		if r := o.page(older); len(r.Messages) != 4 {
			t.Errorf("the store is back, and older pages have %d messages", len(r.Messages))
		}
	})
}

// While one page asks whether the store is back, the others do not wait for it.
func TestOnePageProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, 0)
		o.post("hello", 0)
		o.desk.set(func() { o.desk.err = fault.New(fault.Unavailable, "no hosts") })
		for i := range 3 {
			o.page(store.PageQuery{Limit: 1 + i})
		}
		asked, _ := o.desk.counts()
		o.page(newest)
		if now, _ := o.desk.counts(); now != asked {
			t.Errorf("the store was asked although it is known to be down")
		}
		o.desk.set(func() { o.desk.hangs = true })
		time.Sleep(2 * time.Second)
		var all sync.WaitGroup
		var waited atomic.Int64
		visit := func(limit int) {
			all.Go(func() {
				began := time.Now()
				o.page(store.PageQuery{Limit: limit})
				if time.Since(began) > 0 {
					waited.Add(1)
				}
			})
		}
		visit(1)
		synctest.Wait()
		for i := range 20 {
			visit(1 + i%5) // some ask for the very page that probes
		}
		all.Wait()
		if now, _ := o.desk.counts(); now != asked+1 || waited.Load() != 1 {
			t.Errorf("the store was asked %d times by 21 pages, of which %d waited for it", now-asked, waited.Load())
		}
	})
}

// What is wrong with a question, or a reader who went away, says nothing of the store.
func TestOnlySilenceCountsAsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, time.Second)
		o.post("hello", 0)
		o.keep(1)
		for i := range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := o.reader.Send(ctx, rpc.SendRequest{WorkspaceID: "w1", SenderID: "u1", ClientMsgID: chat.ClientMsgID(fmt.Sprint(i))})
			cancel()
			if err == nil {
				t.Fatal("a send was found in no time")
			}
		}
		o.desk.set(func() { o.desk.err = fault.New(fault.NotFound, "there is none") })
		for range 10 {
			if _, err := o.reader.Message(t.Context(), rpc.MessageRequest{ChannelID: "c1", Seq: 9}); !fault.Is(err, fault.NotFound) {
				t.Fatalf("a message that is not there: %v", err)
			}
		}
	})
}

func (d *desk) Message(ctx context.Context, _ chat.ChannelID, _ chat.Seq) (chat.Message, error) {
	return chat.Message{}, d.wait(ctx)
}
