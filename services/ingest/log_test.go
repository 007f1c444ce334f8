package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

const shortWindow = time.Second

// storeHistory answers from a real store, which the test fills.
type storeHistory struct {
	messages *sqlite.Messages
	mu       sync.Mutex
	down     bool
}

func (h *storeHistory) set(down bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

func (h *storeHistory) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return errDown
	}
	return nil
}

func (h *storeHistory) Send(ctx context.Context, req rpc.SendRequest) (rpc.SendReply, error) {
	if err := h.err(); err != nil {
		return rpc.SendReply{}, err
	}
	p, err := h.messages.Progress(ctx, req.Shard)
	if err != nil {
		return rpc.SendReply{}, err
	}
	at, err := h.messages.Send(ctx, store.SendKey{WorkspaceID: req.WorkspaceID, SenderID: req.SenderID, ClientMsgID: req.ClientMsgID})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return rpc.SendReply{}, err
	}
	return rpc.SendReply{ChannelID: at.ChannelID, Seq: at.Seq, Through: p}, nil
}

func (h *storeHistory) Message(ctx context.Context, req rpc.MessageRequest) (rpc.MessageReply, error) {
	if err := h.err(); err != nil {
		return rpc.MessageReply{}, err
	}
	m, err := h.messages.Message(ctx, req.ChannelID, req.Seq)
	return rpc.MessageReply{
		Epoch: m.Epoch, SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Thread: m.Thread, Body: m.Body, Edited: !m.EditedAt.IsZero(), Deleted: m.Deleted, At: m.PostedAt,
	}, err
}

// region is gateways on a leaf, a hub whose dedup window is a second, and a store.
type region struct {
	t       *testing.T
	cluster *streamstest.Cluster
	log     *bus.Log
	history *storeHistory
}

func newRegion(t *testing.T) *region {
	t.Helper()
	r := &region{t: t, history: &storeHistory{}}
	r.cluster = streamstest.StartWith(t, streamstest.Options{Provision: provision.Options{DuplicateWindow: shortWindow}})
	var err error
	if r.history.messages, err = sqlite.OpenMessages(t.Context(), t.TempDir()+"/messages.db"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.history.messages.Close(); err != nil {
			t.Error(err)
		}
	})
	r.log = bus.NewLog(r.dial())
	return r
}

func (r *region) dial() *bus.Conn {
	r.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: r.cluster.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(conn.Close)
	return conn
}

// gateway is a new process that takes changes.
func (r *region) gateway() *ingest.Ingest {
	conn := r.dial()
	p := publish.New(conn, publish.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	return ingest.New(ingest.Config{Publisher: p, Log: bus.NewLog(conn), History: r.history, Window: shortWindow})
}

// persist applies the log to the store up to a position.
func (r *region) persist(upTo chat.Seq) {
	r.t.Helper()
	filter, err := streams.ChatShardFilter(0)
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := r.log.Read(r.cluster.Context(), bus.ReadQuery{Filter: filter, From: 1})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, entry := range b.Entries {
		parsed, err := event.Parse(entry.Payload)
		if err != nil || entry.Seq > upTo {
			continue
		}
		e := event.Stored{Event: parsed, WorkspaceID: entry.Place.WorkspaceID, Seq: entry.Seq, At: entry.At}
		if err := r.history.messages.Apply(r.t.Context(), []event.Stored{e}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := r.history.messages.NoteProgress(r.t.Context(), 0, upTo); err != nil {
		r.t.Fatal(err)
	}
}

func TestAResendOnARealHub(t *testing.T) {
	r := newRegion(t)
	a, b := r.gateway(), r.gateway()
	w := &world{t: t} // makes changes only
	submit := func(g *ingest.Ingest, c event.Change) event.Receipt {
		t.Helper()
		receipt, err := g.Submit(r.cluster.Context(), c)
		if err != nil {
			t.Fatalf("%s: %v", c.Body, err)
		}
		return receipt
	}
	var sent []event.Change
	var first []event.Receipt
	for i := range 20 {
		c := w.post(fmt.Sprint("message ", i))
		sent, first = append(sent, c), append(first, submit(a, c))
	}
	again := func(state string) {
		t.Helper()
		for _, g := range []*ingest.Ingest{a, b, r.gateway()} {
			for i, c := range sent {
				if got := submit(g, c); !got.Duplicate || got.Seq != first[i].Seq || !got.At.Equal(first[i].At) {
					t.Fatalf("%s: %+v, first %+v", state, got, first[i])
				}
			}
			other := sent[3]
			other.Body = "another text"
			if _, err := g.Submit(r.cluster.Context(), other); !fault.Is(err, fault.Conflict) {
				t.Fatalf("%s: the same id with another text: %v", state, err)
			}
		}
	}
	again("within the window")
	time.Sleep(shortWindow + shortWindow/4) // the log forgets by its own clock
	again("after the window, the persister stopped")
	r.persist(7)
	again("after the window, the persister behind")
	r.history.set(true)
	again("after the window, the store down")
	r.history.set(false)
	r.persist(20)
	again("after the window, all stored")

	r.cluster.Forget(streams.ChatStream(0), 10)
	again("the log has forgotten the first half")
	r.history.set(true)
	if _, err := r.gateway().Submit(r.cluster.Context(), sent[2]); !fault.Is(err, fault.Unavailable) {
		t.Errorf("what only the store can know: %v", err)
	}
	if _, last, err := r.log.Bounds(r.cluster.Context(), 0); err != nil || last != 20 {
		t.Errorf("the log ends at %d, %v: a resend was stored", last, err)
	}
}

func TestChangesOnARealHub(t *testing.T) {
	r := newRegion(t)
	g := r.gateway()
	w := &world{t: t, ingest: g}
	root, err := g.Submit(r.cluster.Context(), w.post("root"))
	if err != nil {
		t.Fatal(err)
	}
	// Somebody reacts at the moment that they see it, and others answer all at once.
	var all sync.WaitGroup
	for i := range 50 {
		reply, reaction := w.post("reply"), w.change(event.ReactionAdded)
		reply.Thread, reaction.MessageSeq = root.Seq, root.Seq
		reaction.Emoji = fmt.Sprint("e", i)
		for _, c := range []event.Change{reply, reaction} {
			all.Go(func() {
				if _, err := g.Submit(r.cluster.Context(), c); err != nil {
					t.Errorf("%s: %v", c.Kind, err)
				}
			})
		}
	}
	all.Wait()
	far := w.change(event.PinAdded)
	far.MessageSeq = 5000
	if _, err := g.Submit(r.cluster.Context(), far); !fault.Is(err, fault.NotFound) {
		t.Errorf("a message that is not stored: %v", err)
	}
	r.cluster.StopHub()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := g.Submit(ctx, w.post("nobody is there")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the hub: %v", err)
	}
}
