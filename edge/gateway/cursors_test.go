package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/readmark"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

// cursors is the service cursors: it keeps the furthest of everything.
type cursors struct {
	mu    sync.Mutex
	read  map[string]chat.Seq // by user and channel
	asked []rpc.ReadRequest
	got   map[string]chat.Cursor // by workspace, user and device
	err   error
	hold  chan struct{} // when set, questions wait for it
}

func newCursors() *cursors {
	return &cursors{read: map[string]chat.Seq{}, got: map[string]chat.Cursor{}}
}

func (s *cursors) Read(ctx context.Context, req rpc.ReadRequest) (rpc.ReadReply, error) {
	s.mu.Lock()
	s.asked = append(s.asked, req)
	hold, err := s.hold, s.err
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return rpc.ReadReply{}, ctx.Err()
		}
	}
	if err != nil {
		return rpc.ReadReply{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(req.UserID, " ", req.ChannelID)
	s.read[key] = max(s.read[key], req.Seq)
	return rpc.ReadReply{Seq: s.read[key]}, nil
}

func (s *cursors) Delivered(_ context.Context, req rpc.DeliveredRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, c := range req.Cursors {
		s.got[fmt.Sprint(c.WorkspaceID, " ", c.UserID, " ", c.DeviceID)] = chat.Cursor{Epoch: c.Epoch, Seq: c.Seq}
	}
	return nil
}

func (s *cursors) delivered(device string) chat.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[device]
}

func (s *cursors) with(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *cursors) questions() []rpc.ReadRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// withCursors saves often, for tests that wait for it.
func withCursors(s *cursors) options {
	return options{gw: gateway.Config{SaveDelivered: 10 * time.Millisecond}, to: func(_ *hub, n *gateway.Neighbours) { n.Cursors = s }}
}

func mark(ch chat.ChannelID, seq chat.Seq, ref string) []byte {
	if ref != "" {
		ref = `,"ref":` + ref
	}
	return text(fmt.Sprintf(`{"type":"cursor.read","channel_id":%q,"seq":%d%s}`, ch, seq, ref))
}

func TestWhatIsReadIsAnsweredAndToldToTheOthers(t *testing.T) {
	s := newCursors()
	on(t, withCursors(s), func(t *testing.T, w *world) {
		w.member("alice", "c1")
		w.member("bob", "c1")
		first, last := w.say("c1", "one"), w.say("c1", "two")
		phone, laptop, bob := w.open("alice"), w.open("alice"), w.open("bob")
		phone.write(mark("c1", last, `"r1"`))
		if f := phone.read(); f.Type != "cursor.read" || f.ChannelID != "c1" || f.Seq != last || string(f.Ref) != `"r1"` {
			t.Errorf("%+v", f)
		}
		phone.write(mark("c1", first, "7"))
		if f := phone.read(); f.Type != "cursor.read" || f.Seq != last || string(f.Ref) != "7" {
			t.Errorf("a mark goes back: %+v", f)
		}
		phone.write(mark("c1", first, ""))
		if f := phone.read(); f.Type != "cursor.read" || f.Seq != last || f.Ref != nil {
			t.Errorf("%+v", f)
		}
		w.gw.DeliverRead(ws, "alice", rpc.ReadNotice{ChannelID: "c1", Seq: last}) // as the service has all gateways told
		w.gw.DeliverRead("w2", "alice", rpc.ReadNotice{ChannelID: "c9", Seq: 1})
		for _, c := range []*client{laptop, phone} {
			if f := c.read(); f.Type != "cursor.read" || f.ChannelID != "c1" || f.Seq != last || f.Ref != nil {
				t.Errorf("%+v", f)
			}
		}
		bob.write(text(`{"type":"ping","ref":1}`))
		if f := bob.read(); f.Type != "pong" {
			t.Errorf("bob hears of what alice reads: %+v", f)
		}
	})
}

func TestAMarkReachesNoFurtherThanTheLog(t *testing.T) {
	s := newCursors()
	w := start(t, withCursors(s))
	w.member("alice", "c1")
	c := w.open("alice")
	head := w.say("c1", "one")
	c.collect(head)
	c.write(mark("c1", chat.MaxSeq, "1"))
	if f := c.read(); f.Type != "cursor.read" || f.Seq != head {
		t.Errorf("%+v", f)
	}
}

func TestMarksThatAreRefused(t *testing.T) {
	s := newCursors()
	w := start(t, withCursors(s))
	w.member("alice", "c1")
	w.member("bob", "c2")
	seq := w.say("c2", "for bob")
	c := w.open("alice")
	for _, ch := range []chat.ChannelID{"c2", "c3"} {
		c.write(mark(ch, seq, "1"))
		if f := c.read(); f.Code != "not_found" || string(f.Ref) != "1" {
			t.Errorf("%s: %+v", ch, f)
		}
	}
	if asked := s.questions(); len(asked) != 0 {
		t.Errorf("%v asked", asked)
	}
	s.with(func() { s.err = fault.New(fault.Unavailable, "the store is down").After(2 * time.Second) })
	c.write(mark("c1", seq, `"r"`))
	if f := c.read(); f.Code != "unavailable" || string(f.Ref) != `"r"` || f.RetryAfter == nil || *f.RetryAfter != 2 {
		t.Errorf("%+v", f)
	}
	s.with(func() { s.err = nil })
	c.write(mark("c1", seq, `"r"`))
	if f := c.read(); f.Type != "cursor.read" || f.Seq != seq {
		t.Errorf("%+v", f)
	}
}

func TestWithoutTheServiceCursorsAreUnsupported(t *testing.T) {
	w := start(t, options{})
	w.member("alice", "c1")
	c := w.open("alice")
	for _, sent := range []string{`{"type":"cursor.read","channel_id":"c1","seq":1,"ref":1}`, `{"type":"cursor.delivered","seq":1,"ref":1}`} {
		c.write(text(sent))
		if f := c.read(); f.Code != "unsupported" || string(f.Ref) != "1" {
			t.Errorf("%+v", f)
		}
	}
	w.gw.DeliverStale("")
	c.quiet()
}

// However many marks a client sends, one question is on its way, and the next is of the furthest.
func TestManyMarksAreFewQuestions(t *testing.T) {
	s := newCursors()
	s.hold = make(chan struct{})
	o := withCursors(s)
	o.gw.Frames = session.Pace{PerSecond: -1}
	w := start(t, o)
	w.member("alice", "c1")
	var seqs []chat.Seq
	for range 2 * readmark.MaxWaiting {
		seqs = append(seqs, w.say("c1", "x"))
	}
	c := w.open("alice")
	for i, seq := range seqs {
		c.write(mark("c1", seq, fmt.Sprint(i)))
	}
	for i := range readmark.MaxWaiting { // those that are refused are told at once
		if f := c.read(); f.Code != "rate_limited" || string(f.Ref) != fmt.Sprint(readmark.MaxWaiting+i) || f.RetryAfter == nil {
			t.Fatalf("%+v", f)
		}
	}
	close(s.hold)
	for i := range readmark.MaxWaiting {
		f := c.read()
		want := seqs[0]
		if i > 0 {
			want = seqs[readmark.MaxWaiting-1]
		}
		if f.Type != "cursor.read" || string(f.Ref) != fmt.Sprint(i) || f.Seq != want {
			t.Fatalf("%+v, want %d", f, want)
		}
	}
	if asked := s.questions(); len(asked) != 2 || asked[1].Seq != seqs[readmark.MaxWaiting-1] || asked[1].UserID != "alice" {
		t.Errorf("%v", asked)
	}
}

// What was read was read, also when the app is closed right after.
func TestMarksOfASocketThatHasGone(t *testing.T) {
	s := newCursors()
	s.hold = make(chan struct{})
	w := start(t, withCursors(s))
	w.member("alice", "c1", "c2")
	seq := w.say("c1", "x")
	c := w.open("alice")
	c.write(mark("c1", seq, "1"), mark("c2", seq, "2"))
	w.away(c)
	close(s.hold)
	w.eventually("both are asked", func() bool { return len(s.questions()) == 2 })
}

func TestADrainAnswersMarks(t *testing.T) {
	s := newCursors()
	s.hold = make(chan struct{})
	w := start(t, withCursors(s))
	w.member("alice", "c1")
	seq := w.say("c1", "x")
	c := w.open("alice")
	c.write(mark("c1", seq, "1"))
	w.eventually("it is asked", func() bool { return len(s.questions()) == 1 })
	drained := make(chan struct{})
	go func() { defer close(drained); w.gw.Drain(context.Background()) }()
	c.until("error")
	c.write(mark("c1", seq, "2"))
	if f, _ := c.until("error"); f.Code != "moving" || string(f.Ref) != "2" {
		t.Errorf("%+v", f)
	}
	close(s.hold)
	if f := c.read(); f.Type != "cursor.read" || string(f.Ref) != "1" {
		t.Errorf("%+v", f)
	}
	c.ends(1012)
	<-drained
}

func TestADeviceIsGivenNoMoreThanWasWrittenToIt(t *testing.T) {
	s := newCursors()
	w := start(t, withCursors(s))
	w.member("alice", "c1")
	c := w.open("alice-s1")
	first := w.say("c1", "one")
	c.collect(first)
	c.write(text(fmt.Sprintf(`{"type":"cursor.delivered","seq":%d}`, first)))
	device := string(ws) + " alice s1"
	w.eventually("it is saved", func() bool { return s.delivered(device) == chat.Cursor{Epoch: epoch, Seq: first} })
	c.write(text(fmt.Sprintf(`{"type":"cursor.delivered","seq":%d}`, chat.MaxSeq)), text(`{"type":"cursor.delivered","seq":1}`))
	if len(c.quiet()) != 0 {
		t.Error("it is answered")
	}
	last := w.say("c1", "two")
	c.collect(last)
	if got := s.delivered(device); got.Seq != first {
		t.Errorf("%v is delivered of what was not there", got)
	}
	w.stopGateway() // what was noted last is saved
	if got := s.delivered(device); got.Seq != first {
		t.Errorf("%v", got)
	}
}

func TestResumingConfirms(t *testing.T) {
	s := newCursors()
	w := start(t, withCursors(s))
	w.member("alice", "c1")
	first := w.say("c1", "one")
	w.say("c1", "two")
	w.resume("alice-s1", at(first))
	w.member("bob", "c1")
	w.open("bob-s2") // of whom nothing is known
	device := string(ws) + " alice s1"
	w.eventually("it is saved", func() bool { return s.delivered(device) == chat.Cursor{Epoch: epoch, Seq: first} })
	s.with(func() {
		if len(s.got) != 1 {
			t.Errorf("%v", s.got)
		}
		clear(s.got)
	})
	w.stopGateway()
	if got := s.delivered(device); got.Seq != first {
		t.Errorf("at the end of the socket %v is saved", got)
	}
}

func TestStaleIsToldOnceAnInterruption(t *testing.T) {
	s := newCursors()
	on(t, withCursors(s), func(t *testing.T, w *world) {
		w.crowd(20, "c1")
		var all []*client
		for i := range 20 {
			all = append(all, w.open(chat.UserID(fmt.Sprint("u", i))))
		}
		w.gw.DeliverStale("w2") // another workspace
		w.gw.DeliverStale("")
		for _, c := range all {
			if f := c.read(); f.Type != "cursor.stale" {
				t.Errorf("%+v", f)
			}
			c.write(text(`{"type":"ping","ref":1}`))
			if f := c.read(); f.Type != "pong" {
				t.Errorf("%+v", f)
			}
		}
		if n := w.gw.Counters().Stale.Load(); n != 20 {
			t.Errorf("%d are told", n)
		}
	})
}

// A mark that a slow socket cannot be told is not forgotten: when the socket takes something again it is told to look.
func TestASlowReaderIsToldThatMarksMoved(t *testing.T) {
	s := newCursors()
	o := withCursors(s)
	o.narrow = true
	w := start(t, o)
	w.member("alice", "c1", "c2")
	c, from := w.stuck("alice")
	w.gw.DeliverRead(ws, "alice", rpc.ReadNotice{ChannelID: "c1", Seq: 1})
	w.eventually("it is lost", func() bool { return w.gw.Counters().Dropped.All()["ephemeral_blocked"] == 1 })
	w.sees(c, "alice", from, w.head())
	if f := c.read(); f.Type != "cursor.stale" {
		t.Errorf("%+v", f)
	}
}
