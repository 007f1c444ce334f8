package persist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// Shown is what a store shows of a message; a store.Messages is one.
type Shown interface {
	Message(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (chat.Message, error)
}

// errBehindLog says that the store may still get what it lacks.
var errBehindLog = errors.New("the store is behind the consumer, and is being filled from the log")

// Missing are those of some events of one shard, all below the consumer's floor, that the store lacks: nobody brought them there, and nobody
// will. It looks at the message that an event is about. What that cannot prove (a reaction that is not there may have been
// taken away since) is applied once more, which changes nothing if it was: only what the store refuses then is missing.
// What is no event is missing, too. The error is Unavailable, also while the store is filled from the log and may still get
// what it lacks.
func (p *Persister) Missing(ctx context.Context, entries []bus.Entry) (missing []bus.Entry, err error) {
	progress := map[int]chat.Seq{}
	for _, entry := range entries { // before the store is asked: what it has up to there, it had then
		if shard := entry.Place.Shard; !entry.Foreign && progress[shard] == 0 {
			if progress[shard], err = p.store.Progress(ctx, shard); err != nil {
				return nil, hold(fmt.Errorf("progress of shard %d: %w", shard, err))
			}
		}
	}
	lacks, failed := make([]bool, len(entries)), make([]error, len(entries)) // each owned by its goroutine until all have ended
	slots := make(chan struct{}, lookedUpAtOnce)
	var all sync.WaitGroup
	for i, entry := range entries {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			lacks[i], failed[i] = p.lacks(ctx, entry, progress[entry.Place.Shard])
		})
	}
	all.Wait()
	for i, entry := range entries {
		if failed[i] != nil {
			return nil, hold(fmt.Errorf("event %d of shard %d: %w", entry.Seq, entry.Place.Shard, failed[i]))
		}
		if lacks[i] {
			missing = append(missing, entry)
		}
	}
	return missing, nil
}

// lookedUpAtOnce is how many questions Missing asks the store at once.
const lookedUpAtOnce = 8

// lacks reports whether an event is missing, if the store was filled up to progress before. An error says nothing about it.
func (p *Persister) lacks(ctx context.Context, entry bus.Entry, progress chat.Seq) (bool, error) {
	e, err := storedOf(entry)
	if err != nil {
		return true, nil // it can never be stored
	}
	has, err := p.has(ctx, &e)
	if err == nil && !has && e.Seq > progress {
		err = errBehindLog
	}
	return !has, err
}

// has reports whether the store has what an event causes.
func (p *Persister) has(ctx context.Context, e *event.Stored) (bool, error) {
	about := e.MessageSeq
	switch {
	case !e.Known():
		return true, nil // it leaves nothing
	case e.Kind == event.MessagePosted:
		about = e.Seq
	case !slices.Contains(ofMessages, e.Kind):
		return true, nil
	}
	m, err := p.shown.Message(ctx, e.ChannelID, about)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return false, err
	}
	there := err == nil
	switch {
	case e.Kind == event.MessagePosted || there && m.Deleted: // a delete dominates
		return there, nil
	case there && e.Kind == event.MessageDeleted:
		return false, nil
	case there && e.Kind == event.MessageEdited:
		return !m.EditedAt.Before(e.At), nil
	}
	err = p.store.Apply(ctx, []event.Stored{*e})
	if err != nil && outage(ctx, err) {
		return false, err
	}
	return err == nil, nil
}

// ofMessages are the kinds that change a message which is there.
var ofMessages = []event.Kind{
	event.MessageEdited, event.MessageDeleted, event.ReactionAdded, event.ReactionRemoved, event.PinAdded, event.PinRemoved,
}
