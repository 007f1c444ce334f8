package history_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

// On a real hub, asked through a real leaf: what was acknowledged is in the next read, wherever the persister
// is; without the hub the store answers for what it has.
func TestAReadAfterTheAckHoldsTheMessage(t *testing.T) {
	cluster := streamstest.Start(t)
	conn, err := bus.Dial(bus.DialConfig{URL: cluster.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	publisher := publish.New(conn, publish.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- publisher.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	messages, err := sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := messages.Close(); err != nil {
			t.Error(err)
		}
	})
	log := bus.NewLog(conn)
	cfg := history.Config{
		Store: messages, Log: log, Logger: slog.New(slog.DiscardHandler),
		LogBudget: time.Minute, StoreBudget: time.Minute, // the machine may be busy
	}
	reader := history.New(cfg)

	send := func(e event.Event) chat.Seq {
		e.Epoch, e.ChannelID, e.SenderID = 1, "c1", "u1"
		payload, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		ack, err := publisher.PublishSync(cluster.Context(), bus.Message{
			Place: streams.Place{WorkspaceID: "w1", ChannelID: "c1"}, MsgID: fmt.Sprint("u1.", uuid.NewString()), Payload: payload,
		})
		if err != nil {
			t.Fatal(err)
		}
		return ack.Seq
	}
	post := func(n int) chat.Seq {
		return send(event.Event{Kind: event.MessagePosted, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", n)), Body: fmt.Sprint("message ", n)})
	}
	newest := func() store.Reading {
		r, err := reader.Page(cluster.Context(), place, store.PageQuery{Limit: 20})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	persist := func(upTo chat.Seq) {
		filter, err := streams.ChatShardFilter(0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := log.Read(cluster.Context(), bus.ReadQuery{Filter: filter, From: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range b.Entries {
			parsed, err := event.Parse(entry.Payload)
			if err != nil || entry.Seq > upTo {
				continue
			}
			e := event.Stored{Event: parsed, WorkspaceID: "w1", Seq: entry.Seq, At: entry.At}
			if err := messages.Apply(t.Context(), []event.Stored{e}); err != nil {
				t.Fatal(err)
			}
		}
		if err := messages.NoteProgress(t.Context(), 0, upTo); err != nil {
			t.Fatal(err)
		}
	}

	first := post(0)
	for n := 1; n <= 60; n++ {
		seq := post(n)
		if n%25 == 0 {
			persist(seq - 5) // it is behind, and from here on stopped
		}
		if r := newest(); r.Messages[0].Seq != seq || r.CompleteThrough < seq {
			t.Fatalf("after the ack of %d the newest is %d, complete through %d", seq, r.Messages[0].Seq, r.CompleteThrough)
		}
	}
	edited := send(event.Event{Kind: event.MessageEdited, MessageSeq: first, Body: "changed"})
	r, err := reader.Page(cluster.Context(), place, store.PageQuery{Around: first, Limit: 3})
	if err != nil || r.CompleteThrough < edited {
		t.Fatalf("complete through %d, %v", r.CompleteThrough, err)
	}
	if m := r.Messages[len(r.Messages)-1]; m.Seq != first || m.Body != "changed" {
		t.Errorf("an edit in the tail is not on the stored page: %+v", m)
	}
	deleted := send(event.Event{Kind: event.MessageDeleted, MessageSeq: first})
	r, err = reader.Page(cluster.Context(), place, store.PageQuery{Before: first + 1, Limit: 3})
	if err != nil || r.CompleteThrough < deleted || !r.Messages[0].Deleted || r.Messages[0].Body != "" {
		t.Errorf("a delete in the tail: %+v, %v", r, err)
	}

	// A process that starts now, with nothing in memory, reads the same.
	reader = history.New(cfg)
	if r := newest(); r.CompleteThrough < deleted || len(r.Messages) != 20 {
		t.Errorf("after a restart: %d messages, complete through %d", len(r.Messages), r.CompleteThrough)
	}

	var asked sync.WaitGroup
	for range 16 {
		asked.Go(func() { newest() })
	}
	asked.Wait()

	cfg.LogBudget = 0
	reader = history.New(cfg)
	cluster.StopHub()
	progress, err := messages.Progress(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if r := newest(); r.CompleteThrough != progress || r.Messages[0].Seq > progress {
		t.Errorf("without the hub: newest %d, complete through %d, progress %d", r.Messages[0].Seq, r.CompleteThrough, progress)
	}
}
