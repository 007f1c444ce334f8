package provision

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
		stream, err := js.Stream(ctx, name)
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

// CheckNotEmptied finds out whether every stream still ends where it was seen to end, or later. Call it before
// anything is created or published. The error is ErrEmptied, for all streams in one; it says what to do.
func CheckNotEmptied(ctx context.Context, js jetstream.JetStream, seen map[string]uint64) error {
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		if seen[name] == 0 {
			continue // nothing was ever stored in it
		}
		stream, err := js.Stream(ctx, name)
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
		"from a backup that is as new as the stores", ErrEmptied, strings.Join(faults, ", "))
}
