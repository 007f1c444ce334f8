package persist

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// eraseDeleted takes the texts of deleted messages out of the log. It comes after Apply, so that whoever no longer
// finds a message in the log finds its place in the store. A delete whose texts could not be erased comes again.
func (p *Persister) eraseDeleted(ctx context.Context, a attempt) ([]bus.Outcome, error) {
	if p.bodies == nil {
		return a.outcomes, nil
	}
	for i := range a.events {
		e, outcome := &a.events[i], &a.outcomes[a.places[i]]
		if e.Kind != event.MessageDeleted || !e.Known() || *outcome != bus.Done() {
			continue
		}
		if err := p.erase(ctx, e, a.shard); err != nil {
			p.log.Warn("what a deleted message said is not erased yet", "shard", a.shard, "seq", e.Seq, "err", err)
			*outcome = bus.Retry(0)
		}
	}
	return a.outcomes, nil
}

// erase looks at everything of the delete's channel from its message on, because edits hold texts too. What is
// of another channel, or no text, stays: a delete that somebody put into the log by hand erases nothing else.
func (p *Persister) erase(ctx context.Context, deleted *event.Stored, shard streams.Shard) error {
	channel, err := streams.ChatSubject(shard, deleted.WorkspaceID, deleted.ChannelID)
	if err != nil {
		return err
	}
	q := bus.ReadQuery{Shard: shard, Filter: channel, From: deleted.MessageSeq}
	for q.From < deleted.Seq {
		batch, err := p.bodies.Read(ctx, q)
		if err != nil {
			return fmt.Errorf("read the channel from %d: %w", q.From, err)
		}
		for _, entry := range batch.Entries {
			q.From = entry.Seq + 1
			if entry.Seq < deleted.Seq && saidBy(entry) == deleted.MessageSeq {
				if err := p.bodies.Erase(ctx, shard, entry.Seq); err != nil {
					return fmt.Errorf("erase %d: %w", entry.Seq, err)
				}
			}
		}
		if batch.Pending == 0 || len(batch.Entries) == 0 {
			return nil
		}
	}
	return nil
}

// saidBy is the message whose text an entry holds; 0: it holds none.
func saidBy(entry bus.Entry) chat.Seq {
	e, err := storedOf(entry)
	switch {
	case err != nil || !e.Known():
		return 0
	case e.Kind == event.MessagePosted:
		return e.Seq
	case e.Kind == event.MessageEdited:
		return e.MessageSeq
	}
	return 0
}
