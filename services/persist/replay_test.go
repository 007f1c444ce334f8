package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/services/store/storetest"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// shelf is the log of shard 0 in memory, which answers in pages of some events.
type shelf struct {
	mu      sync.Mutex // guards everything
	reads   int
	entries []bus.Entry
	page    int
	first   chat.Seq // that is still held; 0: all
	last    chat.Seq // of the stream, also when its event was erased; 0: that of the last entry
	behind  int      // questions that a replica answers which has not got the last event
	down    int      // questions that fail
	forget  chat.Seq // first after the next read
}

func (s *shelf) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last = s.last
	if n := len(s.entries); last == 0 && n > 0 {
		last = s.entries[n-1].Seq
	}
	if len(s.entries) > 0 {
		first = s.entries[0].Seq
	}
	return max(s.first, first, 1), last, nil
}

func (s *shelf) LeaderLast(context.Context, streams.Shard, string) (chat.Seq, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.entries); n == 0 || s.entries[n-1].Seq < s.first {
		return 0, nil
	}
	return s.entries[len(s.entries)-1].Seq, nil
}

func (s *shelf) Read(_ context.Context, q bus.ReadQuery) (bus.Batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down > 0 {
		s.down--
		return bus.Batch{}, fault.New(fault.Unavailable, "an election")
	}
	entries := s.entries
	if s.behind > 0 {
		s.behind--
		entries = entries[:len(entries)-1]
	}
	var b bus.Batch
	for _, e := range entries {
		if e.Seq < max(q.From, s.first) {
			continue
		}
		if len(b.Entries) == s.page || q.MaxEntries > 0 && len(b.Entries) == q.MaxEntries {
			b.Pending++
			continue
		}
		b.Entries = append(b.Entries, e)
	}
	s.first = max(s.first, s.forget)
	return b, nil
}

// Erase keeps everything: the tests with a shelf do not ask what was erased.
func (s *shelf) Erase(context.Context, streams.Shard, chat.Seq) error { return nil }

// shelved is a log of some events, with what is no event in between.
func shelved(t *testing.T, events []event.Stored) *shelf {
	t.Helper()
	s := &shelf{page: 7}
	for _, e := range events {
		payload, err := event.Encode(e.Event)
		if err != nil {
			t.Fatal(err)
		}
		s.entries = append(s.entries, bus.Entry{
			Place: streams.Place{WorkspaceID: e.WorkspaceID, ChannelID: e.ChannelID}, Seq: e.Seq, At: e.At, Payload: payload,
		})
	}
	return s
}

// posts is a log of n posts with the seqs from first on.
func posts(first chat.Seq, n int) *shelf {
	s := &shelf{page: 3}
	for i := range n {
		e := posted(first + chat.Seq(i)).Entry
		e.At = dawn.Add(time.Duration(i) * time.Minute)
		s.entries = append(s.entries, e)
	}
	return s
}

var dawn = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// book is a store that remembers what was applied, and can fail.
type book struct {
	memoryStore
	progress chat.Seq
}

func (b *book) Progress(context.Context, int) (chat.Seq, error) { return b.progress, nil }

func (b *book) NoteProgress(ctx context.Context, shard int, seq chat.Seq) error {
	b.progress = max(b.progress, seq)
	return b.memoryStore.NoteProgress(ctx, shard, seq)
}

func replay(t *testing.T, cfg persist.ReplayConfig) (persist.Replayed, error) {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	return persist.Replay(t.Context(), cfg)
}

func openStore(t *testing.T) *sqlite.Messages {
	t.Helper()
	m, err := sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// samePages compares what a store answers with what the log says.
func samePages(t *testing.T, h storetest.History, m store.Messages) {
	t.Helper()
	model := storetest.NewModel(h.Events)
	for _, channel := range h.Channels {
		for q := (store.PageQuery{ChannelID: channel, Limit: 50}); ; {
			got, err := m.Page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(model.Page(q), got); diff != "" {
				t.Fatalf("%+v (-log +store):\n%s", q, diff)
			}
			if !got.HasMore {
				break
			}
			q.Before = got.Messages[len(got.Messages)-1].Seq
		}
		pins, err := m.Pins(t.Context(), channel)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(model.Pins(channel), pins); diff != "" {
			t.Fatalf("pins (-log +store):\n%s", diff)
		}
	}
}

func TestAReplayIntoAnEmptyStoreGivesTheSameHistory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	for range 3 {
		h := storetest.NewHistory(r, 400)
		log, m := shelved(t, h.Events), openStore(t)
		last := h.Events[len(h.Events)-1].Seq
		done, err := replay(t, persist.ReplayConfig{Log: log, Store: m, LeaveHole: h.Events[0].Seq > 1})
		if err != nil || !done.Done() || !done.Noted || done.Events != len(h.Events) || done.Skipped != 0 {
			t.Fatalf("replayed %+v, %v", done, err)
		}
		samePages(t, h, m)
		if p, err := m.Progress(t.Context(), 0); err != nil || p != last {
			t.Errorf("progress %d, %v; the log ends with %d", p, err, last)
		}
	}
}

// Stopped anywhere and run again from where it says, it ends the same.
func TestAReplayThatWasInterruptedGoesOn(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	h := storetest.NewHistory(r, 400)
	log, m := shelved(t, h.Events), openStore(t)
	cfg := persist.ReplayConfig{Log: log, Store: m, LeaveHole: true}
	for turns := 0; ; turns++ {
		if turns > 200 {
			t.Fatal("it does not come to an end")
		}
		ctx, cancel := context.WithCancel(t.Context())
		steps := r.IntN(20)
		cfg.Step = func(int) {
			if steps--; steps < 0 {
				cancel()
			}
		}
		m := &interrupted{Messages: m, ctx: ctx}
		cfg.Store = m
		done, err := persist.Replay(ctx, cfg)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) || done.Done() {
			t.Fatalf("interrupted: %+v, %v", done, err)
		}
		if p, err := m.Progress(t.Context(), 0); err != nil || done.Next > done.From && p != done.Next-1 {
			t.Fatalf("progress %d, %v; it came to %d", p, err, done.Next)
		}
		cfg.From = done.Next
	}
	samePages(t, h, m)
}

// interrupted is a store whose writes end with the replay's context, done or not.
type interrupted struct {
	*sqlite.Messages
	ctx context.Context
}

func (s *interrupted) Apply(ctx context.Context, events []event.Stored) error {
	if err := s.Messages.Apply(ctx, events[:len(events)/2]); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	return s.Messages.Apply(ctx, events)
}

func TestWhereAReplayMayBegin(t *testing.T) {
	for _, c := range []struct {
		name               string
		first              chat.Seq // of the log, which has ten events
		progress           chat.Seq // of the store
		from, to           chat.Seq
		leave              bool
		err                error
		applied, progress2 chat.Seq // events, and the store's progress in the end
	}{
		{name: "all", first: 1, applied: 10, progress2: 10},
		{name: "from one", first: 1, from: 1, applied: 10, progress2: 10},
		{name: "again, all of it is there", first: 1, progress: 10, applied: 10, progress2: 10},
		{name: "what the store lacks", first: 1, progress: 4, from: 5, applied: 6, progress2: 10},
		{name: "a piece in the middle of what is there", first: 1, progress: 9, from: 3, to: 5, applied: 3, progress2: 9},
		{name: "up to a seq", first: 1, to: 6, applied: 6, progress2: 6},
		{name: "up to more than there is", first: 1, to: 99, applied: 10, progress2: 10},
		{name: "nothing is left", first: 1, progress: 10, from: 11, progress2: 10},
		{name: "beyond the log", first: 1, progress: 10, from: 12, err: persist.ErrNotYet, progress2: 10},
		{name: "a hole", first: 1, progress: 4, from: 6, err: persist.ErrHole, progress2: 4},
		{name: "a hole on purpose, which another replay can fill", first: 1, progress: 4, from: 6, leave: true, applied: 5, progress2: 4},
		{name: "before what the log has", first: 5, from: 1, err: persist.ErrGone},
		{name: "before what the log has, on purpose", first: 5, from: 4, leave: true, err: persist.ErrGone},
		{name: "an old log and an empty store", first: 5, err: persist.ErrHole},
		{name: "an old log and an empty store, on purpose", first: 5, leave: true, applied: 10, progress2: 14},
		{name: "an old log and a store that has what it forgot", first: 5, progress: 4, applied: 10, progress2: 14},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, b := posts(c.first, 10), &book{progress: c.progress}
			total := -1
			done, err := replay(t, persist.ReplayConfig{
				Log: log, Store: b, From: c.from, To: c.to, LeaveHole: c.leave, Begin: func(n int) { total = n },
			})
			if !errors.Is(err, c.err) || (err == nil) != done.Done() && c.err == nil {
				t.Fatalf("%+v, %v", done, err)
			}
			if chat.Seq(len(b.applied)) != c.applied || b.progress != c.progress2 {
				t.Errorf("applied %d events, progress %d", len(b.applied), b.progress)
			}
			if c.err == nil && (total != int(c.applied) || done.Events != total) {
				t.Errorf("of %d: %+v", total, done)
			}
		})
	}
}

func TestAReplayComesToTheEndOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, change := range map[string]func(*shelf){
			"whose last events were erased":     func(s *shelf) { s.last = 13 },
			"of which a replica is behind":      func(s *shelf) { s.behind = 8 },
			"that does not answer for a while":  func(s *shelf) { s.down = 5 },
			"of which something was erased":     func(s *shelf) { s.entries = append(s.entries[:3:3], s.entries[5:]...) },
			"with an event that somebody wrote": func(s *shelf) { s.entries[4].Payload = []byte("hello") },
		} {
			log, b := posts(1, 10), &book{}
			change(log)
			_, last, err := log.Bounds(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			done, err := replay(t, persist.ReplayConfig{Log: log, Store: b})
			if err != nil || !done.Done() || !done.Noted || b.progress != last || done.Events+done.Skipped != len(log.entries) {
				t.Errorf("%s: %+v, %v; progress %d of %d", name, done, err, b.progress, last)
			}
		}
	})
}

// A log that forgets faster than it is read leaves no hole in silence.
func TestAReplayIsOvertakenByTheLog(t *testing.T) {
	log, b := posts(1, 10), &book{}
	log.forget = 6
	done, err := replay(t, persist.ReplayConfig{Log: log, Store: b})
	if !errors.Is(err, persist.ErrGone) || done.Next != 4 || b.progress != 3 {
		t.Errorf("%+v, %v; progress %d", done, err, b.progress)
	}
}

func TestAReplayWaitsForTheStoreButNotForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for _, c := range []struct {
			name string
			down time.Duration
			ok   bool
		}{{"a while", time.Minute, true}, {"for ever", 24 * time.Hour, false}} {
			until := time.Now().Add(c.down)
			b := &book{}
			b.refuse = func([]event.Stored) error {
				if time.Now().Before(until) {
					return fmt.Errorf("apply: %w", context.DeadlineExceeded)
				}
				return nil
			}
			done, err := replay(t, persist.ReplayConfig{Log: posts(1, 10), Store: b})
			if c.ok != (err == nil) || c.ok != done.Done() || !c.ok && !fault.Is(err, fault.Unavailable) {
				t.Errorf("down %s: %+v, %v", c.name, done, err)
			}
		}
		if took := time.Since(began); took > 10*time.Minute {
			t.Errorf("it waited %v", took)
		}
	})
}

func TestWhatTheStoreCanNeverTakeIsPassedOver(t *testing.T) {
	for _, c := range []struct {
		err  error
		ends bool
	}{{fault.New(fault.Invalid, "it does not fit"), false}, {errors.New("a constraint"), true}} {
		b := &book{}
		b.refuse = func(events []event.Stored) error {
			for _, e := range events {
				if e.Seq == 5 {
					return c.err
				}
			}
			return nil
		}
		done, err := replay(t, persist.ReplayConfig{Log: posts(1, 10), Store: b})
		switch {
		case c.ends && (!errors.Is(err, c.err) || done.Next != 4 || b.progress != 3):
			t.Errorf("%v: %+v, %v; progress %d", c.err, done, err, b.progress)
		case !c.ends && (err != nil || done.Skipped != 1 || done.Events != 9 || b.progress != 10):
			t.Errorf("%v: %+v, %v; progress %d", c.err, done, err, b.progress)
		}
	}
}

func TestATimeIsFoundInTheLog(t *testing.T) {
	for _, c := range []struct {
		first chat.Seq
		after time.Duration // the first event
		want  chat.Seq
		err   error
	}{
		{1, -time.Hour, 1, nil},
		{1, 0, 1, nil},
		{1, time.Second, 2, nil},
		{1, 5 * time.Minute, 6, nil},
		{1, 24 * time.Hour, 11, nil},
		{5, -time.Second, 0, persist.ErrGone},
		{5, 0, 5, nil},
		{5, 90 * time.Second, 7, nil},
	} {
		log := posts(c.first, 10)
		log.entries = append(log.entries[:3:3], log.entries[4:]...) // one was erased
		want := c.want
		if want == c.first+3 {
			want++
		}
		got, err := persist.SeekTime(t.Context(), log, 0, dawn.Add(c.after))
		if !errors.Is(err, c.err) || got != want {
			t.Errorf("first %d, %v after it: %d, %v; want %d", c.first, c.after, got, err, want)
		}
	}
	if got, err := persist.SeekTime(t.Context(), &shelf{page: 1}, 0, dawn); got != 1 || err != nil {
		t.Errorf("in an empty log: %d, %v", got, err)
	}
}
