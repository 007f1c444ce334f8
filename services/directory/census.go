package directory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
)

const (
	// censusLife is how old the counts of a session may be. They are rough by promise (schemas/rpc), so they need no
	// place in the log, and a crowd that comes back at once is counted once.
	censusLife   = 10 * time.Second
	censusBudget = 3 * time.Second
	maxCensuses  = 1000 // workspaces whose counts are kept
)

// census remembers counts for a while.
type census struct {
	store   store.Census
	now     func() time.Time
	flights singleflight.Group // by workspace

	mu   sync.Mutex
	kept map[chat.WorkspaceID]counted // guarded by mu
}

// counted is counts and their age.
type counted struct {
	store.Counts
	until time.Time
}

func newCensus(from store.Census, now func() time.Time) *census {
	return &census{store: from, now: now, kept: map[chat.WorkspaceID]counted{}}
}

// of is the counts of a workspace, at most censusLife old.
func (c *census) of(ctx context.Context, ws chat.WorkspaceID) (store.Counts, error) {
	if have, ok := c.have(ws); ok {
		return have, nil
	}
	found, err, _ := c.flights.Do(string(ws), func() (any, error) {
		if have, ok := c.have(ws); ok { // the flight before this one has just landed
			return have, nil
		}
		// Others wait for this answer, so it does not end with the question that happened to be the first.
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), censusBudget)
		defer cancel()
		counts, err := c.store.Census(within, ws)
		if err != nil {
			return store.Counts{}, fmt.Errorf("count the members of a workspace: %w", err)
		}
		c.keep(ws, counts)
		return counts, nil
	})
	if err != nil {
		return store.Counts{}, err
	}
	return found.(store.Counts), nil // whatever the flight returns is one
}

func (c *census) have(ws chat.WorkspaceID) (store.Counts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.kept[ws]
	return have.Counts, ok && c.now().Before(have.until)
}

// keep remembers counts. When there is no room, what is too old goes, and if nothing is, everything: counting again
// costs one query each.
func (c *census) keep(ws chat.WorkspaceID, counts store.Counts) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.kept) >= maxCensuses {
		for id, have := range c.kept {
			if !now.Before(have.until) {
				delete(c.kept, id)
			}
		}
	}
	if len(c.kept) >= maxCensuses {
		clear(c.kept)
	}
	c.kept[ws] = counted{counts, now.Add(censusLife)}
}
