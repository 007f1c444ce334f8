package ingest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams/bus"
)

// Whatever was asked before, a tail says "absent" only of what is not in reach, and "found" only with a seq
// that has the id. (Internal: the steps of the pure core are what is tested.)
func TestTailNeverDeniesWhatIsThere(t *testing.T) {
	const fresh = 30 * time.Second
	hash := func(id string) uint64 { // with collisions between ids that are asked for and others
		var n uint64
		for _, c := range []byte(id) {
			n = n*31 + uint64(c)
		}
		return n
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		var log []bus.Entry
		end := &tail{limit: rapid.IntRange(1, 40).Draw(t, "limit")}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			for range rapid.IntRange(0, 10).Draw(t, "stored") {
				now = now.Add(time.Second)
				log = append(log, bus.Entry{Seq: chat.Seq(len(log) + 1), At: now, MsgID: fmt.Sprint("u.", len(log))})
			}
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(2*fresh)).Draw(t, "pause")))
			r := reach{after: chat.Seq(rapid.IntRange(0, len(log)).Draw(t, "after"))}
			if rapid.Bool().Draw(t, "by time") {
				r = reach{since: now.Add(-time.Duration(rapid.Int64Range(0, int64(10*time.Minute)).Draw(t, "since")))}
			}
			wanted := rapid.IntRange(0, len(log)+1).Draw(t, "wanted")
			ask(t, end, question{log, hash, r, wanted, now, fresh})
		}
	})
}

type question struct {
	log    []bus.Entry
	hash   func(string) uint64
	reach  reach
	wanted int
	now    time.Time
	fresh  time.Duration
}

// ask does what tails.find does, on a log in memory.
func ask(t *rapid.T, end *tail, q question) {
	there := func(e bus.Entry) bool { // in reach, and not so young that the log itself knows it
		if q.reach.since.IsZero() {
			return e.Seq > q.reach.after && q.now.Sub(e.At) > q.fresh
		}
		return !e.At.Before(q.reach.since) && q.now.Sub(e.At) > q.fresh
	}
	end.prune(q.reach.after)
	for range 100 {
		step, seq := end.judge(q.hash(fmt.Sprint("u.", q.wanted)), q.reach, q.now, q.fresh)
		switch step {
		case found:
			if int(seq) != q.wanted+1 {
				t.Fatalf("found u.%d at %d", q.wanted, seq)
			}
			return
		case absent, unknowable:
			if q.wanted < len(q.log) && there(q.log[q.wanted]) {
				t.Fatalf("u.%d is at %d, and was denied for %+v", q.wanted, q.wanted+1, q.reach)
			}
			return
		case scan:
			if q.wanted < len(q.log) && there(q.log[q.wanted]) && chat.Seq(q.wanted+1) <= end.through {
				t.Fatalf("u.%d is at %d, and the search begins after %d", q.wanted, q.wanted+1, end.through)
			}
			return
		}
		if !end.reaches(q.reach) {
			from := q.reach.after
			if !q.reach.since.IsZero() {
				for _, e := range q.log {
					if e.At.Before(q.reach.since) {
						from = e.Seq
					}
				}
			}
			end.begin(from, q.reach.since, true)
		}
		for over := false; !over; {
			b := bus.Batch{Entries: q.log[end.through:]}
			if len(b.Entries) > 3 {
				b.Pending = uint64(len(b.Entries) - 3)
				b.Entries = b.Entries[:3]
			}
			over = end.merge(b, q.hash, logEnd{q.now, chat.Seq(len(q.log))})
		}
	}
	t.Fatal("the tail is read for ever")
}

func TestFollowersOfALeaderWhoGaveUpReadThemselves(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{context.Canceled, nil}, {unavailable(context.DeadlineExceeded, "late"), nil}, {unavailable(errForgotten, "old"), nil},
		{errUnknowable, errUnknowable}, {nil, nil},
	} {
		r := &reading{done: make(chan struct{}), err: c.err}
		close(r.done)
		if got := follow(t.Context(), r); got != c.want {
			t.Errorf("after %v: %v", c.err, got)
		}
	}
}
