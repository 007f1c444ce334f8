package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/later"
)

// A job that is taken away before its ack is done with: the server calls that terminated, and it is no dead letter. One that is parked is
// moved: the letter has it, and the stream no longer.
func TestJobsThatEnd(t *testing.T) {
	w := newTown(t)
	s, _ := w.service()
	jobs := later.New(w.conn)
	for i := range 3 {
		if err := jobs.Put(w.cluster.Context(), later.Message{Subject: "delivery.w1.u1", MsgID: fmt.Sprint("m", i), Payload: fmt.Appendf(nil, "job %d", i+1)}); err != nil {
			t.Fatal(err)
		}
	}
	c := consume.New(w.dial(), consume.Config{Stream: streams.StreamDelivery, Consumer: streams.ConsumerPush}, func(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := make([]bus.Outcome, len(batch))
		for i, d := range batch {
			switch d.Seq {
			case 1:
				if err := jobs.Delete(ctx, streams.StreamDelivery, d.Seq); err != nil {
					return nil, err
				}
			case 2:
				outcomes[i] = bus.Park("undelivered")
			}
		}
		return outcomes, nil
	})
	w.start(c.Run)
	w.eventually("the parked one is a letter, and the deleted one was seen", func() bool { return w.count() == 1 && s.Counts().Deleted == 1 })
	if l := w.letters()[2]; l.Reason != "undelivered" || string(l.Payload) != "job 2" || l.Gone {
		t.Errorf("%+v", l)
	}
	stream, err := w.cluster.HubJS.Stream(w.cluster.Context(), streams.StreamDelivery)
	if err != nil {
		t.Fatal(err)
	}
	w.eventually("the original is taken away, and what was done otherwise stays", func() bool {
		_, parked := stream.GetMsg(w.cluster.Context(), 2)
		_, done := stream.GetMsg(w.cluster.Context(), 3)
		return errors.Is(parked, jetstream.ErrMsgNotFound) && done == nil
	})
	if n := w.count(); n != 1 {
		t.Errorf("%d letters", n)
	}
}
