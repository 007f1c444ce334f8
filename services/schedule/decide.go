package schedule

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/later"
)

// A decision ends a job's waiting. It is written once; whoever comes later finds it and abides by it.
type decision string

const (
	due       decision = "due"
	cancelled decision = "cancelled"
)

// places are the subjects of a job.
type places struct {
	waits   string // as a schedule
	due     string // from its time on, until it is done
	decided string // which of the two ways it went
}

func placesOf(ws chat.WorkspaceID, user chat.UserID, id string) (p places, err error) {
	if p.waits, err = streams.SchedSubject(ws, user, id); err != nil {
		return places{}, err
	}
	if p.due, err = streams.DueSubject(ws, user, id); err != nil {
		return places{}, err
	}
	p.decided, err = streams.SchedDecidedSubject(ws, user, id)
	return p, err
}

// decide writes down how a job's waiting ends, unless somebody did, and returns what stands there then. The hub fires a schedule in
// two steps, and one that is purged between them still becomes due; so what was purged decides nothing, and this does.
func (s *Service) decide(ctx context.Context, at places, wish decision) (decision, error) {
	held, err := s.cfg.Later.Once(ctx, later.Message{Subject: at.decided, Payload: []byte(wish)})
	if err != nil {
		return "", err
	}
	switch is := decision(held.Payload); is {
	case due, cancelled:
		return is, nil
	}
	return "", fmt.Errorf("%s says %.40q", at.decided, held.Payload)
}
