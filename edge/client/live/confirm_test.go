package live_test

import (
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/fault"
)

func confirmations(s *clienttest.Server) (n int) {
	for _, frame := range s.Seen() {
		if strings.Contains(frame, "cursor.delivered") {
			n++
		}
	}
	return n
}

// What is in the queue was not taken: nobody confirms it, however long it lies there.
func TestWhatIsTakenIsConfirmed(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	first := s.Say(clienttest.Bob, clienttest.General, "one")
	last := s.Say(clienttest.Bob, clienttest.General, "two")
	s.Until("both wait", func() bool { return l.conn.Cursor().Seq == last })
	l.expect("bob1: one")
	s.Until("the first is confirmed", func() bool { return s.Confirmed(clienttest.Alice) == first })
	l.expect("bob1: two")
	s.Until("the second is confirmed", func() bool { return s.Confirmed(clienttest.Alice) == last })
	if n := confirmations(s); n != 2 {
		t.Errorf("%d confirmations", n)
	}
}

func TestConfirmationsCanBeLeftOut(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{NoConfirm: true})
	l.expect("online 1.4 false")
	for range 3 {
		s.Say(clienttest.Bob, clienttest.General, "x")
	}
	l.expect("bob1: x", "bob1: x", "bob1: x")
	if _, err := l.conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Until("the ping is there", func() bool { return len(s.Seen()) > 0 })
	if n := confirmations(s); n != 0 {
		t.Errorf("%d confirmations", n)
	}
}

func TestMarksAreTold(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	seq := s.Say(clienttest.Bob, clienttest.General, "hi")
	l.expect("bob1: hi")
	r := l.stored(l.conn.Read(t.Context(), clienttest.General, seq))
	if r.Seq != seq {
		t.Errorf("%+v", r)
	}
	l.expect("read c1 6")
	later := s.Say(clienttest.Bob, clienttest.General, "ho")
	s.MarkRead(clienttest.Alice, clienttest.General, later, false)
	s.Tell(`{"type":"cursor.stale"}`)
	l.expect("bob1: ho", "read c1 8", "stale")
	if r := l.stored(l.conn.Read(t.Context(), clienttest.General, seq)); r.Seq != later {
		t.Errorf("a mark goes back: %+v", r)
	}
	s.Refuse(fault.New(fault.Unavailable, "the store is down"), fault.New(fault.RateLimited, "slow down"))
	if r := l.stored(l.conn.Read(t.Context(), clienttest.General, later)); r.Seq != later {
		t.Errorf("after refusals that pass: %+v", r)
	}
	s.Refuse(fault.New(fault.NotFound, "there is no such channel among yours"))
	p, err := l.conn.Read(t.Context(), clienttest.General, later)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context()); !strings.Contains(err.Error(), "not_found") {
		t.Error(err)
	}
}

// Of the marks of a channel that wait the furthest goes out, and none of them holds a message up.
func TestMarksInTheOutbox(t *testing.T) {
	b := live.NewOutbox(10, 1)
	add := func(frame string) *live.Pending {
		p, err := b.Add(frame, fixed("m1"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := add(`{"type":"cursor.read","channel_id":"c1","seq":5}`)
	if add(`{"type":"cursor.read","channel_id":"c1","seq":9}`) != first || add(`{"type":"cursor.read","channel_id":"c1","seq":7}`) != first {
		t.Error("two marks of a channel wait")
	}
	other := add(`{"type":"cursor.read","channel_id":"c2","seq":1}`)
	add(`{"type":"message.send","client_msg_id":"x"}`)
	next(t, b, noon, `{"channel_id":"c1","ref":"c1","seq":9,"type":"cursor.read"}`)
	next(t, b, noon, `{"ref":"c2","type":"cursor.read","channel_id":"c2","seq":1}`)
	next(t, b, noon, `{"type":"message.send","client_msg_id":"x"}`)
	if add(`{"type":"cursor.read","channel_id":"c1","seq":8}`) == first {
		t.Error("a mark joins one that is on its way")
	}
	if !b.Acked(`"c2"`, live.Receipt{Seq: 4}) || other.State() != live.Stored {
		t.Error("a mark has no answer")
	}
	if _, err := b.Add(`{"type":"cursor.read","channel_id":5}`, fixed("m1")); err == nil {
		t.Error("a mark of nothing is taken")
	}
}
