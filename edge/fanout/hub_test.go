package fanout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	shard = streams.Shard(1)
	ws    = chat.WorkspaceID("w1")
	epoch = chat.Epoch(1)
)

var place = fanout.Place{WorkspaceID: ws, Shard: shard, Epoch: epoch}

// fate is what becomes of a republished message.
type fate int

const (
	arrives fate = iota
	lost
	twice
	late // after the next one
)

// hub is a CHAT stream in memory: the log and the source of feeds. It stores the messages of several workspaces under
// one sequence and republishes each once, as its fate says. Direct Get is answered by a replica that may lag.
type hub struct {
	mu     sync.Mutex // guards what follows
	log    []stored   // rising by seq; deleted ones are gone
	last   chat.Seq   // of the stream; never goes back
	first  chat.Seq   // the window's begin
	fates  func(m bus.Republished) fate
	lag    func() int // how many messages the replica that answers next is behind
	cut    chat.Seq   // when set, a leader answers that was cut off here and does not know it
	failed error      // of every question
	reads  int
	inside chan struct{} // when set, Read waits here before it answers: whoever receives lets one go on

	pub    sync.Mutex // held while subscribers are called: one at a time, in order
	subs   map[int]bus.FanSubscription
	nextID int
	held   []bus.Republished // the late ones

	signals chan bus.Signal
	watch   chan error // what WatchSignals returns early
}

type stored struct {
	bus.Republished
	subject string
}

var epochStart = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

func newHub() *hub {
	return &hub{
		first: 1, subs: map[int]bus.FanSubscription{}, signals: make(chan bus.Signal), watch: make(chan error),
		fates: func(bus.Republished) fate { return arrives }, lag: func() int { return 0 },
	}
}

// store puts a payload on a subject, as a publisher does, and republishes it.
func (h *hub) store(subject string, payload []byte) chat.Seq {
	h.pub.Lock()
	defer h.pub.Unlock()
	h.mu.Lock()
	h.last++
	m := stored{subject: subject, Republished: bus.Republished{Entry: bus.Entry{
		Seq: h.last, At: epochStart.Add(time.Duration(h.last) * time.Millisecond), Payload: payload,
	}}}
	var err error
	if m.Place, err = streams.ParseChat(subject); err != nil {
		m.Foreign = true
	}
	for _, before := range h.log {
		if before.subject == subject {
			m.Prev = before.Seq
		}
	}
	h.log = append(h.log, m)
	fate := h.fates(m.Republished)
	h.mu.Unlock()
	h.meet(fate, m)
	return m.Seq
}

// meet lets a message have its fate, under pub.
func (h *hub) meet(f fate, m stored) {
	switch f {
	case late:
		h.held = append(h.held, m.Republished)
		return
	case twice:
		h.send(m.Republished)
		h.send(m.Republished)
	case arrives:
		h.send(m.Republished)
	case lost:
	}
	held := h.held
	h.held = nil
	for _, old := range held {
		h.send(old)
	}
}

// send gives a message to whoever has subscribed to it, under pub. Foreign subjects lie below w1 here.
func (h *hub) send(m bus.Republished) {
	for _, s := range h.subs {
		if m.Foreign && s.WorkspaceID == ws || !m.Foreign && m.Place.WorkspaceID == s.WorkspaceID && m.Place.Shard == s.Shard {
			s.Deliver(m)
		}
	}
}

// forge sends what no stream has sent.
func (h *hub) forge(ch chat.ChannelID, seq, prev chat.Seq, payload []byte) {
	h.pub.Lock()
	defer h.pub.Unlock()
	h.send(bus.Republished{Prev: prev, Entry: bus.Entry{
		Place: streams.Place{Shard: shard, WorkspaceID: ws, ChannelID: ch}, Seq: seq, At: epochStart, Payload: payload,
	}})
}

// erase removes messages from the log, as an operator or age does.
func (h *hub) erase(which func(seq chat.Seq) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = slices.DeleteFunc(h.log, func(m stored) bool { return which(m.Seq) })
	h.first = h.last + 1
	if len(h.log) > 0 {
		h.first = h.log[0].Seq
	}
}

// with changes the hub's behaviour.
func (h *hub) with(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

func matches(filter, subject string) bool {
	if prefix, ok := strings.CutSuffix(filter, ">"); ok {
		return strings.HasPrefix(subject, prefix)
	}
	return filter == subject
}

// replica is what the replica that answers next holds.
func (h *hub) replica() []stored {
	n := max(0, len(h.log)-h.lag())
	return h.log[:n]
}

func (h *hub) Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error) {
	h.mu.Lock()
	inside := h.inside
	h.mu.Unlock()
	if inside != nil {
		select {
		case inside <- struct{}{}:
		case <-ctx.Done():
			return bus.Batch{}, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads++
	if h.failed != nil {
		return bus.Batch{}, h.failed
	}
	var b bus.Batch
	size := 0
	for _, m := range h.replica() {
		switch {
		case m.Seq < q.From || !matches(q.Filter, m.subject):
		case len(b.Entries) < q.MaxEntries && (size == 0 || size < q.MaxBytes):
			b.Entries = append(b.Entries, m.Entry)
			size += len(m.Payload)
		default:
			b.Pending++
		}
	}
	return b, nil
}

func (h *hub) LeaderLast(_ context.Context, _ streams.Shard, filter string) (chat.Seq, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var last chat.Seq
	for _, m := range h.log {
		if matches(filter, m.subject) && (h.cut == 0 || m.Seq <= h.cut) {
			last = m.Seq
		}
	}
	return last, h.failed
}

func (h *hub) LastBefore(_ context.Context, _ streams.Shard, subjects []string, upTo chat.Seq) (map[string]chat.Seq, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := map[string]chat.Seq{}
	replica := h.replica()
	for _, m := range replica {
		if m.Seq <= upTo && slices.Contains(subjects, m.subject) {
			last[m.subject] = m.Seq
		}
	}
	if len(replica) < len(h.log) && (len(replica) == 0 || replica[len(replica)-1].Seq < upTo) {
		return nil, bus.Unavailable(errors.New("behind"))
	}
	return last, h.failed
}

func (h *hub) Bounds(context.Context, streams.Shard) (first, last chat.Seq, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cut != 0 {
		return h.first, h.cut, h.failed
	}
	return h.first, h.last, h.failed
}

func (h *hub) SubscribeFan(s bus.FanSubscription) (func() error, error) {
	h.pub.Lock()
	defer h.pub.Unlock()
	h.nextID++
	id := h.nextID
	h.subs[id] = s
	return func() error {
		h.pub.Lock()
		defer h.pub.Unlock()
		delete(h.subs, id)
		return nil
	}, nil
}

func (h *hub) subscribers() int {
	h.pub.Lock()
	defer h.pub.Unlock()
	return len(h.subs)
}

func (h *hub) WatchSignals(ctx context.Context, handle func(bus.Signal)) error {
	for {
		select {
		case s := <-h.signals:
			handle(s)
		case err := <-h.watch:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// say stores a post in a channel of w1, and returns its seq.
func (h *hub) say(ch chat.ChannelID, body string) chat.Seq {
	return h.put(event.Event{Kind: event.MessagePosted, ChannelID: ch, Body: body})
}

// put stores an event of w1.
func (h *hub) put(e event.Event) chat.Seq { return h.store(subjectOf(ws, e.ChannelID), payloadOf(e)) }

// elsewhere stores something in another workspace of the shard.
func (h *hub) elsewhere() chat.Seq {
	return h.store(subjectOf("w2", "x"), payloadOf(event.Event{Kind: event.MessagePosted, ChannelID: "x", Body: "not yours"}))
}

func subjectOf(ws chat.WorkspaceID, ch chat.ChannelID) string {
	subject, err := streams.ChatSubject(shard, ws, ch)
	if err != nil {
		panic(err)
	}
	return subject
}

func payloadOf(e event.Event) []byte {
	e.Epoch, e.SenderID = epoch, "u1"
	if e.Kind == event.MessagePosted {
		e.ClientMsgID = "m1"
	}
	b, err := event.Encode(e)
	if err != nil {
		panic(err)
	}
	return b
}

// shown is the log of w1 after a position as clients must see it: seq, prev and frame of each.
func (h *hub) shown(after chat.Seq) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lines []string
	visible := map[chat.ChannelID]chat.Seq{}
	for _, m := range h.log {
		e, err := event.Parse(m.Payload)
		if err != nil || m.Foreign || m.Place.WorkspaceID != ws || e.ChannelID != m.Place.ChannelID || e.Epoch != epoch {
			continue
		}
		p := wire.Place{Epoch: epoch, ChannelID: e.ChannelID, Seq: m.Seq, Prev: visible[e.ChannelID], At: m.At}
		visible[e.ChannelID] = m.Seq
		if m.Seq > after {
			frame := wsconn.Frame(func(dst []byte) []byte { return wire.AppendStored(dst, p, e.Kind, m.Payload) })
			lines = append(lines, line(p.Seq, p.Prev, frame))
		}
	}
	return lines
}

func line(seq, prev chat.Seq, frame []byte) string {
	return fmt.Sprintf("%d after %d: %q", seq, prev, frame)
}

func linesOf(entries []*fanout.Entry) []string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, line(e.Seq, e.Prev, e.Frame))
	}
	return lines
}

// wantLines compares what a reader saw with what the log holds.
func wantLines(t testing.TB, who string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%s lacks, after %d entries, %s", who, len(got), want[i])
		case i >= len(want):
			t.Fatalf("%s has, after all %d entries, %s", who, len(want), got[i])
		case got[i] != want[i]:
			t.Fatalf("%s has, as entry %d,\n %s\nwant\n %s", who, i, got[i], want[i])
		}
	}
}
