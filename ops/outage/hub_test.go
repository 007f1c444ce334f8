package outage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
)

// hubLog is the log as its operators see it.
type hubLog struct {
	t  *testing.T
	js jetstream.JetStream
}

func lookInto(t *testing.T, run app.Running) *hubLog {
	t.Helper()
	conn, err := nats.Connect(run.Hub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &hubLog{t, js}
}

// consumers are what the persister's consumers say, by shard.
func (l *hubLog) consumers() []*jetstream.ConsumerInfo {
	l.t.Helper()
	var all []*jetstream.ConsumerInfo
	for _, name := range streams.ChatStreams() {
		c, err := l.js.Consumer(l.t.Context(), name, streams.ConsumerPersist)
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, c.CachedInfo())
	}
	return all
}

// lag is how many events the store has not acknowledged.
func (l *hubLog) lag() (n uint64) {
	l.t.Helper()
	for _, c := range l.consumers() {
		n += c.NumPending + uint64(c.NumAckPending)
	}
	return n
}

// drained waits until the store has everything.
func (l *hubLog) drained() {
	l.t.Helper()
	until(l.t, "the store has everything", func() (bool, string) {
		lag := l.lag()
		return lag == 0, fmt.Sprintf("it is %d events behind", lag)
	})
}

// routed waits until the router has let go of the events of a shard up to seq: what it holds when the log forgets it is a dead letter.
func (l *hubLog) routed(shard streams.Shard, seq chat.Seq) {
	l.t.Helper()
	until(l.t, "the router has done the events that the log is to forget", func() (bool, string) {
		c, err := l.js.Consumer(l.t.Context(), streams.ChatStream(shard), streams.ConsumerDeliver)
		if err != nil {
			return false, err.Error()
		}
		done := c.CachedInfo().AckFloor.Stream
		return done >= uint64(seq), fmt.Sprintf("it has done those up to %d of %d", done, seq)
	})
}

// deliveries is how many times an event was handed to the persister, by shard, once no pull is out that could change
// it while the persister holds what it has.
func (l *hubLog) deliveries() []uint64 {
	l.t.Helper()
	var counts []uint64
	until(l.t, "nobody pulls from a shard whose store is away", func() (bool, string) {
		counts = nil
		held, pulled := false, false
		for _, c := range l.consumers() {
			counts = append(counts, c.Delivered.Consumer)
			held = held || c.NumAckPending > 0
			pulled = pulled || c.NumAckPending > 0 && c.NumWaiting > 0
		}
		return held && !pulled, fmt.Sprintf("held %t, pulled %t", held, pulled)
	})
	return counts
}

// checkNothingCameTwice fails when an event was delivered again, now or before, or was given up or parked.
func (l *hubLog) checkNothingCameTwice(when string) {
	l.t.Helper()
	for shard, c := range l.consumers() {
		if c.NumRedelivered != 0 {
			l.t.Errorf("%s: %d events of shard %d were delivered again", when, c.NumRedelivered, shard)
		}
		if c.Delivered.Consumer != c.Delivered.Stream {
			l.t.Errorf("%s: %d deliveries of the %d events of shard %d", when, c.Delivered.Consumer, c.Delivered.Stream, shard)
		}
	}
	s, err := l.js.Stream(l.t.Context(), streams.StreamAdvisories)
	if err != nil {
		l.t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.Msgs != 0 {
		l.t.Errorf("%s: %d advisories of events that were given up or parked", when, state.Msgs)
		if m, err := s.GetMsg(l.t.Context(), state.LastSeq); err == nil {
			l.t.Logf("the last one is %s %s", m.Subject, m.Data)
		}
	}
}

// shard is the one that a workspace's log lies in.
func (l *hubLog) shard(ws chat.WorkspaceID) streams.Shard {
	l.t.Helper()
	for shard, name := range streams.ChatStreams() {
		s, err := l.js.Stream(l.t.Context(), name)
		if err != nil {
			l.t.Fatal(err)
		}
		subject, err := streams.ChatSubject(shard, ws, "")
		if err != nil {
			l.t.Fatal(err)
		}
		switch _, err := s.GetLastMsgForSubject(l.t.Context(), subject); {
		case err == nil:
			return shard
		case !errors.Is(err, jetstream.ErrMsgNotFound):
			l.t.Fatal(err)
		}
	}
	l.t.Fatalf("no log has the workspace %s", ws)
	return 0
}

// forget makes the log forget a shard's events up to and with one, as it does when they are old.
func (l *hubLog) forget(shard streams.Shard, upTo chat.Seq) {
	l.t.Helper()
	s, err := l.js.Stream(l.t.Context(), streams.ChatStream(shard))
	if err != nil {
		l.t.Fatal(err)
	}
	for seq := s.CachedInfo().State.FirstSeq; seq <= uint64(upTo); seq++ {
		if err := s.DeleteMsg(l.t.Context(), seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			l.t.Fatal(err)
		}
	}
}

// change is an event that the Directory made.
type change struct {
	outbox int64
	event.Event
}

// changes are those of a workspace, in the log's order.
func (l *hubLog) changes(ws chat.WorkspaceID) []change {
	l.t.Helper()
	s, err := l.js.Stream(l.t.Context(), streams.ChatStream(l.shard(ws)))
	if err != nil {
		l.t.Fatal(err)
	}
	info, err := s.Info(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	var all []change
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(l.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			l.t.Fatal(err)
		}
		at, err := streams.ParseChat(m.Subject)
		if err != nil {
			l.t.Fatal(err)
		}
		id, err := streams.ParseOutboxMsgID(m.Header.Get(nats.MsgIdHdr))
		if err != nil || at.WorkspaceID != ws {
			continue
		}
		e, err := event.Parse(m.Data)
		if err != nil {
			l.t.Fatal(err)
		}
		all = append(all, change{id, e})
	}
	return all
}

// within is a context for one step of a test.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
