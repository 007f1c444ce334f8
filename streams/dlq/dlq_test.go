package dlq_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) (*streamstest.Cluster, *dlq.Queue) {
	t.Helper()
	t.Parallel()
	c := streamstest.Start(t)
	conn, err := bus.Dial(bus.DialConfig{URL: c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return c, dlq.Open(conn)
}

var ended = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func letter(seq chat.Seq) dlq.Letter {
	return dlq.Letter{
		Stream: "CHAT_0", Consumer: "persist", Subject: "chat.0.w1.c1", Seq: seq, Reason: fmt.Sprint("because of ", seq), Attempts: 3,
		At: ended.Add(time.Duration(seq) * time.Second), StoredAt: ended.Add(-time.Hour + 17), MsgID: fmt.Sprint("u1.", seq), TraceParent: "00-a-b-01", Found: dlq.FoundNote,
		Header:  nats.Header{"Nats-Msg-Id": {fmt.Sprint("u1.", seq)}, "traceparent": {"00-a-b-01"}, "X-Own": {"mine", "twice"}},
		Payload: []byte("{\"body\":\"\x00hi\xff\"}"),
	}
}

func put(t *testing.T, c *streamstest.Cluster, q *dlq.Queue, l dlq.Letter) uint64 {
	t.Helper()
	id, added, err := q.Put(c.Context(), l)
	if err != nil || !added || id == 0 {
		t.Fatalf("Put: %d, %v, %v", id, added, err)
	}
	return id
}

func TestALetterComesOutAsItWentIn(t *testing.T) {
	c, q := open(t)
	want := letter(4711)
	want.ID = put(t, c, q, want)
	got, err := q.Get(c.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	listed, more, err := q.List(c.Context(), dlq.Filter{}, 0, 10)
	if err != nil || more || len(listed) != 1 {
		t.Fatal(listed, more, err)
	}
	if diff := cmp.Diff(want, listed[0]); diff != "" {
		t.Errorf("a list shows it differently:\n%s", diff)
	}
	e := got.Entry()
	if place := (streams.Place{Shard: 0, WorkspaceID: "w1", ChannelID: "c1"}); e.Foreign || e.Place != place || e.Seq != 4711 || !e.At.Equal(want.StoredAt) {
		t.Errorf("%+v", e)
	}
}

// TestAnybodyCanReadIt: what other clients of NATS show is the original, and says where it came from.
func TestAnybodyCanReadIt(t *testing.T) {
	c, q := open(t)
	l := letter(7)
	l.Reason = "two\nlines\x1b[31m"
	l.Header = nats.Header{
		"Nats-Rollup": {"all"}, "Nats-TTL": {"1s"}, "Nats-Expected-Stream": {"OTHER"}, "Nats-Expected-Last-Sequence": {"99"}, "Nats-Schedule": {"@every 1s"},
		"nats-rollup": {"all"}, "Canopy-Dead-Seq": {"1"}, "canopy-dead-reason": {"none"}, "X-Lines": {"one\x1b[2J\ttwo"},
	}
	put(t, c, q, letter(6))
	id := put(t, c, q, l)
	s, err := c.HubJS.Stream(c.Context(), streams.StreamDLQ)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("the DLQ holds %d: a header of the original acted on it", n)
	}
	m, err := s.GetMsg(c.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := nats.Header{
		"Nats-Msg-Id": {"dlq.CHAT_0.persist.7"}, "Nats-Expected-Last-Subject-Sequence": {"0"}, "traceparent": {"00-a-b-01"}, "X-Lines": {"one [2J two"},
		"Canopy-Dead-Stream": {"CHAT_0"}, "Canopy-Dead-Consumer": {"persist"}, "Canopy-Dead-Subject": {"chat.0.w1.c1"}, "Canopy-Dead-Seq": {"7"},
		"Canopy-Dead-Reason": {"two lines [31m"}, "Canopy-Dead-Attempts": {"3"}, "Canopy-Dead-At": {"2026-03-01T08:00:07Z"},
		"Canopy-Dead-Stored-At": {"2026-03-01T07:00:00.000000017Z"}, "Canopy-Dead-Msg-Id": {"u1.7"}, "Canopy-Dead-Found": {"note"},
		"Canopy-Dead-Nats-Rollup": {"all"}, "Canopy-Dead-Nats-TTL": {"1s"}, "Canopy-Dead-Nats-Expected-Stream": {"OTHER"},
		"Canopy-Dead-Nats-Expected-Last-Sequence": {"99"}, "Canopy-Dead-Nats-Schedule": {"@every 1s"}, "Canopy-Dead-nats-rollup": {"all"},
	}
	for _, added := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} { // by the server, to its answer
		m.Header.Del(added)
	}
	if diff := cmp.Diff(want, nats.Header(m.Header)); diff != "" {
		t.Error(diff)
	}
	if string(m.Data) != string(l.Payload) || m.Subject != "dlq.CHAT_0.persist.7" {
		t.Errorf("%s: %q", m.Subject, m.Data)
	}
	got, err := q.Get(c.Context(), id)
	if err != nil || got.Header.Get("Nats-Rollup") != "all" || got.Header.Get("Nats-Schedule") != "@every 1s" || got.Header.Get("Canopy-Dead-Seq") != "" {
		t.Errorf("the original's headers are %v, %v", got.Header, err)
	}
}

func TestTheLargestOriginalFits(t *testing.T) {
	c, q := open(t)
	heavy := letter(1)
	heavy.Payload = []byte(strings.Repeat("x", 64<<10))
	put(t, c, q, heavy)
	many := letter(2)
	many.Payload = nil
	for i := range 1000 {
		many.Header[fmt.Sprintf("Nats-%04d", i)] = []string{strings.Repeat("y", 60)}
	}
	got, err := q.Get(c.Context(), put(t, c, q, many))
	if err != nil || len(got.Header) < 200 || len(got.Header) > 500 {
		t.Errorf("%d headers, %v", len(got.Header), err)
	}
}

func TestOneEndIsOneLetter(t *testing.T) {
	c, q := open(t)
	ctx := c.Context()
	var added sync.Map
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			id, mine, err := q.Put(ctx, letter(5))
			if err != nil {
				t.Error(err)
			} else if mine {
				added.Store(id, true)
			}
		})
	}
	all.Wait()
	n := 0
	added.Range(func(any, any) bool { n++; return true })
	if count, err := q.Count(ctx, dlq.Filter{}); n != 1 || count != 1 || err != nil {
		t.Errorf("%d were added, %d are there, %v", n, count, err)
	}
	// Beyond the dedup window it is the subject that counts.
	s, err := c.HubJS.Stream(ctx, streams.StreamDLQ)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := c.HubJS.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	id := put(t, c, q, letter(6))
	time.Sleep(300 * time.Millisecond)
	if again, mine, err := q.Put(ctx, letter(6)); again != id || mine || err != nil {
		t.Errorf("put again: %d, %v, %v; want %d", again, mine, err, id)
	}
	if known, err := q.Known(ctx, "CHAT_0", "persist", 6); !known || err != nil {
		t.Errorf("Known: %v, %v", known, err)
	}
	if err := q.Drop(ctx, id); err != nil {
		t.Fatal(err)
	}
	if again, mine, err := q.Put(ctx, letter(6)); again != 0 || mine || err != nil {
		t.Errorf("put after its end: %d, %v, %v", again, mine, err)
	}
	if known, err := q.Known(ctx, "CHAT_0", "persist", 6); !known || err != nil {
		t.Errorf("Known after its end: %v, %v", known, err)
	}
	if known, err := q.Known(ctx, "CHAT_0", "persist", 7); known || err != nil {
		t.Errorf("Known of another: %v, %v", known, err)
	}
	if err := q.Drop(ctx, id); !fault.Is(err, fault.NotFound) {
		t.Errorf("dropped twice: %v", err)
	}
	if _, _, err := q.Put(ctx, dlq.Letter{Stream: "CHAT_0", Consumer: "push", Seq: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a consumer that is not ours: %v", err)
	}
}

func TestFilters(t *testing.T) {
	c, q := open(t)
	for seq := chat.Seq(1); seq <= 600; seq++ {
		l := letter(seq)
		switch seq {
		case 100:
			l.Stream, l.Consumer, l.Subject, l.Reason = "DELIVERY", "push", "delivery.w2.u1", "undelivered after 10 attempts"
		case 200:
			l.Stream, l.Subject = "CHAT_1", "chat.1.w2.c9"
		}
		put(t, c, q, l)
	}
	for name, x := range map[string]struct {
		filter dlq.Filter
		want   int
	}{
		"all":       {dlq.Filter{}, 600},
		"stream":    {dlq.Filter{Stream: "CHAT_1"}, 1},
		"consumer":  {dlq.Filter{Consumer: "push"}, 1},
		"both":      {dlq.Filter{Stream: "CHAT_0", Consumer: "persist"}, 598},
		"workspace": {dlq.Filter{Workspace: "w2"}, 2},
		"reason":    {dlq.Filter{Reason: "UNDELIVERED"}, 1},
		"subject":   {dlq.Filter{Subject: "chat.*.w1.>"}, 598},
		"one":       {dlq.Filter{Subject: "chat.1.w2.c9"}, 1},
		"short":     {dlq.Filter{Subject: "chat.1.w2"}, 0},
		"since":     {dlq.Filter{Since: ended.Add(590 * time.Second)}, 11},
		"until":     {dlq.Filter{Until: ended.Add(10 * time.Second)}, 10},
		"ids":       {dlq.Filter{IDs: []uint64{600, 1, 1, 9999}}, 2},
		"ids of":    {dlq.Filter{IDs: []uint64{100, 200}, Stream: "CHAT_1"}, 1},
	} {
		if n, err := q.Count(c.Context(), x.filter); n != x.want || err != nil {
			t.Errorf("%s: %d, %v; want %d", name, n, err, x.want)
		}
	}
	var got []chat.Seq
	for after, more := uint64(0), true; more; {
		var page []dlq.Letter
		var err error
		if page, more, err = q.List(c.Context(), dlq.Filter{Stream: "CHAT_0"}, after, 250); err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			got, after = append(got, l.Seq), l.ID
		}
	}
	if len(got) != 598 || got[0] != 1 || got[597] != 600 {
		t.Errorf("pages hold %d", len(got))
	}
	if _, err := q.Count(c.Context(), dlq.Filter{Stream: "x.>"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a stream that is none: %v", err)
	}
}

func TestWatchTellsOfWhatComes(t *testing.T) {
	c, q := open(t)
	put(t, c, q, letter(1))
	ctx, stop := context.WithCancel(context.Background())
	seen, over := make(chan chat.Seq, 10), make(chan error, 1)
	go func() { over <- q.Watch(ctx, dlq.Filter{Reason: "because"}, func(l dlq.Letter) { seen <- l.Seq }) }()
	var first chat.Seq
	for seq := chat.Seq(2); first == 0; seq++ { // it begins at a moment that nobody is told of
		put(t, c, q, letter(seq))
		select {
		case first = <-seen:
		case <-time.After(200 * time.Millisecond):
		}
		if seq > 200 {
			t.Fatal("it tells of nothing")
		}
	}
	if first == 1 {
		t.Error("it tells of what was there")
	}
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

func TestWhatWasTheOriginal(t *testing.T) {
	c, q := open(t)
	ack, err := c.HubJS.PublishMsg(c.Context(), &nats.Msg{Subject: "chat.0.w1.c1", Data: []byte("hi"), Header: nats.Header{"Nats-Msg-Id": {"u1.m"}, "X-A": {"b"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	parked := func(seq chat.Seq, at time.Time) bus.Parked {
		return bus.Parked{Stream: "CHAT_0", Consumer: "persist", Seq: seq, Deliveries: 1, Reason: "why", At: at}
	}
	write := func(p bus.Parked) dlq.Letter {
		t.Helper()
		l, err := q.Write(c.Context(), p, dlq.FoundNote)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := write(parked(chat.Seq(ack.Sequence), at)); l.Gone || string(l.Payload) != "hi" || l.MsgID != "u1.m" || l.Header.Get("X-A") != "b" || l.StoredAt.IsZero() {
		t.Errorf("%+v", l)
	}
	if l := write(parked(1, at.Add(-time.Hour))); !l.Gone || !strings.HasPrefix(l.GoneBecause, "CHAT_0 was made anew since") {
		t.Errorf("%+v", l)
	}
	if l := write(parked(99, at)); !l.Gone || l.GoneBecause != "CHAT_0 ends at 1: it was made anew since" {
		t.Errorf("%+v", l)
	}
	c.Forget("CHAT_0", 1)
	l := write(parked(1, at))
	if !l.Gone || l.GoneBecause != "it grew too old: CHAT_0 begins at 2" {
		t.Errorf("%+v", l)
	}
	got, err := q.Get(c.Context(), put(t, c, q, l))
	if err != nil || !got.Gone || got.GoneBecause != l.GoneBecause || got.Subject != "" {
		t.Errorf("%+v, %v", got, err)
	}
	c.StopHub()
	if _, err := q.Write(c.Context(), parked(1, at), dlq.FoundNote); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without a hub: %v", err)
	}
}
