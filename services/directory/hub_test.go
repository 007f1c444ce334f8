package directory_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

// hub is a Log on a real JetStream.
func hub(t *testing.T) (directory.Hub, *bus.Log) {
	t.Helper()
	c := streamstest.Start(t)
	conn, err := bus.Dial(bus.DialConfig{URL: c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	p := publish.New(conn, publish.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	log := bus.NewLog(conn)
	return directory.Hub{Publisher: p, Reader: log}, log
}

func TestAnEventIsFoundInTheLogByItsTime(t *testing.T) {
	h, log := hub(t)
	ctx := t.Context()
	place := func(i int) streams.Place {
		return streams.Place{Shard: 2, WorkspaceID: "w1", ChannelID: chat.ChannelID(fmt.Sprint("c", i%3))}
	}
	if seq, err := h.FindMsgID(ctx, place(0), "outbox.1", time.Time{}); err != nil || seq != 0 {
		t.Fatalf("in an empty log: %d, %v", seq, err)
	}
	const n = 40
	for i := 1; i <= n; i++ {
		if seq, err := h.Publish(ctx, place(i), fmt.Sprint("outbox.", i), []byte(`{}`)); err != nil || seq != chat.Seq(i) {
			t.Fatalf("Publish = %d, %v", seq, err)
		}
	}
	if seq, err := h.Publish(ctx, place(7), "outbox.7", []byte(`{}`)); err != nil || seq != 7 {
		t.Errorf("publishing again = %d, %v; want the first seq", seq, err)
	}
	for i := 1; i <= n; i++ {
		e, err := log.Get(ctx, 2, chat.Seq(i))
		if err != nil {
			t.Fatal(err)
		}
		for since, want := range map[time.Time]chat.Seq{{}: e.Seq, e.At: e.Seq, e.At.Add(1): 0, e.At.Add(-time.Hour): e.Seq, e.At.Add(time.Hour): 0} {
			if seq, err := h.FindMsgID(ctx, place(i), e.MsgID, since); err != nil || seq != want {
				t.Errorf("event %d since %v: %d, %v", i, since.Sub(e.At), seq, err)
			}
		}
		if seq, err := h.FindMsgID(ctx, place(i+1), e.MsgID, time.Time{}); err != nil || seq != 0 {
			t.Errorf("event %d in another channel: %d, %v", i, seq, err)
		}
	}
}

func TestWhatADeadRelayPublishedIsFoundInTheLog(t *testing.T) {
	h, log := hub(t)
	ctx, o := t.Context(), &memoryOutbox{}
	o.owe("w1", 1, 10)
	subject, err := streams.ChatSubject(1, "w1", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 6; i++ { // the relay that died had come this far
		if _, err := h.Publish(ctx, streams.Place{Shard: 1, WorkspaceID: "w1"}, fmt.Sprint("outbox.", i), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	p := &counting{Publisher: h.Publisher}
	h.Publisher = p
	r, stop := run(t, directory.RelayConfig{Outbox: o, Log: h, Window: 1}) // every event is old
	for o.left() > 0 {
		r.Wake()
		if ctx.Err() != nil {
			t.Fatal(ctx.Err())
		}
	}
	stop()
	if p.n != 4 {
		t.Errorf("%d events were published again; 4 were missing", p.n)
	}
	if head, err := log.Head(ctx, 1, subject); err != nil || head != 10 {
		t.Errorf("the log ends at %d, %v", head, err)
	}
	for id, seq := range o.seqs {
		if int64(id) != int64(seq) {
			t.Errorf("row %d got seq %d", id, seq)
		}
	}
}

// counting counts what is published.
type counting struct {
	directory.Publisher
	n int
}

func (c *counting) PublishSync(ctx context.Context, m bus.Message) (bus.Ack, error) {
	c.n++
	return c.Publisher.PublishSync(ctx, m)
}
