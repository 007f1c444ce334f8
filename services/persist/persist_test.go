package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

// memoryStore remembers what was applied.
type memoryStore struct {
	mu      sync.Mutex
	applied []chat.Seq
	noted   []chat.Seq
	notedAt []time.Time
	refuse  func([]event.Stored) error
}

func (s *memoryStore) Apply(_ context.Context, events []event.Stored) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(events); err != nil {
			return err
		}
	}
	for _, e := range events {
		s.applied = append(s.applied, e.Seq)
	}
	return nil
}

func (s *memoryStore) Progress(context.Context, int) (seq chat.Seq, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, noted := range s.noted {
		seq = max(seq, noted)
	}
	return seq, nil
}

func (s *memoryStore) NoteProgress(_ context.Context, _ int, seq chat.Seq) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted, s.notedAt = append(s.noted, seq), append(s.notedAt, time.Now())
	return nil
}

// script is a Source that hands over batches and keeps a floor as the server does.
type script struct {
	batches [][]bus.Delivery
	every   time.Duration // between two batches
	handled chan []bus.Outcome
	failed  chan error

	mu    sync.Mutex
	floor chat.Seq
}

func (s *script) Consume(ctx context.Context, _ streams.Shard, handle consume.Handler) error {
	for _, b := range s.batches {
		outcomes, err := handle(ctx, b)
		if err != nil {
			s.failed <- err
			continue
		}
		s.handled <- outcomes
		s.mu.Lock()
		s.floor = b[len(b)-1].Seq
		s.mu.Unlock()
		time.Sleep(s.every)
	}
	<-ctx.Done()
	return nil
}

func (s *script) Floor(context.Context, streams.Shard) (chat.Seq, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.floor, nil
}

// Reached says that everything was handed out up to the floor: a script has no others who hold something.
func (s *script) Reached(ctx context.Context, shard streams.Shard) (consume.Reach, error) {
	floor, err := s.Floor(ctx, shard)
	return consume.Reach{Floor: floor, Delivered: floor, Deliveries: uint64(floor)}, err
}

func delivery(seq chat.Seq, channel chat.ChannelID, payload string) bus.Delivery {
	return bus.Delivery{NumDelivered: 1, Entry: bus.Entry{
		Place: streams.Place{WorkspaceID: "w1", ChannelID: channel}, Seq: seq, At: time.Now(), Payload: []byte(payload),
	}}
}

func posted(seq chat.Seq) bus.Delivery {
	return delivery(seq, "c1", fmt.Sprintf(
		`{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c1","sender_id":"u1","client_msg_id":"m%d","body":"hi"}`, seq))
}

// run lets a Persister work on a script in a bubble of time for d.
func run(t *testing.T, s *memoryStore, src *script, d time.Duration) {
	t.Helper()
	src.handled, src.failed = make(chan []bus.Outcome, len(src.batches)), make(chan error, len(src.batches))
	log := &shelf{page: 10}
	for _, b := range src.batches {
		for _, d := range b {
			log.entries = append(log.entries, d.Entry)
		}
	}
	p := persist.New(persist.Config{Store: s, Source: src, Log: log, Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestGarbageIsParkedAndStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		foreign := posted(2)
		foreign.Foreign, foreign.Place = true, streams.Place{}
		batch := []bus.Delivery{
			posted(1),
			foreign,
			delivery(3, "c1", "hello"),
			delivery(4, "c1", `{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c2","sender_id":"u1","client_msg_id":"m","body":"hi"}`),
			delivery(5, "", `{"v":1,"kind":"user.updated","epoch":1,"sender_id":"u1","user_id":"u1","user":{"login":"a","display_name":"A"}}`),
			delivery(6, "c1", `{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c1","sender_id":"u1","client_msg_id":"m","body":"hi","seq":7}`),
			delivery(7, "c1", `{"v":2,"kind":"poll.opened","epoch":1,"channel_id":"c1","sender_id":"u1"}`),
			posted(8),
		}
		s, src := &memoryStore{}, &script{batches: [][]bus.Delivery{batch}}
		run(t, s, src, time.Second)
		outcomes := <-src.handled
		for i, o := range outcomes {
			parked := o.Kind == bus.KindPark
			if want := i == 1 || i == 2 || i == 3 || i == 5; parked != want || (parked && o.Reason == "") {
				t.Errorf("event %d: %+v", batch[i].Seq, o)
			}
		}
		if fmt.Sprint(s.applied) != "[1 5 7 8]" {
			t.Errorf("applied %v", s.applied)
		}
	})
}

func TestAnOutageHoldsTheBatch(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
	}{
		{"the store says so", fault.New(fault.Unavailable, "down")},
		{"the store takes too long", context.DeadlineExceeded},
		{"the store takes nothing at all", errors.New("no such table")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &memoryStore{refuse: func([]event.Stored) error { return c.err }}
				src := &script{batches: [][]bus.Delivery{{posted(1), delivery(2, "c1", "garbage"), posted(3)}}}
				run(t, s, src, time.Second)
				if err := <-src.failed; !fault.Is(err, fault.Unavailable) || !errors.Is(err, c.err) {
					t.Errorf("the batch is not held: %v", err)
				}
				if len(s.noted) != 0 {
					t.Errorf("progress %v of nothing", s.noted)
				}
			})
		})
	}
}

func TestAnEventThatTheStoreRefusesGoesAlone(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bus.OutcomeKind
	}{
		{errors.New("a constraint"), bus.KindRetry},
		{fault.New(fault.Invalid, "it does not fit"), bus.KindPark},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &memoryStore{refuse: func(events []event.Stored) error {
				for _, e := range events {
					if e.Seq == 2 {
						return c.err
					}
				}
				return nil
			}}
			src := &script{batches: [][]bus.Delivery{{posted(1), posted(2), posted(3)}}}
			run(t, s, src, time.Second)
			outcomes := <-src.handled
			if outcomes[0].Kind != bus.KindDone || outcomes[1].Kind != c.want || outcomes[2].Kind != bus.KindDone {
				t.Errorf("%v: %+v", c.err, outcomes)
			}
			if fmt.Sprint(s.applied) != "[1 3]" {
				t.Errorf("applied %v", s.applied)
			}
		})
	}
}

// Progress is recorded when it grew, not more often than it is worth, and at the end.
func TestProgressIsRecordedAtABoundedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{every: 10 * time.Millisecond}
		for seq := chat.Seq(1); seq <= 295; seq++ {
			src.batches = append(src.batches, []bus.Delivery{posted(seq)})
		}
		s := &memoryStore{}
		run(t, s, src, time.Hour)
		if n := len(s.noted); n < 10 || n > 14 || s.noted[n-1] != 295 {
			t.Errorf("in 2.95 s progress was recorded %d times: %v", n, s.noted)
		}
		for i := 1; i < len(s.noted); i++ {
			if s.noted[i] <= s.noted[i-1] {
				t.Errorf("progress did not grow: %v", s.noted)
			}
		}

		killed := &script{batches: [][]bus.Delivery{{posted(1)}}, floor: 7}
		s = &memoryStore{}
		run(t, s, killed, 20*time.Millisecond)
		if len(s.noted) != 1 {
			t.Errorf("the last progress was recorded as %v", s.noted)
		}
	})
}

func TestOneShardThatFailsEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := persist.New(persist.Config{Store: &memoryStore{}, Source: broken{}, Log: &shelf{}, Logger: slog.New(slog.DiscardHandler)})
		if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "shard 2") {
			t.Errorf("ended with %v", err)
		}
	})
}

// broken is a Source whose shard 2 has no consumer.
type broken struct{}

func (broken) Consume(ctx context.Context, shard streams.Shard, _ consume.Handler) error {
	if shard == 2 {
		return streams.ErrBadStream
	}
	<-ctx.Done()
	return nil
}

func (broken) Floor(context.Context, streams.Shard) (chat.Seq, error) { return 0, nil }

func (broken) Reached(context.Context, streams.Shard) (consume.Reach, error) {
	return consume.Reach{}, nil
}
