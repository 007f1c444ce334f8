package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/streams"
)

// offerFull offers logs that take nothing more, as a disk that is full makes them: their limit is lowered to what they hold. The server
// refuses what comes then (DiscardNew), as it does when its own store is full.
func (s *Site) offerFull() {
	room := map[string]int64{} // the limit of each log before; by its name
	s.offer(lever.Lever{
		Fault: "full", Tier: "hub", Target: "all logs", Of: 1, Most: 1,
		Begin: func(ctx context.Context) error {
			return s.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				room[info.Config.Name] = info.Config.MaxBytes
				return limit(ctx, js, info.Config, max(int64(info.State.Bytes), 1))
			})
		},
		End: func(ctx context.Context) error {
			return s.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				was, lowered := room[info.Config.Name]
				if !lowered {
					return nil
				}
				return limit(ctx, js, info.Config, was)
			})
		},
	})
}

// eachLog does something to each log that is there.
func (s *Site) eachLog(ctx context.Context, do func(jetstream.JetStream, *jetstream.StreamInfo) error) error {
	return s.inHub(func(js jetstream.JetStream) error {
		var errs []error
		for _, name := range streams.ChatStreams() {
			errs = append(errs, again(ctx, func() error {
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

// inHub does something with the hub's streams, as an operator; nothing when nobody has said where the hub is.
func (s *Site) inHub(do func(jetstream.JetStream) error) error {
	nc, err := s.Hub()
	if err != nil {
		return fmt.Errorf("the hub: %w", err)
	}
	if nc == nil {
		return nil
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		return err
	}
	return do(js)
}

// limit sets how much a log may hold.
func limit(ctx context.Context, js jetstream.JetStream, c jetstream.StreamConfig, bytes int64) error {
	c.MaxBytes = bytes
	_, err := js.UpdateStream(ctx, c)
	return err
}

// againEvery is between two tries of something that a hub without a leader refuses.
const againEvery = 500 * time.Millisecond

// again tries until it is done, or ctx ends.
func again(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		if wait(ctx, againEvery); ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}
