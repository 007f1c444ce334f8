package deliver

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// Redrive routes the event of a dead letter of the consumer deliver once more: who has a state already is passed over, so that
// doing it twice is harmless. With dry it only says what would be done. Invalid: nothing can be done with it.
func (r *Router) Redrive(ctx context.Context, l dlq.Letter, dry bool) (place string, err error) {
	entry := l.Entry()
	if _, ok := postedIn(entry); !ok {
		return "", fault.New(fault.Invalid, "It is no message that this version understands, so nobody is owed it.")
	}
	t, err := r.route(ctx, entry, dry)
	switch {
	case err != nil:
		return "", fmt.Errorf("route event %d: %w", entry.Seq, err)
	case dry:
		return fmt.Sprintf("it would be routed again, and owed to %d more", t.owed), nil
	}
	return fmt.Sprintf("routed again: owed to %d more", t.owed), nil
}

// Missing says which events of a log, that the consumer deliver is past, somebody is still owed without a job: the router gave them up,
// and nobody was told. It goes by what is owed for lasting reasons only: who was active, and who watched what word, may have changed
// since. Somebody who unmuted the channel since counts as owed, so an event without any other trace may be found for nothing.
func (r *Router) Missing(ctx context.Context, entries []bus.Entry) (missing []bus.Entry, err error) {
	for _, entry := range entries {
		t, err := r.route(ctx, entry, true)
		if err != nil {
			return nil, fmt.Errorf("route event %d: %w", entry.Seq, err)
		}
		if t.lasting > 0 {
			missing = append(missing, entry)
		}
	}
	return missing, nil
}

// Redrive makes the job of a dead letter of the consumer push due, in a new round: with no attempts, and an age that counts from now.
// The job is stored before the state, as the Router does; a letter that is redriven twice finds the state of the new round, or
// stores the job under the same id. With dry it only says what would be done. Invalid: nothing can be done with it.
func (w *Worker) Redrive(ctx context.Context, l dlq.Letter, dry bool) (place string, err error) {
	j, err := jobOf(l.Entry())
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "It is no job that this version understands: %s.", err)
	}
	state, err := w.stateOf(ctx, j)
	switch {
	case err != nil:
		return "", err
	case state != nil && (state.Status == chat.DeliveryDelivered || state.Status == chat.DeliveryRead):
		return fmt.Sprintf("delivered meanwhile, by %s", state.Reason), nil
	case state != nil && state.Round > j.Round:
		return fmt.Sprintf("due again already, in round %d", state.Round), nil
	case dry:
		return fmt.Sprintf("it would be due again, in round %d", j.Round+1), nil
	}
	now := w.cfg.Now()
	j.Round, j.Tried, j.Attempts, j.RoutedAt = j.Round+1, 0, nil, now
	m, err := dueNow(j)
	if err != nil {
		return "", err
	}
	if err := w.cfg.Jobs.Put(ctx, m); err != nil {
		return "", fmt.Errorf("store the job: %w", err)
	}
	if err := w.cfg.States.SetDeliveries(ctx, []chat.Delivery{due.StateOf(j, now)}); err != nil {
		return "", fmt.Errorf("write the state: %w", err)
	}
	return fmt.Sprintf("due again, in round %d", j.Round), nil
}

func (w *Worker) stateOf(ctx context.Context, j job.Delivery) (*chat.Delivery, error) {
	states, err := w.cfg.States.DeliveriesFor(ctx, store.MessageKey{WorkspaceID: j.WorkspaceID, Seq: j.Seq}, []chat.UserID{j.UserID})
	if err != nil {
		return nil, fmt.Errorf("state of message %d: %w", j.Seq, err)
	}
	if len(states) == 0 {
		return nil, nil
	}
	return &states[0], nil
}

// Missing says which jobs, that the consumer push is past, have come to no end and have no follower: the worker gave them up, or parked
// them and nobody was told. A job that ended is mostly not in the stream any more; one that is goes by its state.
func (w *Worker) Missing(ctx context.Context, entries []bus.Entry) (missing []bus.Entry, err error) {
	for _, entry := range entries {
		if _, _, seq, err := streams.ParseDelivery(entry.Subject); err == nil && seq != 0 {
			continue // the consumer is never given it
		}
		j, err := jobOf(entry)
		if err != nil {
			missing = append(missing, entry)
			continue
		}
		state, err := w.stateOf(ctx, j)
		if err != nil {
			return nil, err
		}
		if d := w.cfg.Policy.First(j, due.Known{State: state}, j.RoutedAt); d.Verdict != due.Drop {
			missing = append(missing, entry)
		}
	}
	return missing, nil
}
