package history

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Current is a message as it is now, also while the persister is behind: every change that was acknowledged before is in it. The error is
// NotFound when there is none, or when the log is too far ahead of the store to tell yet; Unavailable when one of the two does not answer.
func (r *Reader) Current(ctx context.Context, place store.ChannelPlace, seq chat.Seq) (chat.Message, error) {
	subject, err := subjectOf(place)
	if err != nil {
		return chat.Message{}, err
	}
	var p chat.Seq
	var had []chat.Message
	err = r.patience.ask(ctx, func(ctx context.Context) (err error) { // in the order of a page: see the package
		if p, err = r.store.Progress(ctx, place.Shard); err != nil {
			return err
		}
		m, err := r.store.Message(ctx, place.ChannelID, seq)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		had = []chat.Message{m}
		return err
	})
	if err != nil {
		return chat.Message{}, fmt.Errorf("message %d: %w", seq, unanswered(ctx, err))
	}
	end := r.tailAfter(ctx, place, subject, p)
	switch {
	case end.cut:
		return chat.Message{}, fault.New(fault.Unavailable, "The message log does not answer; try again").After(retryAfter)
	case !end.reached():
		return chat.Message{}, fault.New(fault.NotFound, "The store is behind, by more than can be read")
	}
	for _, m := range store.Overlay(had, end.events) {
		if m.Seq == seq {
			return m, nil
		}
	}
	return chat.Message{}, fault.New(fault.NotFound, "There is no such message")
}
