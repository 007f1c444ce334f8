package persist

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// Redrive brings a dead letter of the consumer persist into the store, at its own seq: it keeps its place in its channel's order,
// whatever came after it, and what a delete took back meanwhile stays away, because the store orders by the log and not by time. Doing
// it again changes nothing. With dry it only says whether it can be tried. place says where the event is then.
//
// The error is Unavailable when it is worth trying again, and else says to people why it cannot be: Invalid for what is no event,
// NotFound when the event is gone.
func (p *Persister) Redrive(ctx context.Context, l dlq.Letter, dry bool) (place string, err error) {
	if l.Gone {
		return "", fault.New(fault.NotFound, "The event is gone: %s", l.GoneBecause)
	}
	shard, err := streams.ParseChatStream(l.Stream)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "It is not of a log: %.40q", l.Stream)
	}
	e, err := storedOf(l.Entry())
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "It can never be stored: %s", bus.PrintableReason(err.Error()))
	}
	place = placeOf(&e)
	if dry {
		return place, nil
	}
	if err := p.store.Apply(ctx, []event.Stored{e}); err != nil {
		if outage(ctx, err) {
			return "", hold(fmt.Errorf("apply event %d: %w", e.Seq, err))
		}
		return "", fault.Wrap(fault.KindOf(err), err, "The store refuses it: %s", fault.Public(err).Message)
	}
	if e.Kind == event.MessageDeleted && e.Known() {
		if err := p.erase(ctx, &e, shard); err != nil {
			return "", hold(fmt.Errorf("what message %d said: %w", e.MessageSeq, err))
		}
	}
	p.log.Info("a dead letter is stored", "stream", l.Stream, "seq", e.Seq, "kind", e.Kind)
	return place, nil
}

// placeOf says where an event is in the store.
func placeOf(e *event.Stored) string {
	if e.ChannelID == "" {
		return fmt.Sprintf("stored at its place: seq %d of workspace %s", e.Seq, e.WorkspaceID)
	}
	return fmt.Sprintf("stored at its place: seq %d of channel %s", e.Seq, e.ChannelID)
}
