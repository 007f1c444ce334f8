package bus_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestReadPageByPage(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 1200) // 1,000 of w1
	q := bus.ReadQuery{Shard: shard, Filter: all, MaxEntries: 150}
	var got []bus.Entry
	for {
		b, err := log.Read(c.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Entries...)
		if want := uint64(1000 - len(got)); b.Pending != want {
			t.Fatalf("after %d events %d are pending, want %d", len(got), b.Pending, want)
		}
		if b.Pending == 0 {
			break
		}
		q.From = b.Entries[len(b.Entries)-1].Seq + 1
	}
	for i, e := range got {
		n := i/5*6 + i%5 // what fill calls it
		want := streams.Place{Shard: shard, WorkspaceID: "w1", ChannelID: chat.ChannelID(fmt.Sprintf("c%d", i%5))}
		if e.Seq != chat.Seq(n+1) || e.Place != want || e.Foreign || string(e.Payload) != fmt.Sprintf(`{"n":%d}`, n) ||
			e.MsgID != fmt.Sprintf("u1.m%d", n) || time.Since(e.At) > time.Hour || e.At.Location() != time.UTC {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
	if len(got) != 1000 {
		t.Errorf("read %d events", len(got))
	}
}

func TestReadStopsAtItsBytes(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	for i := range 10 {
		store(t, c, "chat.2.w1.c1", strings.Repeat("x", 10_000), "n", fmt.Sprint(i))
	}
	b, err := log.Read(c.Context(), bus.ReadQuery{Shard: shard, Filter: all, From: 1, MaxBytes: 25_000})
	if err != nil || len(b.Entries) != 3 || b.Pending != 7 {
		t.Errorf("%d events, %d pending, %v", len(b.Entries), b.Pending, err)
	}
}

func TestAnEmptyLog(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	ctx := c.Context()
	q := bus.ReadQuery{Shard: shard, Filter: all}
	if b, err := log.Read(ctx, q); err != nil || len(b.Entries) != 0 || b.Pending != 0 {
		t.Errorf("Read: %+v, %v", b, err)
	}
	if n, err := log.Count(ctx, q); err != nil || n != 0 {
		t.Errorf("Count: %v, %v", n, err)
	}
	if seq, err := log.Head(ctx, shard, all); err != nil || seq != 0 {
		t.Errorf("Head: %v, %v", seq, err)
	}
	if seq, err := log.LeaderLast(ctx, shard, "chat.2.w1.c1"); err != nil || seq != 0 {
		t.Errorf("LeaderLast: %v, %v", seq, err)
	}
	if last, err := log.LastBefore(ctx, shard, []string{"chat.2.w1.c1"}, 0); err != nil || len(last) != 0 {
		t.Errorf("LastBefore: %v, %v", last, err)
	}
	if first, last, err := log.Bounds(ctx, shard); err != nil || first != 1 || last != 0 {
		t.Errorf("Bounds: %v, %v, %v", first, last, err)
	}
	_, err := log.Get(ctx, shard, 1)
	wantKind(t, err, fault.NotFound)
	_, err = log.FindMsgID(ctx, q, "u1.m1")
	wantKind(t, err, fault.NotFound)
}

func TestAShardThatDoesNotExist(t *testing.T) {
	log := bus.NewLog(dial(t, "nats://127.0.0.1:1"))
	_, err := log.Read(t.Context(), bus.ReadQuery{Shard: 99, Filter: all})
	wantKind(t, err, fault.Invalid)
}

// A count is of what the log holds now: holes that were never ours, or were deleted, are not counted.
func TestCount(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 60) // 50 of w1: all but every sixth
	count := func(filter string, from chat.Seq) uint64 {
		t.Helper()
		n, err := log.Count(c.Context(), bus.ReadQuery{Shard: shard, Filter: filter, From: from})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := func(filter string, from chat.Seq, n uint64) {
		t.Helper()
		if got := count(filter, from); got != n {
			t.Errorf("from %d on, %s holds %d, want %d", from, filter, got, n)
		}
	}
	want(all, 0, 50)
	want(all, 1, 50)
	want(all, 2, 49)
	want(all, 6, 45) // 6 is another workspace's
	want(all, 7, 45)
	want(all, 59, 1)
	want(all, 60, 0)
	want(all, 61, 0)
	want(all, 1000, 0)
	want("chat.2.w1.c1", 1, 10)
	want("chat.2.w1.c1", 3, 9)
	want("chat.2.>", 31, 30)

	s, err := c.HubJS.Stream(c.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{40, 41, 42, 50, 59} { // 42 is of w2
		if err := s.DeleteMsg(c.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	want(all, 1, 46)
	want(all, 40, 13) // 43 … 58 but 50, and 48 and 54 of w2
	want(all, 41, count(all, 40))
	want(all, 42, count(all, 40))
	want(all, 43, count(all, 40))
	want(all, 59, 0)
	c.Forget(name, 30)
	want(all, 1, 21)
	want(all, 31, 21)

	b, err := log.Read(c.Context(), bus.ReadQuery{Shard: shard, Filter: all, From: 8, MaxEntries: 4})
	if err != nil || len(b.Entries) != 4 || b.Entries[0].Seq != 31 || b.Pending != 17 {
		t.Errorf("%+v, %v", b, err)
	}
}

// A count that runs while events are stored is of one moment: it never tells more than the log holds afterwards.
func TestCountWhileEventsAreStored(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 6)
	var filling sync.WaitGroup
	filling.Go(func() {
		for i := range 2000 {
			if err := c.HubConn.Publish("chat.2.w1.c1", fmt.Appendf(nil, "%d", i)); err != nil {
				t.Error(err)
			}
		}
	})
	var last uint64
	for range 100 {
		n, err := log.Count(c.Context(), bus.ReadQuery{Shard: shard, Filter: all, From: 2})
		if err != nil {
			t.Fatal(err)
		}
		if n < last || n > 2004 {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
		b, err := log.Read(c.Context(), bus.ReadQuery{Shard: shard, Filter: all, From: 2, MaxEntries: 50})
		if err != nil || uint64(len(b.Entries))+b.Pending < n {
			t.Fatalf("a read of %d and %d pending after a count of %d, %v", len(b.Entries), b.Pending, n, err)
		}
	}
	filling.Wait()
}

func TestGetAndHeads(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	ctx := c.Context()
	fill(t, c, 60)
	e, err := log.Get(ctx, shard, 8)
	if err != nil || e.Seq != 8 || e.MsgID != "u1.m7" || e.Place.ChannelID != "c1" || string(e.Payload) != `{"n":7}` {
		t.Errorf("Get: %+v, %v", e, err)
	}
	for _, seq := range []chat.Seq{0, 61, chat.MaxSeq} {
		_, err := log.Get(ctx, shard, seq)
		wantKind(t, err, fault.NotFound)
	}
	for filter, want := range map[string]chat.Seq{all: 59, "chat.2.w1.c1": 56, "chat.2.>": 60, "chat.2.w2.>": 60, "chat.2.w3.>": 0, "chat.2.w1.c7": 0} {
		if seq, err := log.Head(ctx, shard, filter); err != nil || seq != want {
			t.Errorf("Head of %s: %v, %v; want %d", filter, seq, err, want)
		}
	}
	if seq, err := log.LeaderLast(ctx, shard, "chat.2.w1.c1"); err != nil || seq != 56 {
		t.Errorf("LeaderLast: %v, %v", seq, err)
	}
	if seq, err := log.LeaderLast(ctx, shard, "chat.2.w1.c7"); err != nil || seq != 0 {
		t.Errorf("LeaderLast of nothing: %v, %v", seq, err)
	}
	if first, last, err := log.Bounds(ctx, shard); err != nil || first != 1 || last != 60 {
		t.Errorf("Bounds: %v, %v, %v", first, last, err)
	}
	c.Forget(name, 60)
	if first, last, err := log.Bounds(ctx, shard); err != nil || first != 61 || last != 60 {
		t.Errorf("Bounds of what is forgotten: %v, %v, %v", first, last, err)
	}
}

func TestLastBefore(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 60)
	subjects := []string{"chat.2.w1.c0", "chat.2.w1.c3", "chat.2.w2.c9", "chat.2.w1.none"}
	for upTo, want := range map[chat.Seq]map[string]chat.Seq{
		0:  {},
		3:  {"chat.2.w1.c0": 1},
		4:  {"chat.2.w1.c0": 1, "chat.2.w1.c3": 4},
		36: {"chat.2.w1.c0": 31, "chat.2.w1.c3": 34, "chat.2.w2.c9": 36},
		60: {"chat.2.w1.c0": 55, "chat.2.w1.c3": 58, "chat.2.w2.c9": 60},
	} {
		got, err := log.LastBefore(c.Context(), shard, subjects, upTo)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("up to %d: %v, %v; want %v", upTo, got, err, want)
		}
	}
	if got, err := log.LastBefore(c.Context(), shard, []string{"chat.2.w1.none"}, 60); err != nil || len(got) != 0 {
		t.Errorf("of none: %v, %v", got, err)
	}
	_, err := log.LastBefore(c.Context(), shard, subjects, 61) // not stored yet: a replica that is behind says nothing
	wantKind(t, err, fault.Unavailable)
	store(t, c, "chat.2.w1.-", "of all")
	if got, err := log.LastBefore(c.Context(), shard, []string{"chat.2.w1.-"}, 61); err != nil || got["chat.2.w1.-"] != 61 {
		t.Errorf("of the whole workspace: %v, %v", got, err)
	}
}

func TestLastBeforeOfManyLargeEvents(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	var subjects []string
	big := make([]byte, 30_000) // 300 of them do not fit into one answer
	for i := range 2500 {
		subjects = append(subjects, fmt.Sprintf("chat.2.w1.ch%d", i))
		m := nats.NewMsg(subjects[i])
		if i%8 == 0 {
			m.Data = big
		}
		if _, err := c.HubJS.PublishMsgAsync(m); err != nil {
			t.Fatal(err)
		}
	}
	<-c.HubJS.PublishAsyncComplete()
	got, err := log.LastBefore(c.Context(), shard, subjects, 2500)
	if err != nil || len(got) != 2500 {
		t.Fatalf("%d of 2500, %v", len(got), err)
	}
	for i, subject := range subjects {
		if got[subject] != chat.Seq(i+1) {
			t.Fatalf("%s is at %d", subject, got[subject])
		}
	}
}

func TestFindMsgID(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 1200)
	q := bus.ReadQuery{Shard: shard, Filter: all, MaxEntries: 100}
	if seq, err := log.FindMsgID(c.Context(), q, "u1.m1000"); err != nil || seq != 1001 {
		t.Errorf("%v, %v", seq, err)
	}
	q.From = 1002
	_, err := log.FindMsgID(c.Context(), q, "u1.m1000")
	wantKind(t, err, fault.NotFound)
	_, err = log.FindMsgID(c.Context(), bus.ReadQuery{Shard: shard, Filter: "chat.2.w1.c1"}, "u1.m2") // of c2
	wantKind(t, err, fault.NotFound)
}

// Who publishes by hand can write any header and any subject. Neither deceives a reader.
func TestForgedHeadersAndStrangeSubjects(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	store(t, c, "chat.2.w1.c1", "1",
		"Nats-Sequence", "77", "Nats-Stream", "CHAT_0", "Nats-Subject", "chat.2.w9.c9", "Nats-Num-Pending", "5",
		"Nats-Last-Sequence", "76", "Nats-Time-Stamp", "never", "Status", "204")
	store(t, c, "chat.2.w1.c1.more", "2")
	store(t, c, "chat.2.w1.UPPER", "", "Status", "404")
	store(t, c, "chat.2.w1.c1", "4")
	b, err := log.Read(c.Context(), bus.ReadQuery{Shard: shard, Filter: all})
	if err != nil || len(b.Entries) != 4 || b.Pending != 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	for i, e := range b.Entries {
		foreign := i == 1 || i == 2
		place := streams.Place{Shard: shard, WorkspaceID: "w1", ChannelID: "c1"}
		if foreign {
			place = streams.Place{}
		}
		if e.Seq != chat.Seq(i+1) || e.Foreign != foreign || e.Place != place || time.Since(e.At) > time.Hour {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	if n, err := log.Count(c.Context(), bus.ReadQuery{Shard: shard, Filter: all, From: 1}); err != nil || n != 4 {
		t.Errorf("Count: %d, %v", n, err)
	}
}

func TestReadingWithoutTheHub(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 6)
	ask := func(ctx context.Context) error {
		_, err := log.Read(ctx, bus.ReadQuery{Shard: shard, Filter: all})
		return err
	}
	if err := ask(c.Context()); err != nil {
		t.Fatal(err)
	}
	c.Link.HalfOpen() // no answer comes
	ctx, cancel := context.WithTimeout(c.Context(), 100*time.Millisecond)
	defer cancel()
	wantKind(t, ask(ctx), fault.Unavailable)
	c.Link.Cut()
	c.WaitUnlinked()
	wantKind(t, ask(c.Context()), fault.Unavailable) // nobody listens
	_, err := log.LeaderLast(c.Context(), shard, "chat.2.w1.c1")
	wantKind(t, err, fault.Unavailable)
	_, _, err = log.Bounds(c.Context(), shard)
	wantKind(t, err, fault.Unavailable)
	c.Link.Restore()
	c.WaitLinked()
	if err := ask(c.Context()); err != nil {
		t.Error(err)
	}
}

// An answer that stops in the middle, or has a hole, is an error and not a short batch.
func TestAnAnswerIsWholeOrAnError(t *testing.T) {
	event := func(seq, before int) *nats.Msg {
		m := nats.NewMsg("")
		for k, v := range map[string]string{
			"Nats-Stream": name, "Nats-Subject": "chat.2.w1.c1", "Nats-Sequence": fmt.Sprint(seq),
			"Nats-Time-Stamp": "2026-01-02T03:04:05.6Z", "Nats-Last-Sequence": fmt.Sprint(before), "Nats-Num-Pending": "0",
		} {
			m.Header.Set(k, v)
		}
		return m
	}
	with := func(m *nats.Msg, key, value string) *nats.Msg {
		m.Header.Set(key, value)
		return m
	}
	status := func(code string, before int) *nats.Msg {
		m := nats.NewMsg("")
		m.Header.Set("Status", code)
		m.Header.Set("Nats-Num-Pending", "3")
		m.Header.Set("Nats-Last-Sequence", fmt.Sprint(before))
		return m
	}
	for what, tc := range map[string]struct {
		answer []*nats.Msg
		want   int // events; -1: an error
	}{
		"whole":                {[]*nats.Msg{event(4, 0), event(7, 4), status("204", 7)}, 2},
		"nothing":              {[]*nats.Msg{status("404", 0)}, 0},
		"no end":               {[]*nats.Msg{event(4, 0), event(7, 4)}, -1},
		"no first":             {[]*nats.Msg{event(7, 4), status("204", 7)}, -1},
		"a hole":               {[]*nats.Msg{event(4, 0), event(9, 7), status("204", 9)}, -1},
		"no last":              {[]*nats.Msg{event(4, 0), status("204", 7)}, -1},
		"nothing in the midst": {[]*nats.Msg{event(4, 0), status("404", 4)}, -1},
		"refused":              {[]*nats.Msg{status("408", 0)}, -1},
		"too many":             {[]*nats.Msg{status("413", 0)}, -1},
		"no time":              {[]*nats.Msg{with(event(4, 0), "Nats-Time-Stamp", "soon"), status("204", 4)}, -1},
		"no seq":               {[]*nats.Msg{with(event(4, 0), "Nats-Sequence", "-4"), status("204", 4)}, -1},
		"seq too large":        {[]*nats.Msg{with(event(4, 0), "Nats-Sequence", "999999999999999"), status("204", 4)}, -1},
		"another stream":       {[]*nats.Msg{with(event(4, 0), "Nats-Stream", "CHAT_0"), status("204", 4)}, -1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := streamstest.StartWith(t, streamstest.Options{Empty: true})
			if _, err := c.HubConn.Subscribe("$JS.API.DIRECT.GET."+name, func(q *nats.Msg) {
				for _, m := range tc.answer {
					m.Subject = q.Reply
					if err := c.HubConn.PublishMsg(m); err != nil {
						t.Error(err)
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			if err := c.HubConn.Flush(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Second)
			defer cancel()
			b, err := bus.NewLog(dial(t, c.HubURL())).Read(ctx, bus.ReadQuery{Shard: shard, Filter: all})
			if (err != nil) != (tc.want < 0) || (err == nil && len(b.Entries) != tc.want) || (err != nil && len(b.Entries) > 0) {
				t.Errorf("%d events, %v", len(b.Entries), err)
			}
		})
	}
}
