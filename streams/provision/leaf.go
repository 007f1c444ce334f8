package provision

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
)

// EnsureLeaf brings the streams of a region's own JetStream domain into agreement with streams.LeafFiles, and returns
// what it changed. Several processes may do it at once. What is in memory there goes with the leaf's restart, the
// streams included: whoever uses them calls it again when they are gone. The hub is never touched: its domain is refused.
func EnsureLeaf(ctx context.Context, nc *nats.Conn, region string) ([]Change, error) {
	if region == streams.HubDomain {
		return nil, fmt.Errorf("%w: %q is the hub, not a region", streams.ErrBadDomain, region)
	}
	w, err := Load(streams.LeafFiles(), Options{})
	if err != nil {
		return nil, err
	}
	js, err := jetstream.NewWithDomain(nc, region)
	if err != nil {
		return nil, fmt.Errorf("JetStream of %s: %w", region, err)
	}
	return w.Ensure(ctx, js, nil)
}
