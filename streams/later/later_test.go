package later_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/streamstest"
)

func dial(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(streamstest.ElectionWait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// scheduled is a message of user u that waits until at.
func scheduled(t *testing.T, id string, at time.Time, payload string) later.Message {
	t.Helper()
	waits, err := streams.SchedSubject("w", "u", id)
	if err != nil {
		t.Fatal(err)
	}
	target, err := streams.DueSubject("w", "u", id)
	if err != nil {
		t.Fatal(err)
	}
	return later.Message{Subject: waits, Target: target, At: at, MsgID: nats.NewInbox(), Payload: []byte(payload)}
}

func put(t *testing.T, s *later.Store, messages ...later.Message) {
	t.Helper()
	if err := s.Put(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// lying are the payloads that a subject holds, or that match a filter, in their order.
func lying(t *testing.T, js jetstream.JetStream, stream, filter string) (payloads []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), streamstest.Wait)
	defer cancel()
	of, err := js.Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := of.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
		if err != nil {
			return payloads
		}
		payloads = append(payloads, string(m.Data))
		seq = m.Sequence + 1
	}
}

func TestAMessageComesAtItsTime(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	for at, url := range map[string]string{"hub": c.HubURL(), "leaf": c.LeafURL()} {
		t.Run(at, func(t *testing.T) {
			s := later.New(dial(t, url))
			body := "{\"as\": \"it was\", \"bytes\": \"\xff\x00é\"}"
			due := time.Now().Add(1500 * time.Millisecond).UTC()
			m := scheduled(t, at, due, body)
			put(t, s, m)
			waits, err := s.Last(t.Context(), streams.StreamSched, m.Subject)
			if err != nil || waits.Target != m.Target || !waits.At.Equal(due) || waits.MsgID != m.MsgID || string(waits.Payload) != body || waits.Seq == 0 || waits.StoredAt.After(due) {
				t.Fatalf("what waits is %+v, %v", waits, err)
			}
			var got later.Entry
			eventually(t, "it is due", func() bool {
				got, err = s.Last(t.Context(), streams.StreamSched, m.Target)
				return err == nil
			})
			if got.StoredAt.Before(due.Add(-time.Second)) || string(got.Payload) != body || got.Seq <= waits.Seq || got.Target != "" || !got.At.IsZero() {
				t.Errorf("what is due is %+v", got)
			}
			if _, err := s.Last(t.Context(), streams.StreamSched, m.Subject); !fault.Is(err, fault.NotFound) {
				t.Errorf("it still waits: %v", err)
			}
			if err := s.Delete(t.Context(), streams.StreamSched, got.Seq); err != nil {
				t.Error(err)
			}
			if _, err := s.Last(t.Context(), streams.StreamSched, m.Target); !fault.Is(err, fault.NotFound) {
				t.Errorf("it is not deleted: %v", err)
			}
			if err := s.Delete(t.Context(), streams.StreamSched, got.Seq); err != nil {
				t.Errorf("once more: %v", err)
			}
		})
	}
}

func TestWhatIsPastIsDueNow(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	put(t, s, scheduled(t, "i", time.Now().Add(-time.Hour), "late"))
	eventually(t, "it is due", func() bool {
		return slices.Equal(lying(t, c.HubJS, streams.StreamSched, "due.>"), []string{"late"})
	})
}

// A later Put on the same subject is what comes, at its own time.
func TestWhatWaitsIsReplaced(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	put(t, s, scheduled(t, "i", time.Now().Add(time.Second), "first"), scheduled(t, "j", time.Now().Add(3*time.Second), "other"))
	put(t, s, scheduled(t, "i", time.Now().Add(time.Hour), "second"))
	put(t, s, scheduled(t, "i", time.Now().Add(2*time.Second), "third"))
	list, err := s.List(t.Context(), streams.StreamSched, filterOf(t), 10)
	if err != nil || len(list) != 2 || string(list[1].Payload) != "third" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	eventually(t, "all are due", func() bool { return len(lying(t, c.HubJS, streams.StreamSched, "due.w.u.j")) > 0 })
	eventually(t, "nothing waits", func() bool { return len(lying(t, c.HubJS, streams.StreamSched, "sched.>")) == 0 })
	if got := lying(t, c.HubJS, streams.StreamSched, "due.>"); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"other", "third"}) {
		t.Errorf("what came is %q", got)
	}
}

func filterOf(t *testing.T) string {
	t.Helper()
	filter, err := streams.SchedFilter("w", "u")
	if err != nil {
		t.Fatal(err)
	}
	return filter
}

// What waits over a restart comes: what fell due meanwhile at once, and once.
func TestAScheduleSurvivesARestart(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	s := later.New(dial(t, c.HubURL()))
	due := time.Now().Add(time.Second)
	put(t, s, scheduled(t, "soon", due, "soon"), scheduled(t, "next", time.Now().Add(4*time.Second), "next"), scheduled(t, "far", time.Now().Add(time.Hour), "far"))
	c.RestartHub()
	eventually(t, "both are due", func() bool { return len(lying(t, c.HubJS, streams.StreamSched, "due.>")) == 2 })
	c.RestartHub()
	if got := lying(t, c.HubJS, streams.StreamSched, ">"); !slices.Equal(got, []string{"far", "soon", "next"}) {
		t.Errorf("the stream holds %q", got)
	}
	plan, err := c.Wanted.Plan(t.Context(), c.HubJS)
	if err != nil || len(plan) != 0 {
		t.Errorf("the plan is %+v, %v", plan, err)
	}
}

func TestWhatIsCancelledDoesNotCome(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	cancelled := scheduled(t, "i", time.Now().Add(1500*time.Millisecond), "cancelled")
	put(t, s, cancelled, scheduled(t, "j", time.Now().Add(2500*time.Millisecond), "stays"))
	if was, err := s.Cancel(t.Context(), streams.StreamSched, cancelled.Subject); err != nil || !was {
		t.Errorf("Cancel: %v, %v", was, err)
	}
	if list, err := s.List(t.Context(), streams.StreamSched, filterOf(t), 10); err != nil || len(list) != 1 || string(list[0].Payload) != "stays" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if was, err := s.Cancel(t.Context(), streams.StreamSched, cancelled.Subject); err != nil || was {
		t.Errorf("once more: %v, %v", was, err)
	}
	eventually(t, "the other one is due", func() bool { return len(lying(t, c.HubJS, streams.StreamSched, "due.>")) > 0 })
	if got := lying(t, c.HubJS, streams.StreamSched, ">"); !slices.Equal(got, []string{"stays"}) {
		t.Errorf("the stream holds %q", got)
	}
}

func TestTheSameMsgIDIsStoredOnce(t *testing.T) {
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	m := later.Message{Subject: "delivery.w.u", MsgID: "a.1", Payload: []byte("a job")}
	put(t, s, m, m)
	put(t, s, m)
	put(t, s, later.Message{Subject: "delivery.w.u", MsgID: "a.2", Payload: []byte("another")})
	if got := lying(t, c.HubJS, streams.StreamDelivery, "delivery.>"); !slices.Equal(got, []string{"a job", "another"}) {
		t.Errorf("the stream holds %q", got)
	}
	if e, err := s.Last(t.Context(), streams.StreamDelivery, "delivery.w.u"); err != nil || string(e.Payload) != "another" || e.MsgID != "a.2" || e.Target != "" || !e.At.IsZero() {
		t.Errorf("the last is %+v, %v", e, err)
	}
}

// A job that waits lies beside those that are due for the same user, and joins them.
func TestAJobWaitsForItsNextAttempt(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	put(t, s, later.Message{Subject: "delivery.w.u", MsgID: "m1", Payload: []byte("one")})
	put(t, s, later.Message{Subject: "delivery.w.u.17", Target: "delivery.w.u", At: time.Now().Add(time.Second), MsgID: "m2", Payload: []byte("two")})
	eventually(t, "both are due", func() bool {
		return slices.Equal(lying(t, c.HubJS, streams.StreamDelivery, streams.DeliveryDueFilter()), []string{"one", "two"})
	})
}

func TestTenThousandArePutAtOnce(t *testing.T) {
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	const n = 10_000
	messages := make([]later.Message, n)
	for i := range messages {
		user := fmt.Sprintf("u%d", i)
		messages[i] = later.Message{Subject: "delivery.w." + user, MsgID: user, Payload: []byte(user)}
		if i%2 == 1 {
			messages[i].Subject, messages[i].Target, messages[i].At = "delivery.w."+user+".9", "delivery.w."+user, time.Now().Add(time.Hour)
		}
	}
	put(t, s, messages...)
	put(t, s, messages[:100]...)
	stream, err := c.HubJS.Stream(c.Context(), streams.StreamDelivery)
	if err != nil {
		t.Fatal(err)
	}
	if held := stream.CachedInfo().State.Msgs; held != n {
		t.Errorf("the stream holds %d of %d", held, n)
	}
	list, err := s.List(t.Context(), streams.StreamDelivery, "delivery.w.*.9", 5000)
	if err != nil || len(list) != later.MaxList {
		t.Fatalf("%d are listed, %v", len(list), err)
	}
	for i, e := range list {
		if !strings.HasSuffix(e.Subject, ".9") || e.Target+".9" != e.Subject || "delivery.w."+string(e.Payload) != e.Target || e.At.IsZero() || (i > 0 && e.Seq <= list[i-1].Seq) {
			t.Fatalf("%d: %+v", i, e)
		}
	}
	if list, err = s.List(t.Context(), streams.StreamDelivery, "delivery.w.*.9", 3); err != nil || len(list) != 3 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
	if list, err = s.List(t.Context(), streams.StreamDelivery, "delivery.nobody.>", 3); err != nil || len(list) != 0 {
		t.Errorf("%d are listed, %v", len(list), err)
	}
}

// An answer that is larger than a replica gives at once comes in parts.
func TestAListOfLargeMessagesIsWhole(t *testing.T) {
	c := streamstest.Start(t)
	s := later.New(dial(t, c.LeafURL()))
	const n = 100
	messages := make([]later.Message, n)
	for i := range messages {
		messages[i] = scheduled(t, fmt.Sprintf("i%d", i), time.Now().Add(time.Hour), strings.Repeat("x", 60<<10))
	}
	put(t, s, messages...)
	if list, err := s.List(t.Context(), streams.StreamSched, filterOf(t), n); err != nil || len(list) != n {
		t.Errorf("%d of %d are listed, %v", len(list), n, err)
	}
}

// Of many who write on a subject at the same time one succeeds, and all are told which.
func TestOnceIsOnce(t *testing.T) {
	c := streamstest.Start(t)
	at, err := streams.SchedDecidedSubject("w", "u", "i")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 20)
	var all sync.WaitGroup
	for i := range got {
		s := later.New(dial(t, []string{c.HubURL(), c.LeafURL()}[i%2]))
		all.Go(func() {
			e, err := s.Once(t.Context(), later.Message{Subject: at, Payload: fmt.Append(nil, i)})
			if err != nil || e.Subject != at || e.Seq == 0 {
				t.Errorf("%d: %+v, %v", i, e, err)
			}
			got[i] = string(e.Payload)
		})
	}
	all.Wait()
	if held := lying(t, c.HubJS, streams.StreamSched, ">"); len(held) != 1 || len(slices.Compact(got)) != 1 || got[0] != held[0] {
		t.Errorf("the stream holds %q, and they were told %q", held, got)
	}
	s := later.New(dial(t, c.LeafURL()))
	for _, m := range []later.Message{{Subject: "chat.0.w.c"}, scheduled(t, "i", time.Now(), "x")} {
		if e, err := s.Once(t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestWhatIsNotKeptForLaterIsRefused(t *testing.T) {
	s := later.New(dial(t, "nats://127.0.0.1:1"))
	now := time.Now()
	for name, m := range map[string]later.Message{
		"a chat subject":      {Subject: "chat.0.w.c"},
		"a wildcard":          {Subject: "delivery.w.*"},
		"no subject":          {},
		"a target of another": {Subject: "sched.w.u.i", Target: "delivery.w.u", At: now},
		"itself":              {Subject: "sched.w.u.i", Target: "sched.w.u.i", At: now},
		"no time":             {Subject: "sched.w.u.i", Target: "due.w.u.i"},
		"no target":           {Subject: "sched.w.u.i", At: now},
	} {
		if err := s.Put(t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range [][2]string{{"CHAT_0", "chat.0.w.c"}, {"DELIVERY", "sched.w.u.i"}, {"SCHED", "sched.w.u.>"}, {"SCHED", ">"}, {"", ""}} {
		if _, err := s.Last(t.Context(), bad[0], bad[1]); !fault.Is(err, fault.Invalid) {
			t.Errorf("Last %q: %v", bad, err)
		}
		if _, err := s.Cancel(t.Context(), bad[0], bad[1]); !fault.Is(err, fault.Invalid) {
			t.Errorf("Cancel %q: %v", bad, err)
		}
	}
	if _, err := s.List(t.Context(), "CHAT_0", ">", 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("List: %v", err)
	}
	if err := s.Delete(t.Context(), "CHAT_0", 1); !fault.Is(err, fault.Invalid) {
		t.Errorf("Delete: %v", err)
	}
}

func TestWithoutAHubNothingIsKept(t *testing.T) {
	before := goleak.IgnoreCurrent()
	conn := dial(t, "nats://127.0.0.1:1")
	s := later.New(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := s.Put(ctx, scheduled(t, "i", time.Now(), "x"), scheduled(t, "j", time.Now(), "x")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Put: %v", err)
	}
	if _, err := s.List(ctx, streams.StreamSched, filterOf(t), 1); !fault.Is(err, fault.Unavailable) {
		t.Errorf("List: %v", err)
	}
	if _, err := s.Cancel(ctx, streams.StreamSched, "sched.w.u.i"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Cancel: %v", err)
	}
	conn.Close()
	goleak.VerifyNone(t, before)
}
