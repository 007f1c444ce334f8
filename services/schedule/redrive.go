package schedule

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// Redrive sends a job that was parked, now and under the rules of now; place says where its message is. One that was sent after
// all is found by its client_msg_id, so it is sent once however often this is called. With dry nothing is done, and place says what
// would be. The error says to people why it cannot be: what changeOf says, Conflict for a job that was cancelled, Invalid
// for what is no job, Unavailable when the log does not answer.
func (s *Service) Redrive(ctx context.Context, l dlq.Letter, dry bool) (place string, err error) {
	if l.Gone {
		return "", fault.New(fault.NotFound, "the job is gone from its stream")
	}
	j, at, err := parse(l.Subject, l.Payload)
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			err = fault.Wrap(fault.Invalid, err, "%v", err)
		}
		return "", err
	}
	if dry {
		change, err := s.changeOf(ctx, j)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("would be sent to channel %s as user %s", change.ChannelID, j.UserID), nil
	}
	what, err := s.decide(ctx, at, due)
	switch {
	case err != nil:
		return "", err
	case what == cancelled:
		return "", fault.New(fault.Conflict, "its user cancelled it")
	}
	r, err := s.send(ctx, j)
	if err != nil {
		return "", err
	}
	if _, err := s.cfg.Later.Cancel(ctx, streams.StreamSched, at.due); err != nil {
		return "", err
	}
	if r.Duplicate {
		return fmt.Sprintf("it was sent already, at seq %d", r.Seq), nil
	}
	return fmt.Sprintf("sent, at seq %d", r.Seq), nil
}

// Missing says which jobs that the consumer due is past came to no end: one that was sent, dropped or moved to the dead letters is taken out of the
// stream before it is acknowledged, so what still lies there was given up, and nobody was told. The leader is asked: a replica may be behind.
func (s *Service) Missing(ctx context.Context, entries []bus.Entry) (missing []bus.Entry, err error) {
	for _, e := range entries {
		if !streams.IsDue(e.Subject) {
			continue // it waits, or says what was decided
		}
		_, err := s.cfg.Later.Last(ctx, streams.StreamSched, e.Subject)
		switch {
		case err == nil, fault.Is(err, fault.Invalid): // published by hand, where no job lies
			missing = append(missing, e)
		case !fault.Is(err, fault.NotFound):
			return nil, err
		}
	}
	return missing, nil
}
