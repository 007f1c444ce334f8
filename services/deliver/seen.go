package deliver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/attempt"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
)

// Of what is written down after an attempt is tried again with pauses between these.
const (
	writeFirst = 100 * time.Millisecond
	writeCap   = 5 * time.Second
)

// seen reads what Second needs.
func (w *Worker) seen(ctx context.Context, items []*item) ([]due.Seen, error) {
	seen := make([]due.Seen, len(items))
	if err := w.readMessages(ctx, items, seen); err != nil {
		return nil, err
	}
	for channel, places := range grouped(items, func(i *item) chat.ChannelID { return i.ChannelID }) {
		for some := range slices.Chunk(places, chat.MaxPageSize) {
			users := usersAt(items, some)
			// Who is in it now. Somebody who is leaving right now still is: what reaches them was sent before.
			members, _, err := w.cfg.Members.MembersAt(ctx, store.MembersQuery{ChannelID: channel, Seq: chat.MaxSeq, Limit: len(users), Among: users})
			if err != nil {
				return nil, fmt.Errorf("members of %s: %w", channel, err)
			}
			for _, n := range some {
				seen[n].Member = slices.Contains(members, items[n].UserID)
			}
		}
	}
	for ws, places := range grouped(items, func(i *item) chat.WorkspaceID { return i.WorkspaceID }) {
		wishes, err := w.cfg.Preferences.PreferencesOf(ctx, ws, usersAt(items, places))
		if err != nil {
			return nil, fmt.Errorf("preferences: %w", err)
		}
		for _, n := range places {
			seen[n].Preferences = wishes[items[n].UserID]
		}
	}
	return seen, nil
}

// readMessages reads what the items are about, some messages at once: each of them belongs to one goroutine, with the items that are about it.
func (w *Worker) readMessages(ctx context.Context, items []*item, seen []due.Seen) error {
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(readsAside)
	for message, places := range grouped(items, messageOf) {
		reading.Go(func() error {
			m, err := w.cfg.Messages.Current(ctx, message.in, message.seq)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return fmt.Errorf("message %d: %w", message.seq, err)
			}
			for _, n := range places {
				items[n].message = m
				seen[n].Stored, seen[n].Deleted = err == nil, m.Deleted
			}
			return nil
		})
	}
	return reading.Wait()
}

// place names a message.
type place struct {
	in  store.ChannelPlace
	seq chat.Seq
}

func messageOf(i *item) place {
	return place{store.ChannelPlace{WorkspaceID: i.WorkspaceID, Shard: i.Shard, ChannelID: i.ChannelID}, i.Seq}
}

// try makes an attempt for each item whose verdict is Try, and decides what becomes of it.
func (w *Worker) try(ctx context.Context, items []*item) {
	trying := slices.DeleteFunc(slices.Clone(items), func(i *item) bool { return i.decision.Verdict != due.Try })
	jobs := make([]attempt.Job, len(trying))
	for n, i := range trying {
		jobs[n] = attempt.Job{Delivery: i.Delivery, Message: i.message}
	}
	tried := w.attempts.Try(ctx, jobs)
	now := w.cfg.Now()
	for n, i := range trying {
		i.decision = w.cfg.Policy.After(i.Delivery, tried[n], now, w.cfg.Chance())
	}
}

// patiently does f again until it succeeds, can never succeed, or ctx ends. n is how much there is to do.
func (w *Worker) patiently(ctx context.Context, what string, n int, f func(context.Context) error) error {
	if n == 0 {
		return nil
	}
	for attempt := 0; ; attempt++ {
		err := f(ctx)
		if err == nil || (fault.KindOf(err).Outcome() == fault.Park && ctx.Err() == nil) {
			return err
		}
		w.cfg.Logger.Warn("the worker waits", "for", what, "jobs", n, "err", err)
		if stopped := bus.Pause(ctx, bus.Backoff(writeFirst, writeCap, attempt)); stopped != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(err, stopped))
		}
	}
}
