package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An Extent is what a stream has given out.
type Extent struct {
	Missing bool   // there is no such stream
	Origin  uint64 // the first seq that it was made to give; 0: it says none, which is 1
	First   uint64 // the first that it holds; Last+1: it holds none
	Last    uint64 // the last that it gave; before it gave any, that before Origin
}

// ExtentOf asks a stream's leader.
func ExtentOf(ctx context.Context, js jetstream.JetStream, stream string) (Extent, error) {
	s, err := streamOf(ctx, js, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Extent{Missing: true}, nil
	}
	if err != nil {
		return Extent{}, fmt.Errorf("stream %s: %w", stream, err)
	}
	info := s.CachedInfo()
	return Extent{Origin: info.Config.FirstSeq, First: info.State.FirstSeq, Last: info.State.LastSeq}, nil
}

// confirmPause is between two looks at a cluster that looks emptied.
const confirmPause = time.Second

// Confirm waits until it is certain whether any stream ends before what was seen of it: on one server at once, on a cluster
// when it has looked so for long enough (see confirmAfter). The error is ErrEmptied when one does; nil: none does.
func (w *Wanted) Confirm(ctx context.Context, js jetstream.JetStream, seen map[string]uint64) error {
	for {
		found := CheckNotEmptied(ctx, js, seen)
		err := w.suspicion.judge(found, w.clustered())
		if err == nil || errors.Is(err, ErrEmptied) || !errors.Is(found, ErrEmptied) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(confirmPause):
		}
	}
}

// Renew makes a stream anew, with its consumers, which begin at its first event: it is empty, and gives first to what is
// published next. What the stream of that name held is gone for good. It may be interrupted anywhere, and repeated.
func (w *Wanted) Renew(ctx context.Context, js jetstream.JetStream, stream string, first uint64) error {
	i := slices.IndexFunc(w.streams, func(s jetstream.StreamConfig) bool { return s.Name == stream })
	if i < 0 {
		return fmt.Errorf("%w: there is no %s.json", ErrBadFile, stream)
	}
	config := w.streams[i]
	config.FirstSeq = first
	err := patiently(ctx, "delete stream "+stream, func(ctx context.Context) error {
		if err := js.DeleteStream(ctx, stream); !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = patiently(ctx, "create stream "+stream, func(ctx context.Context) error {
		_, err := js.CreateStream(ctx, config) // the same settings again are no error
		return err
	})
	for _, c := range w.consumers {
		if err == nil && c.stream == stream {
			err = patiently(ctx, "create consumer "+c.config.Durable+" of "+stream, func(ctx context.Context) error {
				_, err := js.CreateConsumer(ctx, stream, c.config)
				return err
			})
		}
	}
	return err
}

const (
	patience    = 30 * time.Second // with a cluster that elects, or is still giving back the room of what was deleted
	patienceOne = 10 * time.Second // with one question
)

// patiently does something until it succeeds, or patience or ctx ends.
func patiently(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		once, end := context.WithTimeout(ctx, patienceOne)
		err := do(once)
		end()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		case <-time.After(confirmPause):
		}
	}
}
