package ingest

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// MayBeOld and MadeSince are the rules of age.go.
func MayBeOld(id chat.ClientMsgID, retry bool, now time.Time, window time.Duration) bool {
	return mayBeOld(id, retry, now, window)
}

func MadeSince(id chat.ClientMsgID, now time.Time, window time.Duration) (time.Time, bool) {
	return madeSince(id, now, window)
}

// LimitTails makes g's tails hold at most n ids each.
func LimitTails(g *Ingest, n int) { g.tails.limit = n }

// TailIDs is how many ids g holds.
func TailIDs(g *Ingest) int {
	g.tails.mu.Lock()
	defer g.tails.mu.Unlock()
	n := 0
	for _, s := range g.tails.byKey {
		n += len(s.ids)
	}
	return n
}
