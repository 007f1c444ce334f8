package logs

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/lever"
)

// full is logs that take nothing more, as a disk that is full makes them: their limit is lowered to what they hold. The server
// refuses what comes then (DiscardNew), as it does when its own store is full.
func (c Config) full() lever.Lever {
	room := map[string]int64{} // the limit that each log had; by its name, until it has it again
	return lever.Lever{
		Fault: "full", Tier: "hub", Target: "all logs", Of: 1, Most: 1,
		Begin: func(ctx context.Context) error {
			return c.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				if _, lowered := room[info.Config.Name]; !lowered { // else a try before this one was heard, and its answer was not
					room[info.Config.Name] = info.Config.MaxBytes
				}
				return limit(ctx, js, info.Config, max(int64(info.State.Bytes), 1))
			})
		},
		End: func(ctx context.Context) error {
			return c.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				was, lowered := room[info.Config.Name]
				if !lowered {
					return nil
				}
				err := limit(ctx, js, info.Config, was)
				if err == nil {
					delete(room, info.Config.Name)
				}
				return err
			})
		},
	}
}

// limit sets how much a log may hold.
func limit(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, bytes int64) error {
	c.MaxBytes = bytes
	_, err := js.UpdateStream(ctx, c)
	return err
}
