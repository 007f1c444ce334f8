package fanout_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
)

// world is a hub and the feeds of one gateway, running. It lives in a synctest bubble.
type world struct {
	*hub
	t     *testing.T
	feeds *fanout.Feeds
	stop  context.CancelFunc
	ended chan error
}

// inWorld runs a test in a bubble, where time passes when all wait.
func inWorld(t *testing.T, cfg fanout.Config, test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &world{hub: newHub(), t: t, stop: cancel, ended: make(chan error, 1)}
		w.feeds = fanout.New(w.hub, w.hub, cfg)
		go func() { w.ended <- w.feeds.Run(ctx) }()
		defer func() { // also when the test fails: whoever runs must end inside the bubble
			cancel()
			if err := <-w.ended; err != nil {
				t.Errorf("Run ended with %v", err)
			}
			if n := w.subscribers(); n != 0 {
				t.Errorf("%d subscriptions are left", n)
			}
		}()
		synctest.Wait()
		test(t, w)
	})
}

// open acquires the feed of w1.
func (w *world) open() *fanout.Feed {
	w.t.Helper()
	f, err := w.feeds.Acquire(w.t.Context(), place)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// quiet waits until nothing more happens but the passing of time.
func (w *world) quiet() { synctest.Wait() }

// soon lets pass what a repair takes, and less than a proof waits for.
func (w *world) soon() {
	time.Sleep(200 * time.Millisecond)
	synctest.Wait()
}

// proofs lets at least n proofs happen.
func (w *world) proofs(n int) {
	time.Sleep(time.Duration(n)*8*time.Second + time.Second)
	synctest.Wait()
}

// patient is a config under which no proof happens unless the test waits for it for an hour.
var patient = fanout.Config{ProveEvery: time.Hour}

// reader walks a feed as a session does: the ring, and pages of the log when it is behind it.
type reader struct {
	feed       *fanout.Feed
	pos        chat.Seq
	generation uint32
	got        []*fanout.Entry
	resynced   bool // a generation change stood between what it got and what came then
	pages      int
	from       chat.Seq // where follow began
}

func newReader(f *fanout.Feed, pos chat.Seq) *reader {
	return &reader{feed: f, pos: pos, generation: f.Reach().Generation}
}

// step reads at most limit entries. more says that there may be more.
func (r *reader) step(ctx context.Context, limit int) (more bool, err error) {
	entries, reach := r.feed.After(r.pos, limit)
	switch {
	case reach.Generation != r.generation:
		r.resynced = true
		return false, nil
	case reach.Floor > r.pos:
		page, err := r.feed.Page(ctx, r.pos)
		if err != nil {
			return false, err
		}
		r.pages++
		r.got = append(r.got, page.Entries...)
		r.pos = page.Next
		return true, nil
	case len(entries) == 0:
		r.pos = max(r.pos, reach.Head)
		return false, nil
	}
	r.got = append(r.got, entries...)
	r.pos = entries[len(entries)-1].Seq
	return true, nil
}

// readAll reads until there is nothing more.
func (r *reader) readAll(t testing.TB) []string {
	t.Helper()
	for {
		more, err := r.step(t.Context(), 7)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return linesOf(r.got)
		}
	}
}

// sees checks that somebody who reads the feed from a position gets what the log holds after it.
func (w *world) sees(f *fanout.Feed, pos chat.Seq) {
	w.t.Helper()
	wantLines(w.t, "a reader from "+chat.Cursor{Epoch: epoch, Seq: pos}.String(), newReader(f, pos).readAll(w.t), w.shown(pos))
}

// isWhole checks that the feed shows live messages.
func (w *world) isWhole(f *fanout.Feed) {
	w.t.Helper()
	seq := w.say("c1", "live")
	if head := f.Reach().Head; head != seq {
		w.t.Errorf("the feed stands at %d after %d was stored: it is not whole", head, seq)
	}
}
