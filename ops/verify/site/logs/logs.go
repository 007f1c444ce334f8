// Package logs is what can be the matter with the hub's streams while its nodes are well: their settings are changed, as operators can, and
// what nobody of ours writes is in them.
//
// A process of the product that is started meanwhile sets them as they should be; such a fault is then over before its End. The package knows
// the names of streams and their settings; not how the hub runs, nor who is there.
package logs

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/streams"
)

// Config is the hub, and whose logs are in it.
type Config struct {
	InHub  func(do func(jetstream.JetStream) error) error // does something there, as an operator
	Spaces func() []record.Workspace                      // into whose logs rubbish may be written
}

// Levers are what can be done to the logs. They are bounded by the contexts that they are given.
func Levers(c Config) []lever.Lever {
	return []lever.Lever{
		c.full(), c.lostRepublishes(), c.lostAdvisories(),
		{Fault: "poison", Tier: "hub", Target: "all", Of: 1, Most: 1, Begin: c.poison, End: func(context.Context) error { return nil }},
	}
}

// eachLog does something to each log that is there.
func (c Config) eachLog(ctx context.Context, do func(jetstream.JetStream, *jetstream.StreamInfo) error) error {
	return c.InHub(func(js jetstream.JetStream) error {
		var errs []error
		for _, name := range streams.ChatStreams() {
			errs = append(errs, lever.Again(ctx, func() error {
				stream, err := js.Stream(ctx, name)
				if err != nil {
					return err
				}
				return do(js, stream.CachedInfo())
			}))
		}
		return errors.Join(errs...)
	})
}
