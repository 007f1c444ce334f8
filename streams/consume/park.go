package consume

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
)

// noteBudget is how long the hub may take to store the notes of a batch until that counts as an outage.
const noteBudget = 2 * time.Second

// parking is an event that is to be parked, as soon as the note of it is stored.
type parking struct {
	delivered
	reason string
}

// notesParks reports whether what is parked is noted first. The consumer that reads the notes does not note what it cannot read: it
// would read that next.
func (c *Consumer) notesParks() bool {
	return c.cfg.Stream != streams.StreamAdvisories || c.cfg.Consumer != streams.ConsumerDeadletter
}

// park notes what is to be parked, and says so to the server once the note is stored. A hub that does not take the notes is waited for
// like any outage. A process that dies in between has told of events that come again: whoever parks them then says the same.
func (f *flight) park(ctx context.Context) {
	if len(f.parks) == 0 {
		return
	}
	outage := hold{c: f.c}
	for attempt := 0; len(f.parks) > 0; attempt++ {
		var acks []bus.Ack
		var err error
		f.meanwhile(func() { acks, err = f.note(ctx) })
		f.terminate(acks)
		if err == nil {
			break
		}
		outage.set(err)
		if !f.pause(ctx, bus.Backoff(f.c.cfg.HoldFirst, f.c.cfg.HoldCap, attempt)) { // shut down in the outage
			for _, p := range f.parks {
				if !f.say(p.delivered, ackRetry) {
					break
				}
			}
			f.parks = nil
			return
		}
	}
	outage.set(nil)
}

// note stores a note for each park, all in flight at once. An Ack is zero where that failed.
func (f *flight) note(ctx context.Context) ([]bus.Ack, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteBudget) // a batch is brought to its end
	defer cancel()
	stream, consumer := f.c.cfg.Stream, f.c.cfg.Consumer
	subject, err := streams.ParkedSubject(stream, consumer)
	if err != nil {
		return nil, err
	}
	notes := make([]publish.Record, len(f.parks))
	for i, p := range f.parks {
		id, err := streams.DeadMsgID(stream, consumer, p.Seq)
		if err != nil {
			return nil, err
		}
		said := bus.Parked{Stream: stream, Consumer: consumer, Seq: p.Seq, Deliveries: p.NumDelivered, Reason: p.reason, At: time.Now().UTC()}
		body, err := said.Encode()
		if err != nil {
			return nil, err
		}
		notes[i] = publish.Record{Stream: streams.StreamAdvisories, Subject: subject, Header: nats.Header{streams.HeaderMsgID: {id}}, Payload: body}
	}
	return publish.StoreAll(ctx, f.c.conn, notes)
}

// terminate parks what is noted, and leaves the rest.
func (f *flight) terminate(acks []bus.Ack) {
	var lost losses
	left := f.parks[:0]
	for i, p := range f.parks {
		if i >= len(acks) || acks[i].Seq == 0 {
			left = append(left, p)
			continue
		}
		lost.add(p.delivered, f.c.conn.NATS().Publish(p.reply, acknowledgement(p.delivered, bus.Park(p.reason), f.limits)))
	}
	f.parks = left
	lost.log(f.c.log)
}

// meanwhile marks what is held until work has ended.
func (f *flight) meanwhile(work func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		work()
	}()
	for {
		select {
		case <-ended:
			return
		case <-f.tick.C:
			f.mark()
		}
	}
}
