package persist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// errUnderWay says that an event which is to be erased may not be in the store yet.
var errUnderWay = errors.New("another batch still holds what is to be erased")

// errBehind says that a replica of the log which answered does not have all of it.
var errBehind = errors.New("a replica of the log is behind its leader")

// eraseAgain is when a delete whose texts could not be erased is tried again, for the first time.
const eraseAgain = 250 * time.Millisecond

// eraseDeleted takes the texts of deleted messages out of the log. It comes after Apply, so that whoever no longer
// finds a message in the log finds its place in the store. A delete whose texts could not be erased is kept and tried
// again, however long that takes: it is not acknowledged before, so that no death of a process forgets a text, and no
// delivery is spent, so that it never ends up as dead.
//
// Deletes wait for what comes before them, and nothing waits for a delete but later deletes. So they come through one
// after the other, also when each of them keeps the floor of the consumer below the next one's texts.
func (p *Persister) eraseDeleted(ctx context.Context, a attempt) {
	for i := range a.events {
		e, outcome := &a.events[i], &a.outcomes[a.places[i]]
		if e.Kind != event.MessageDeleted || !e.Known() || *outcome != bus.Done() {
			continue
		}
		err := p.erase(ctx, e, a.shard)
		if err == nil {
			continue
		}
		if !errors.Is(err, errUnderWay) {
			p.log.Warn("what a deleted message said is not erased yet", "shard", a.shard, "seq", e.Seq, "err", err)
		}
		*outcome = bus.Keep(eraseAgain)
	}
}

// erase takes what a deleted message said out of the log, once all of it is acknowledged: before that the server
// may have to deliver it again to whoever brings it into the store, and would call it dead when it is not there.
func (p *Persister) erase(ctx context.Context, deleted *event.Stored, shard streams.Shard) error {
	texts, err := p.textsOf(ctx, deleted, shard)
	if err != nil || len(texts) == 0 {
		return err
	}
	floor, err := p.source.Floor(ctx, shard)
	if err != nil {
		return fmt.Errorf("floor of the consumer: %w", err)
	}
	if floor < texts[len(texts)-1] {
		return errUnderWay
	}
	for _, seq := range texts {
		if err := p.bodies.Erase(ctx, shard, seq); err != nil {
			return fmt.Errorf("erase %d: %w", seq, err)
		}
	}
	return nil
}

// textsOf looks at everything of the delete's channel from its message on, because edits hold texts too. What is
// of another channel, or no text, is left out: a delete that somebody put into the log by hand erases nothing else.
func (p *Persister) textsOf(ctx context.Context, deleted *event.Stored, shard streams.Shard) (texts []chat.Seq, err error) {
	channel, err := streams.ChatSubject(shard, deleted.WorkspaceID, deleted.ChannelID)
	if err != nil {
		return nil, err
	}
	q := bus.ReadQuery{Shard: shard, Filter: channel, From: deleted.MessageSeq}
	for q.From < deleted.Seq {
		batch, err := p.bodies.Read(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("read the channel from %d: %w", q.From, err)
		}
		for _, entry := range batch.Entries {
			q.From = entry.Seq + 1
			if entry.Seq < deleted.Seq && saidBy(entry) == deleted.MessageSeq {
				texts = append(texts, entry.Seq)
			}
		}
		if batch.Pending == 0 || len(batch.Entries) == 0 {
			return texts, p.shownAll(ctx, q, deleted.Seq)
		}
	}
	return texts, nil
}

// shownAll reports errBehind when the replica that answered last ends before the log does: an edit that it does not have yet
// would keep its text for ever. The delete itself lies in the log after all texts, unless somebody took it out.
func (p *Persister) shownAll(ctx context.Context, q bus.ReadQuery, upTo chat.Seq) error {
	if q.From > upTo {
		return nil
	}
	end, err := p.bodies.LeaderLast(ctx, q.Shard, q.Filter)
	if err != nil {
		return fmt.Errorf("the end of the channel: %w", err)
	}
	if end >= q.From {
		return fmt.Errorf("read the channel from %d: %w", q.From, errBehind)
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
