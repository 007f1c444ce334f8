package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
)

// ErrEmptied says that a stream is missing, or ends before an event that was seen in it: the hub was
// emptied, replaced or restored from an older copy. Going on would give a seq a second time.
var ErrEmptied = errors.New("this is not the hub that held the data")

// LastSeqs is where the streams of the hub end. A stream that does not exist is not in it. The caller keeps
// it outside the hub, for CheckNotEmptied.
func LastSeqs(ctx context.Context, js jetstream.JetStream) (map[string]uint64, error) {
	ends := map[string]uint64{}
	for _, name := range streams.Streams() {
		stream, err := streamOf(ctx, js, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", name, err)
		}
		ends[name] = stream.CachedInfo().State.LastSeq
	}
	return ends, nil
}

// questionTime is how long one question may take: while a stream has no leader nobody answers, and nobody does later.
const questionTime = 2 * time.Second

// streamOf asks about a stream until ctx ends, again and again while a leader is being elected.
func streamOf(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	for {
		once, cancel := context.WithTimeout(ctx, questionTime)
		stream, err := js.Stream(once, name)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return stream, err
		}
	}
}

// CheckNotEmptied finds out whether every stream still ends where it was seen to end, or later. Call it before
// anything is created or published. The error is ErrEmptied, for all streams in one; it says what to do.
//
// A stream's leader answers, who has everything that was acknowledged, so replicas that lag do not matter. But see suspicion.
func CheckNotEmptied(ctx context.Context, js jetstream.JetStream, seen map[string]uint64) error {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] == 0 {
			continue // nothing was ever stored in it
		}
		stream, err := streamOf(ctx, js, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			faults = append(faults, fmt.Sprintf("stream %s is missing (it ended at %d)", name, seen[name]))
		case err != nil:
			return fmt.Errorf("stream %s: %w", name, err)
		default:
			if end := stream.CachedInfo().State.LastSeq; end < seen[name] {
				faults = append(faults, fmt.Sprintf("stream %s ends at %d (it ended at %d or later)", name, end, seen[name]))
			}
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s. Nothing was changed. Connect to the hub that holds the data, or restore its streams "+
		"from a backup that is as new as the stores. When what it held is lost for good, canopy hub renew begins new logs", ErrEmptied, strings.Join(faults, ", "))
}

// confirmAfter is how long a cluster must look emptied before it is believed: a leader that was cut off ends earlier than the one
// that the others have elected, and does not know of it for 10 to 20 s (nats-server raft.go, lostQuorumInterval). So
// may a cluster that is still gathering what it has.
const confirmAfter = 25 * time.Second

// suspicion remembers since when a cluster looks emptied.
type suspicion struct {
	mu    sync.Mutex
	since time.Time // zero: it does not
}

// judge passes the outcome of a check on. That a cluster was emptied is for the first time only a reason to look again.
func (s *suspicion) judge(err error, clustered bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !errors.Is(err, ErrEmptied):
		if err == nil {
			s.since = time.Time{}
		}
		return err
	case !clustered:
		return err
	case s.since.IsZero():
		s.since = time.Now()
	case time.Since(s.since) >= confirmAfter:
		return err
	}
	return fmt.Errorf("it is looked at again before this is believed: %v", err)
}
