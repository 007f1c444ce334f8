package later

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
)

const (
	// OnceLife is how long what Once stored stays.
	OnceLife = 7 * 24 * time.Hour

	onceBudget = 5 * time.Second // of a Once, when the caller's context allows more

	// JetStream's answers when something lies on the subject (nats-server errors.json), alone and replicated.
	codeWrongLast    = 10071
	codeWrongLastToo = 10164
)

// Once stores a message on its subject unless something lies there already, and returns what lies there then: of several who try, in
// whatever processes, all get the same. It stays for OnceLife. The leader decides, so a replica that lags misleads nobody. After
// Unavailable it may be stored, and trying again is safe. A message that waits is Invalid.
func (s *Store) Once(ctx context.Context, m Message) (Entry, error) {
	stream, err := streams.LaterStream(m.Subject)
	if err != nil || m.Target != "" || !m.At.IsZero() {
		return Entry{}, badSubject(m.Subject, streams.ErrBadSubject)
	}
	ctx, cancel := context.WithTimeout(ctx, onceBudget)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := s.storeFirst(ctx, stream, m)
		if err == nil || fault.Is(err, fault.Conflict) {
			// What is there is read in either case: an answer that was lost does not make two of it.
			held, lastErr := s.Last(ctx, stream, m.Subject)
			if lastErr == nil {
				return held, nil
			}
			err = lastErr
		}
		if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.NotFound) { // NotFound: its life ended in between
			return Entry{}, err
		}
		if bus.Pause(ctx, bus.Backoff(lagFirst, lagCap, attempt)) != nil {
			return Entry{}, bus.Unavailable(err)
		}
	}
}

// storeFirst stores a message where none is. Conflict: there is one, which may be an earlier attempt of ours.
func (s *Store) storeFirst(ctx context.Context, stream string, m Message) error {
	_, err := publish.Store(ctx, s.conn, publish.Record{Stream: stream, Subject: m.Subject, Payload: m.Payload, Header: nats.Header{
		streams.HeaderExpectedLast: {"0"},
		streams.HeaderTTL:          {strconv.Itoa(int(OnceLife/time.Second)) + "s"},
	}})
	var refused *bus.APIError
	if errors.As(err, &refused) && (refused.ErrCode == codeWrongLast || refused.ErrCode == codeWrongLastToo) {
		return fault.Wrap(fault.Conflict, err, "It is there already")
	}
	return err
}
