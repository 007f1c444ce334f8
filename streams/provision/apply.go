package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// A RefusedError says that a plan holds changes that would lose something. Nothing was changed.
type RefusedError struct {
	Plan []Change
}

// Error is the difference, in lines.
func (e *RefusedError) Error() string {
	var text strings.Builder
	text.WriteString("the hub's streams differ in a way that is not changed by itself; nothing was changed:\n")
	for _, c := range e.Plan {
		if c.Action == Refuse {
			c.render(&text)
		}
	}
	return strings.TrimRight(text.String(), "\n")
}

// Apply performs a plan of w on the hub it was made for. A plan that holds a Refuse is refused whole, with a
// *RefusedError. It may die, or lose against another process, between any two changes: each is complete in
// itself, and the next plan holds the rest.
func (w *Wanted) Apply(ctx context.Context, js jetstream.JetStream, plan []Change) error {
	for _, c := range plan {
		if c.Action == Refuse {
			return &RefusedError{Plan: plan}
		}
	}
	for _, c := range plan {
		if err := c.apply(ctx, js); err != nil {
			return fmt.Errorf("%s %s: %w", c.Action, c.name(), err)
		}
	}
	return nil
}

// ErrRace says that another process created the same thing with other settings; a new plan shows them.
var ErrRace = errors.New("another process created it meanwhile, with other settings: plan again")

func (c Change) apply(ctx context.Context, js jetstream.JetStream) error {
	switch {
	case c.streamConfig != nil && c.Action == Create:
		_, err := js.CreateStream(ctx, *c.streamConfig) // the same settings again are no error
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return ErrRace
		}
		return err
	case c.streamConfig != nil:
		_, err := js.UpdateStream(ctx, *c.streamConfig)
		return err
	case c.Action == Create:
		_, err := js.CreateConsumer(ctx, c.Stream, *c.consumerConfig)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			return ErrRace
		}
		return err
	default:
		_, err := js.UpdateConsumer(ctx, c.Stream, *c.consumerConfig)
		return err
	}
}

// Ensure is what a process does at its start: it checks that the hub was not emptied since seen was
// noted, plans, and applies. It returns what it changed. Several processes may do it at once. An error that is neither
// ErrEmptied nor a *RefusedError is a passing one, and the caller tries again with the same Wanted: also when a cluster
// looks emptied, which is believed after some tries only.
func (w *Wanted) Ensure(ctx context.Context, js jetstream.JetStream, seen map[string]uint64) ([]Change, error) {
	if err := w.suspicion.judge(CheckNotEmptied(ctx, js, seen), w.clustered()); err != nil {
		return nil, err
	}
	const attempts = 3 // two processes of one version agree after one race; of two versions, after their restarts
	for attempt := 1; ; attempt++ {
		plan, err := w.Plan(ctx, js)
		if err != nil {
			return nil, err
		}
		if err := w.Apply(ctx, js, plan); err == nil {
			return plan, nil
		} else if !errors.Is(err, ErrRace) || attempt == attempts {
			return nil, err
		}
	}
}
