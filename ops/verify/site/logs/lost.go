package logs

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/streams"
)

// lostRepublishes is logs that do not say what they store. Gateways hear of nothing then, as when a leader dies with what it had
// still to say: they must find it by themselves.
func (c Config) lostRepublishes() lever.Lever {
	said := map[string]*jetstream.RePublish{} // by each log before; by its name
	return lever.Lever{
		Fault: "lost-republishes", Tier: "hub", Target: "all logs", Of: 1, Most: 1,
		Begin: func(ctx context.Context) error {
			return c.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				set := info.Config
				if set.RePublish == nil {
					return nil // the try before this one was heard, and its answer was not
				}
				said[set.Name], set.RePublish = set.RePublish, nil
				_, err := js.UpdateStream(ctx, set)
				return err
			})
		},
		End: func(ctx context.Context) error {
			return c.eachLog(ctx, func(js jetstream.JetStream, info *jetstream.StreamInfo) error {
				set := info.Config
				was, taken := said[set.Name]
				if !taken || set.RePublish != nil { // a process that was started meanwhile has mended it
					return nil
				}
				set.RePublish = was
				_, err := js.UpdateStream(ctx, set)
				return err
			})
		},
	}
}

// unheard is what the server, and whoever parks, says of events that ended at a consumer, while it is lost.
type unheard struct {
	Config
	subjects []string // of ADVISORIES when it is whole; nil: it is
	paused   bool     // its consumer may be
}

// lostAdvisories is that nobody is told which events were parked or given up: the stream takes no advisory of the server, its
// consumer is handed nothing, rubbish is written into the logs, and the notes that our processes make of it are taken out unread. Only
// who compares the logs with what consumers have made of them finds those events.
func (c Config) lostAdvisories() lever.Lever {
	u := &unheard{Config: c}
	return lever.Lever{Fault: "lost-advisories", Tier: "hub", Target: streams.StreamAdvisories, Of: 1, Most: 1, Begin: u.begin, End: u.end}
}

// pauseAtMost is when the consumer goes on by itself, should nobody be left to say so.
const pauseAtMost = time.Hour

func (u *unheard) begin(ctx context.Context) error {
	err := u.InHub(func(js jetstream.JetStream) error {
		if err := lever.Again(ctx, func() error { return u.deafen(ctx, js) }); err != nil {
			return err
		}
		u.paused = true
		return lever.Again(ctx, func() error {
			_, err := js.PauseConsumer(ctx, streams.StreamAdvisories, streams.ConsumerDeadletter, time.Now().Add(pauseAtMost))
			return err
		})
	})
	if err != nil {
		return err
	}
	return lever.Again(ctx, func() error { return u.poison(ctx) })
}

// deafen takes the server's advisories from the subjects of ADVISORIES.
func (u *unheard) deafen(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, streams.StreamAdvisories)
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Config
	fewer := slices.DeleteFunc(slices.Clone(c.Subjects), streams.IsAdvisory)
	if len(fewer) == len(c.Subjects) {
		return nil // the try before this one was heard, and its answer was not
	}
	u.subjects, c.Subjects = c.Subjects, fewer
	_, err = js.UpdateStream(ctx, c)
	return err
}

// end has ADVISORIES be whole again. What it was told meanwhile is lost before anybody can read it.
func (u *unheard) end(ctx context.Context) error {
	return u.InHub(func(js jetstream.JetStream) error {
		var errs []error
		if u.paused {
			errs = append(errs, lever.Again(ctx, func() error { return u.forget(ctx, js) }), lever.Again(ctx, func() error {
				_, err := js.ResumeConsumer(ctx, streams.StreamAdvisories, streams.ConsumerDeadletter)
				return err
			}))
		}
		if u.subjects != nil {
			errs = append(errs, lever.Again(ctx, func() error { return u.listen(ctx, js) }))
		}
		err := errors.Join(errs...)
		if err == nil {
			u.subjects, u.paused = nil, false
		}
		return err
	})
}

func (u *unheard) forget(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, streams.StreamAdvisories)
	if err != nil {
		return err
	}
	return stream.Purge(ctx)
}

// listen gives ADVISORIES its subjects back.
func (u *unheard) listen(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, streams.StreamAdvisories)
	if err != nil {
		return err
	}
	c := stream.CachedInfo().Config
	c.Subjects = u.subjects
	_, err = js.UpdateStream(ctx, c)
	return err
}
