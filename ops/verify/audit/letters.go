package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/streams"
)

// Letters writes down the dead letters of the logs, once there is one of each event that nobody can read; what is missing by the end of
// patience is missing in the record. It needs the logs: call Logs first.
func (a *Audit) Letters(ctx context.Context) {
	if a.js == nil {
		a.Say("the hub is not known: dead letters are left out")
		return
	}
	var all []record.Letter
	err := a.until(ctx, func(ctx context.Context) (err error) {
		if all, err = a.lettersOf(ctx); err != nil {
			return err
		}
		return a.unwritten(all)
	})
	if all == nil && err != nil {
		a.miss("the dead letters: %v", err)
		return
	}
	if err != nil {
		a.Say("in vain: " + err.Error()) // it is the check that says so
	}
	a.end.Letters = true
	for _, l := range all {
		a.Rec.Add(record.Line{Letter: &l})
	}
}

// unwritten says which of the events that nobody can read has no letter.
func (a *Audit) unwritten(all []record.Letter) error {
	type place struct {
		space string
		seq   int64
	}
	written := map[place]bool{}
	for _, l := range all {
		if l.Consumer == streams.ConsumerPersist {
			written[place{l.Space, l.Seq}] = true
		}
	}
	for _, w := range a.Run.Workspaces {
		for _, e := range a.logs[w.ID] {
			if e.Kind == record.Unreadable && !e.Erased && !written[place{w.ID, e.Seq}] {
				return fmt.Errorf("%d of %s is unreadable, and no dead letter", e.Seq, w.Name)
			}
		}
	}
	return nil
}

// lettersOf are the dead letters of the logs of the run's workspaces. It is never nil without an error.
func (a *Audit) lettersOf(ctx context.Context) ([]record.Letter, error) {
	ours := map[string]bool{}
	for _, w := range a.Run.Workspaces {
		ours[w.ID] = true
	}
	dead, err := a.js.Stream(ctx, streams.StreamDLQ)
	if err != nil {
		return nil, err
	}
	all := []record.Letter{}
	for next := uint64(1); ; {
		m, err := dead.GetMsg(ctx, next, jetstream.WithGetMsgSubject(streams.DLQFilter()))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		next = m.Sequence + 1
		place, err := streams.ParseChat(m.Header.Get(streams.HeaderDeadSubject))
		if err != nil || !ours[string(place.WorkspaceID)] {
			continue // it is of no log, or of a log that is not looked at
		}
		seq, err := strconv.ParseInt(m.Header.Get(streams.HeaderDeadSeq), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("letter %d: %w", m.Sequence, err)
		}
		all = append(all, record.Letter{
			Space: string(place.WorkspaceID), Consumer: m.Header.Get(streams.HeaderDeadConsumer), Seq: seq,
			Found: m.Header.Get(streams.HeaderDeadFound), Reason: m.Header.Get(streams.HeaderDeadReason),
		})
	}
}
