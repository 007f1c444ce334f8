package schedule

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

const (
	maxBatch = 16 // jobs that are sent one after the other
	batches  = 4  // at once: many are due at the full hour

	// reminderRoom is more bytes than are put around the text of a reminder.
	reminderRoom = 512
)

// Run sends what is due until ctx ends, and returns when all that it started has ended.
func (s *Service) Run(ctx context.Context) error {
	if s.cfg.Conn == nil {
		return errors.New("a schedule that runs needs a connection")
	}
	c := consume.New(s.cfg.Conn, consume.Config{
		Stream: streams.StreamSched, Consumer: streams.ConsumerDue, MaxBatch: maxBatch, Batches: batches, HoldCap: s.cfg.HoldCap,
	}, s.handle)
	return c.Run(ctx)
}

// handle sends jobs. An outage is not the fault of a job: then all of them wait, and those that were sent already are known
// to the log when they come again.
func (s *Service) handle(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
	outcomes := make([]bus.Outcome, len(batch))
	for i, d := range batch {
		err := s.deal(ctx, d)
		switch {
		case err == nil:
			outcomes[i] = bus.Done()
		case fault.Is(err, fault.Unavailable):
			s.tally.add(func(c *Counts) { c.Held++ })
			return nil, err
		case fault.KindOf(err).Outcome() == fault.Park, errors.Is(err, job.ErrMalformed):
			s.tally.add(func(c *Counts) { c.Parked++ })
			outcomes[i] = bus.Park(reasonOf(err))
		default:
			s.tally.add(func(c *Counts) { c.Retried++ })
			outcomes[i] = bus.RetryBecause(0, reasonOf(err))
		}
	}
	return outcomes, nil
}

// deal sends what is due, or drops what was cancelled. After that nothing of it is left in the stream but the decision, for its
// time. A process that dies on the way leaves it to the next: the decision stands, and the log knows what it has.
func (s *Service) deal(ctx context.Context, d bus.Delivery) error {
	j, at, err := parse(d.Subject, d.Payload)
	if err != nil {
		return err
	}
	what, err := s.decide(ctx, at, due)
	if err != nil {
		return err
	}
	if what == cancelled {
		s.tally.add(func(c *Counts) { c.Dropped++ })
	} else if _, err := s.send(ctx, j); err != nil {
		return err
	}
	_, err = s.cfg.Later.Cancel(ctx, streams.StreamSched, at.due)
	return err
}

// parse reads a job as it lies on a subject that is due.
func parse(subject string, payload []byte) (job.Scheduled, places, error) {
	ws, user, id, isDue, err := streams.ParseSched(subject)
	if err != nil || !isDue {
		return job.Scheduled{}, places{}, fault.New(fault.Invalid, "its subject is not that of a job which is due: it was published by hand")
	}
	j, err := job.ParseScheduled(payload)
	if err != nil {
		return job.Scheduled{}, places{}, err
	}
	if j.WorkspaceID != ws || j.UserID != user || j.ID != id {
		return job.Scheduled{}, places{}, fault.New(fault.Invalid, "the job is not that of its subject")
	}
	at, err := placesOf(ws, user, id)
	return j, at, err
}

// send brings a job into the log, under the rules of this moment.
func (s *Service) send(ctx context.Context, j job.Scheduled) (event.Receipt, error) {
	change, err := s.changeOf(ctx, j)
	if err != nil {
		return event.Receipt{}, err
	}
	r, err := s.cfg.Log.Submit(ctx, change)
	if j.Kind == job.Reminder && fault.Is(err, fault.Conflict) {
		// It was sent before, when the channel that it names had another name.
		r, err = event.Receipt{Duplicate: true}, nil
	}
	if err != nil {
		return event.Receipt{}, err
	}
	s.tally.add(func(c *Counts) {
		c.Sent++
		if r.Duplicate {
			c.Repeated++
		}
	})
	return r, nil
}

// changeOf is what a job asks of the log. The errors say to operators why it may not be.
func (s *Service) changeOf(ctx context.Context, j job.Scheduled) (event.Change, error) {
	user, err := s.cfg.Directory.User(ctx, j.UserID)
	if err != nil {
		return event.Change{}, err
	}
	if user.Deactivated {
		return event.Change{}, fault.New(fault.Forbidden, "the account is closed")
	}
	in, err := s.cfg.Directory.Workspace(ctx, j.UserID, j.WorkspaceID)
	if err != nil {
		return event.Change{}, err
	}
	channel, body := j.ChannelID, j.Body
	if j.Kind == job.Reminder {
		own, _, err := s.cfg.Directory.OpenDirect(ctx, j.UserID, j.WorkspaceID, []chat.UserID{j.UserID})
		if err != nil {
			return event.Change{}, err
		}
		channel = own.ID
		if body, err = s.reminder(ctx, j, in.Workspace.Epoch); err != nil {
			return event.Change{}, err
		}
	}
	at, standing, err := s.cfg.Directory.Channel(ctx, j.UserID, channel)
	if err != nil {
		return event.Change{}, err
	}
	if at.WorkspaceID != j.WorkspaceID {
		return event.Change{}, fault.New(fault.Invalid, "the channel is not one of the job's workspace")
	}
	if err := mayPost(standing); err != nil {
		return event.Change{}, err
	}
	return event.Change{
		Kind: event.MessagePosted, Workspace: j.WorkspaceID, Shard: in.Workspace.Shard, Epoch: in.Workspace.Epoch,
		ChannelID: channel, UserID: j.UserID, Standing: standing,
		ClientMsgID: j.ClientMsgID, Retry: true, Thread: j.Thread, Body: body,
	}, nil
}

// reminder is the text of a reminder: what was noted, and where the message is that it is about.
func (s *Service) reminder(ctx context.Context, j job.Scheduled, epoch chat.Epoch) (string, error) {
	text := "Reminder: " + strings.TrimSpace(j.Body)
	if j.Seq == 0 {
		return text, nil
	}
	where := fmt.Sprintf("channel %s", j.ChannelID)
	about, _, err := s.cfg.Directory.Channel(ctx, j.UserID, j.ChannelID)
	switch {
	case fault.Is(err, fault.NotFound): // they see it no more, and need not learn its name
	case err != nil:
		return "", err
	case about.Type.Direct():
		where = fmt.Sprintf("a direct message (channel %s)", j.ChannelID)
	default:
		where = fmt.Sprintf("#%s (channel %s)", about.Name, j.ChannelID)
	}
	return fmt.Sprintf("%s\nAbout message %s in %s", text, chat.Cursor{Epoch: epoch, Seq: j.Seq}, where), nil
}

// reasonOf is an error in the words of an operator.
func reasonOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	return err.Error()
}
