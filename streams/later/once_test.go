package later_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/streamstest"
)

func decidedSubject(t *testing.T, id string) string {
	t.Helper()
	subject, err := streams.SchedDecidedSubject("w1", "ann", id)
	if err != nil {
		t.Fatal(err)
	}
	return subject
}

func onceStore(t *testing.T, url string) *later.Store {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return later.New(conn)
}

// Of many who write at once, in several processes, all read what one of them wrote; also those who come much later.
func TestOnceHoldsWhatCameFirst(t *testing.T) {
	c := streamstest.Start(t)
	stores := []*later.Store{onceStore(t, c.HubURL()), onceStore(t, c.LeafURL()), onceStore(t, c.LeafURL())}
	for round := range 10 {
		subject := decidedSubject(t, fmt.Sprintf("j%d", round))
		held := make([]string, 9)
		var wg sync.WaitGroup
		for i := range held {
			wg.Go(func() {
				e, err := stores[i%len(stores)].Once(c.Context(), later.Message{Subject: subject, Payload: fmt.Appendf(nil, "%d", i)})
				if err != nil {
					t.Error(err)
				}
				held[i] = string(e.Payload)
			})
		}
		wg.Wait()
		for _, h := range held {
			if h != held[0] || h == "" {
				t.Fatalf("round %d: they read %q", round, held)
			}
		}
	}
	c.RestartHub()
	subject := decidedSubject(t, "j0")
	was, err := stores[0].Last(c.Context(), streams.StreamSched, subject)
	for end := time.Now().Add(streamstest.Wait); fault.Is(err, fault.Unavailable) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) { // its connection is being made again
		was, err = stores[0].Last(c.Context(), streams.StreamSched, subject)
	}
	if err != nil {
		t.Fatal(err)
	}
	e, err := stores[1].Once(c.Context(), later.Message{Subject: subject, Payload: []byte("too late")})
	if err != nil || string(e.Payload) != string(was.Payload) || e.Seq != was.Seq {
		t.Errorf("after a restart it is %q: %v", e.Payload, err)
	}
	s, err := c.HubJS.Stream(c.Context(), streams.StreamSched)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(c.Context(), uint64(was.Seq))
	if err != nil {
		t.Fatal(err)
	}
	if life, err := time.ParseDuration(m.Header.Get("Nats-TTL")); err != nil || life != later.OnceLife {
		t.Errorf("it lives for %v: %v", life, err)
	}
	if s.CachedInfo().State.Msgs != 10 {
		t.Errorf("%d messages lie there", s.CachedInfo().State.Msgs)
	}
}

func TestOnceOutlastsAnOutage(t *testing.T) {
	c := streamstest.Start(t)
	s := onceStore(t, c.LeafURL())
	subject := decidedSubject(t, "j1")
	c.StopHub()
	ended := make(chan error, 1)
	go func() {
		for {
			_, err := s.Once(t.Context(), later.Message{Subject: subject, Payload: []byte("x")})
			if !fault.Is(err, fault.Unavailable) {
				ended <- err
				return
			}
		}
	}()
	c.StartHub()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(3 * streamstest.Wait):
		t.Error("it does not end")
	}
}

func TestOnceRefuses(t *testing.T) {
	s := later.New(nil) // it is not asked
	for _, m := range []later.Message{
		{}, {Subject: "chat.0.w1.c1"}, {Subject: "sched.w1.ann.j1.other"}, {Subject: "due.w1.ann.j1.decided"},
		{Subject: "sched.w1.ann.j1.decided", Target: "due.w1.ann.j1", At: time.Now()},
	} {
		if _, err := s.Once(t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", m, err)
		}
	}
}

// decidesOnce lets many decide at once on three servers, while a test goes on and kills the leader; wait is for all having read
// the same.
func decidesOnce(t *testing.T, c *streamstest.HubCluster) (wait func()) {
	t.Helper()
	stores := []*later.Store{onceStore(t, c.LeafURL()), onceStore(t, c.LeafURL()), onceStore(t, c.LeafURL())}
	var all sync.WaitGroup
	for round := range 60 {
		all.Go(func() {
			subject, held := decidedSubject(t, fmt.Sprintf("j%d", round)), make([]string, 2*len(stores))
			var wg sync.WaitGroup
			for i := range held {
				wg.Go(func() {
					held[i] = decideAtLast(t, stores[i%len(stores)], later.Message{Subject: subject, Payload: fmt.Appendf(nil, "%d", i)})
				})
			}
			wg.Wait()
			for _, h := range held {
				if h == "" || h != held[0] {
					t.Errorf("round %d: they read %q", round, held)
					return
				}
			}
		})
	}
	return all.Wait
}

func decideAtLast(t *testing.T, s *later.Store, m later.Message) string {
	for end := time.Now().Add(3 * streamstest.Wait); time.Now().Before(end); {
		e, err := s.Once(t.Context(), m)
		if err == nil {
			return string(e.Payload)
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Error(err)
			return ""
		}
	}
	t.Error("there is no leader")
	return ""
}
