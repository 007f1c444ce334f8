package schedule

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/later"
)

// minAhead is how far ahead a time must be at least: the hub looks at its schedules every second.
const minAhead = time.Second

// Schedule keeps a message or a reminder until its time. The same ClientMsgID again is the same job. Invalid: something of n
// cannot be kept. NotFound: the user does not see the channel. Forbidden: they may not post there, or have chat.MaxScheduled
// waiting (a few more when they ask for many at the same moment). Conflict: the ClientMsgID stands for another job, or for
// one that was due or cancelled already.
func (s *Service) Schedule(ctx context.Context, by chat.UserID, n store.NewScheduled) (job.Scheduled, error) {
	now := s.cfg.Now().UTC()
	n.At = n.At.UTC().Truncate(time.Millisecond)
	if err := check(n, now); err != nil {
		return job.Scheduled{}, err
	}
	ws, err := s.place(ctx, by, n)
	if err != nil {
		return job.Scheduled{}, err
	}
	j := job.Scheduled{
		V: job.Version, Kind: n.Kind, WorkspaceID: ws, UserID: by, ChannelID: n.ChannelID, Seq: n.Seq, Thread: n.Thread,
		ClientMsgID: n.ClientMsgID, Body: n.Body, At: n.At, CreatedAt: now.Truncate(time.Millisecond),
	}
	if err := name(&j); err != nil {
		return job.Scheduled{}, err
	}
	at, err := placesOf(ws, by, j.ID)
	if err != nil {
		return job.Scheduled{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	if n.ClientMsgID != "" {
		if was, found, err := s.asked(ctx, at, j); err != nil || found {
			return was, err
		}
	}
	if err := s.room(ctx, ws, by); err != nil {
		return job.Scheduled{}, err
	}
	payload, err := j.Encode()
	if err != nil {
		return job.Scheduled{}, fmt.Errorf("encode a job: %w", err)
	}
	err = s.cfg.Later.Put(ctx, later.Message{Subject: at.waits, Target: at.due, At: j.At, MsgID: at.waits, Payload: payload})
	if err != nil {
		return job.Scheduled{}, err
	}
	s.tally.add(func(c *Counts) { c.Scheduled++ })
	return j, nil
}

// check says whether a job can be kept at all.
func check(n store.NewScheduled, now time.Time) error {
	switch ahead := n.At.Sub(now); {
	case n.Kind != job.Later && n.Kind != job.Reminder:
		return fault.New(fault.Invalid, "a job is a message or a reminder")
	case ahead < minAhead:
		return fault.New(fault.Invalid, "at lies %s ahead at least", minAhead)
	case ahead > chat.MaxScheduleAhead:
		return fault.New(fault.Invalid, "the time is more than %d days ahead", chat.MaxScheduleAhead/(24*time.Hour))
	}
	if n.ClientMsgID != "" {
		if _, err := chat.ParseClientMsgID(string(n.ClientMsgID)); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	body := n.Body
	if n.Kind == job.Reminder {
		body = strings.TrimSpace(body)
		if body != "" {
			body += strings.Repeat(".", reminderRoom) // what is put around it must fit too
		}
	}
	if err := chat.CheckBody(body, 0); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	switch {
	case n.Thread > chat.MaxSeq || n.Seq > chat.MaxSeq:
		return fault.New(fault.Invalid, "a seq is at most %d", uint64(chat.MaxSeq))
	case n.Kind == job.Later && n.ChannelID == "":
		return fault.New(fault.Invalid, "a message needs a channel_id")
	case n.Kind == job.Reminder && (n.Seq == 0) != (n.ChannelID == ""):
		return fault.New(fault.Invalid, "a reminder about a message needs channel_id and seq")
	case n.Kind == job.Reminder && n.Thread != 0:
		return fault.New(fault.Invalid, "a reminder is in no thread")
	}
	return nil
}

// place says in which workspace a job is, if the user may do now what it will do.
func (s *Service) place(ctx context.Context, by chat.UserID, n store.NewScheduled) (chat.WorkspaceID, error) {
	if n.ChannelID != "" {
		channel, standing, err := s.cfg.Directory.Channel(ctx, by, n.ChannelID)
		if err != nil {
			return "", err
		}
		if n.Kind == job.Later {
			return channel.WorkspaceID, mayPost(standing)
		}
		if channel.WorkspaceID != n.WorkspaceID {
			return "", fault.New(fault.NotFound, "there is no such channel in the workspace")
		}
	}
	// Whoever may not have a channel of their own hears it now, and not when it is due.
	own, _, err := s.cfg.Directory.OpenDirect(ctx, by, n.WorkspaceID, []chat.UserID{by})
	return own.WorkspaceID, err
}

// mayPost says why somebody who sees a channel may not post in it.
func mayPost(standing chat.Standing) error {
	switch {
	case standing.MayPost():
		return nil
	case standing.Archived:
		return fault.New(fault.Forbidden, "the channel is archived")
	}
	return fault.New(fault.Forbidden, "only members of the channel may post in it")
}

// name gives a job its id, and its message the client_msg_id by which the log knows it for ever.
func name(j *job.Scheduled) error {
	if j.ClientMsgID != "" {
		sum := sha256.Sum256([]byte(strings.Join([]string{"schedule", string(j.WorkspaceID), string(j.UserID), string(j.ClientMsgID)}, "\x00")))
		j.ID = chat.IDFromBytes([16]byte(sum[:16]))
		return nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an id: %w", err)
	}
	j.ID, j.ClientMsgID = chat.IDFromBytes(id), chat.ClientMsgID(string(j.Kind)+"-"+chat.IDFromBytes(id))
	return nil
}

// asked finds a job that was asked for before, with the same client_msg_id. What waits is looked at first: whoever cancels
// writes that down before it is gone.
func (s *Service) asked(ctx context.Context, at places, j job.Scheduled) (was job.Scheduled, found bool, err error) {
	was, found, err = s.waits(ctx, at)
	if err != nil {
		return job.Scheduled{}, false, err
	}
	if found {
		same := was.Kind == j.Kind && was.ChannelID == j.ChannelID && was.Thread == j.Thread && was.Seq == j.Seq && was.Body == j.Body && was.At.Equal(j.At)
		if !same {
			return job.Scheduled{}, false, fault.New(fault.Conflict, "the client_msg_id stands for another message or reminder that waits")
		}
		return was, true, nil
	}
	ended, err := s.cfg.Later.List(ctx, streams.StreamSched, at.decided, 1)
	if err == nil && len(ended) > 0 {
		err = fault.New(fault.Conflict, "what was scheduled with this client_msg_id was due or cancelled already")
	}
	return job.Scheduled{}, false, err
}

// waits reads a job that waits.
func (s *Service) waits(ctx context.Context, at places) (j job.Scheduled, found bool, err error) {
	entries, err := s.cfg.Later.List(ctx, streams.StreamSched, at.waits, 1)
	if err != nil || len(entries) == 0 {
		return job.Scheduled{}, false, err
	}
	j, err = job.ParseScheduled(entries[0].Payload)
	return j, err == nil, err
}

// room says whether another job of the user may wait. Two that are asked for at once may both find the last place.
func (s *Service) room(ctx context.Context, ws chat.WorkspaceID, by chat.UserID) error {
	filter, err := streams.SchedFilter(ws, by)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	waiting, err := s.cfg.Later.List(ctx, streams.StreamSched, filter, chat.MaxScheduled)
	if err != nil {
		return err
	}
	if len(waiting) >= chat.MaxScheduled {
		return fault.New(fault.Forbidden, "%d messages and reminders wait already; cancel one, or wait for one", chat.MaxScheduled)
	}
	return nil
}

// List is what waits for a user in a workspace, the next first. NotFound: it is no workspace of theirs.
func (s *Service) List(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]job.Scheduled, error) {
	if _, err := s.cfg.Directory.Workspace(ctx, by, ws); err != nil {
		return nil, err
	}
	filter, err := streams.SchedFilter(ws, by)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	entries, err := s.cfg.Later.List(ctx, streams.StreamSched, filter, 2*chat.MaxScheduled)
	if err != nil {
		return nil, err
	}
	jobs := make([]job.Scheduled, 0, len(entries))
	for _, e := range entries {
		j, err := job.ParseScheduled(e.Payload)
		if err != nil { // an operator finds it as a dead letter at its time
			s.log.Warn("something waits that is no job", "subject", e.Subject, "err", err)
			continue
		}
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b job.Scheduled) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return jobs, nil
}

// Cancel ends a job that waits; nil: it will not be sent. Conflict: it is due already. NotFound: nothing of that id waits: it was
// sent or cancelled, or there never was one.
func (s *Service) Cancel(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id string) error {
	at, err := placesOf(ws, by, id)
	if err != nil {
		return fault.Wrap(fault.NotFound, err, "nothing of that id waits")
	}
	waiting, err := s.cfg.Later.List(ctx, streams.StreamSched, at.waits, 1)
	if err != nil {
		return err
	}
	if len(waiting) == 0 {
		due, err := s.cfg.Later.List(ctx, streams.StreamSched, at.due, 1)
		switch {
		case err != nil:
			return err
		case len(due) > 0:
			return errDue
		}
		return fault.New(fault.NotFound, "nothing of that id waits: it was sent or cancelled, or there never was one")
	}
	what, err := s.decide(ctx, at, cancelled)
	switch {
	case err != nil:
		return err
	case what != cancelled:
		return errDue
	}
	// From here on it is not sent, even if the hub has it on its way to due. What stays when this fails shows in lists
	// until it is cancelled again, or due.
	if _, err := s.cfg.Later.Cancel(ctx, streams.StreamSched, at.waits); err != nil {
		return err
	}
	s.tally.add(func(c *Counts) { c.Cancelled++ })
	return nil
}

var errDue = fault.New(fault.Conflict, "it is due already: it was sent, or will be in a moment")
