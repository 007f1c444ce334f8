package courier_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/courier"
	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

// log takes what comes when it is let, and writes down what.
type log struct {
	hold chan struct{}
	sent []event.Change
	err  error
}

func (l *log) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	if l.hold != nil {
		select {
		case <-l.hold:
		case <-ctx.Done():
			return event.Receipt{}, ctx.Err()
		}
	}
	l.sent = append(l.sent, c)
	return event.Receipt{Seq: 7}, l.err
}

type directory struct{ tenures []rpc.Tenure }

func (d directory) Session(context.Context, rpc.SessionRequest) (rpc.SessionReply, error) {
	return rpc.SessionReply{Role: chat.RoleMember, Tenures: d.tenures}, nil
}

type tracer struct{ spans []string }

func (t *tracer) Start(_ context.Context, name, parent string) (string, func(error)) {
	return "00-trace", func(err error) { t.spans = append(t.spans, name+" "+parent+" "+string(fault.KindOf(err))) }
}

var in = chat.Standing{Role: chat.RoleMember, InIt: true}

func post(body string) event.Change {
	return event.Change{Kind: event.MessagePosted, ChannelID: "c1", UserID: "alice", Body: body, Standing: in}
}

func TestSubmit(t *testing.T) {
	l, tr, acked := &log{}, &tracer{}, 0
	c := courier.New(courier.Config{MaxSends: 2, MaxBytes: 10_000, Timeout: time.Second}, courier.Neighbours{
		Submitter: l, Tracer: tr, Acked: func(time.Duration) { acked++ }, Directory: directory{[]rpc.Tenure{{ChannelID: "c2", JoinedSeq: 3}, {ChannelID: "c3", JoinedSeq: 3, LeftSeq: 4}}},
	})
	if r, err := c.Submit(t.Context(), fanout.Place{}, post("x")); err != nil || r.Seq != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	joined := post("x")
	joined.ChannelID, joined.Standing = "c2", chat.Standing{} // this gateway has not heard of it
	if _, err := c.Submit(t.Context(), fanout.Place{}, joined); err != nil || !l.sent[1].Standing.InIt {
		t.Errorf("who has just joined: %v", err)
	}
	joined.ChannelID = "c3"
	if _, err := c.Submit(t.Context(), fanout.Place{}, joined); !fault.Is(err, fault.NotFound) {
		t.Errorf("who has left: %v", err)
	}
	if _, err := c.Submit(t.Context(), fanout.Place{}, post(strings.Repeat("x", 10_000))); !fault.Is(err, fault.Unavailable) || fault.Public(err).RetryAfter == 0 {
		t.Errorf("too many bytes: %v", err)
	}
	l.err = fault.New(fault.Forbidden, "no")
	if _, err := c.Submit(t.Context(), fanout.Place{}, post("x")); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
	if len(l.sent) != 3 || l.sent[0].TraceParent != "00-trace" || acked != 2 || c.Bytes() != 0 {
		t.Errorf("%d sent, %d acked, %d bytes", len(l.sent), acked, c.Bytes())
	}
	if got := strings.Join(tr.spans, ","); got != "send message.posted  ,send message.posted  ,send message.posted  not_found,send message.posted  forbidden" {
		t.Errorf("%s", got)
	}
}

// A log that hangs is unavailable when the time is over, also when it says something else.
func TestTheTimeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := courier.New(courier.Config{MaxSends: 1, MaxBytes: 10_000, Timeout: 3 * time.Second}, courier.Neighbours{Submitter: &log{hold: make(chan struct{})}})
		began := time.Now()
		_, err := c.Submit(t.Context(), fanout.Place{}, post("x"))
		if !fault.Is(err, fault.Unavailable) || fault.Public(err).RetryAfter == 0 || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestPlacesAreBounded(t *testing.T) {
	c := courier.New(courier.Config{MaxSends: 20, MaxBytes: 1}, courier.Neighbours{})
	for i := range 20 {
		if c.Crowded() != (i > 18) || !c.Book() {
			t.Errorf("crowded %t with %d", c.Crowded(), i)
		}
	}
	if c.Book() || c.Booked() != 20 {
		t.Errorf("%d places", c.Booked())
	}
	c.Free()
	if !c.Book() {
		t.Error("a place that was given back is not taken")
	}
}
