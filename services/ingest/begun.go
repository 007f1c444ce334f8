package ingest

import (
	"context"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
)

// incarnation is one of the logs that a shard has had.
type incarnation struct {
	shard streams.Shard
	epoch chat.Epoch
}

// begins remembers when logs began that are not the first of their workspaces: such a log knows no Msg-Id of what was stored in
// the one before it, however young that is. Of a first log nobody is asked.
type begins struct {
	logs   Publisher     // immutable, as budget
	budget time.Duration // of a question

	mu sync.Mutex
	at map[incarnation]time.Time // guarded by mu; one of each shard, and one more for each time that it began anew
}

// mayPrecede reports whether a post may have been stored in the log before this one: then it is looked up before it is published,
// as mayBeOld has it, for a client whose clock is ahead by up to half of the window. What cannot be told may be so.
func (b *begins) mayPrecede(ctx context.Context, c *event.Change, window time.Duration) bool {
	if c.Epoch <= 1 {
		return false
	}
	made, ok := c.ClientMsgID.Time()
	if !ok {
		return true
	}
	began, err := b.of(ctx, incarnation{c.Shard, c.Epoch})
	return err != nil || made.Add(-window/2).Before(began)
}

func (b *begins) of(ctx context.Context, i incarnation) (time.Time, error) {
	b.mu.Lock()
	began, known := b.at[i]
	b.mu.Unlock()
	if known {
		return began, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.budget)
	defer cancel()
	began, err := b.logs.Begun(ctx, i.shard) // several may ask at once, and are told the same
	if err != nil {
		return time.Time{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at[i] = began
	return began, nil
}
