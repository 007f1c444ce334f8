package publish

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// recordsInFlight is how many records of one StoreAll wait for their outcome at once: what the hub syncs to its disks in one go is
// then a batch worth the wait.
const recordsInFlight = 1024

// A Record is a message for any of our streams, stored now and then: an event of a log goes through a Publisher.
type Record struct {
	Stream  string // that must store it
	Subject string
	Header  nats.Header // with the Nats-Msg-Id by which the stream knows a repetition; without one it may be stored twice
	Payload []byte
}

// Store stores a record and waits for its outcome, at most DefaultBudget. It repeats an attempt as a Publisher does, and its
// errors are those of Publisher.Publish.
func Store(ctx context.Context, conn *bus.Conn, r Record) (bus.Ack, error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultBudget)
	defer cancel()
	f := &flight{msg: &nats.Msg{Subject: r.Subject, Header: r.Header, Data: r.Payload}, stream: r.Stream, last: errNoAnswer}
	for {
		f.attempts++
		v := f.ask(ctx, conn)
		if !v.certain {
			f.open++
		}
		switch v.then {
		case stored:
			return v.ack, nil
		case refused:
			if f.open > 0 && !v.always { // an earlier attempt may still be stored
				return bus.Ack{}, f.failure(v.err)
			}
			return bus.Ack{}, v.err
		}
		f.last = v.err
		if bus.Pause(ctx, bus.Backoff(retryFirst, retryCap, f.attempts-1)) != nil {
			return bus.Ack{}, f.failure(f.last)
		}
	}
}

// ask is one attempt of a flight that no Publisher carries.
func (f *flight) ask(ctx context.Context, conn *bus.Conn) verdict {
	ctx, cancel := context.WithTimeout(ctx, DefaultAttempt)
	defer cancel()
	m, err := conn.NATS().RequestMsgWithContext(ctx, f.msg)
	switch {
	case err == nil:
		return judgeAnswer(m, f.stream)
	case errors.Is(err, nats.ErrNoResponders):
		return verdict{then: again, err: err, certain: true}
	case ctx.Err() != nil:
		return verdict{then: again, err: errNoAnswer}
	}
	return judgeWrite(err)
}

// StoreAll stores records, many in flight, and waits until each has its outcome. An Ack whose Seq is 0 is of a record that
// is not stored, or not for certain; err is why, of one of them. When one cannot be stored because the hub does not answer, the rest
// is not waited for.
func StoreAll(ctx context.Context, conn *bus.Conn, records []Record) (acks []bus.Ack, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	acks = make([]bus.Ack, len(records))
	var first sync.Once
	var all sync.WaitGroup
	slots := make(chan struct{}, recordsInFlight)
	for i, r := range records {
		slots <- struct{}{}
		if ctx.Err() != nil {
			first.Do(func() { err = bus.Unavailable(context.Cause(ctx)) })
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			ack, failed := Store(ctx, conn, r)
			if acks[i] = ack; failed != nil {
				first.Do(func() { err = failed })
			}
			if fault.Is(failed, fault.Unavailable) {
				stop()
			}
		})
	}
	all.Wait()
	return acks, err
}
