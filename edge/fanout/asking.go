package fanout

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// After an election, or when a link is back, every feed of every gateway asks the leaders of the streams, and a leader that
// was elected a moment ago has other work. So a gateway has few such questions under way at once, and feeds without a
// message that waits to be shown do not all ask in the same moment.
const (
	maxAsking  = 16                     // questions to leaders at once, of all feeds of a gateway; more wait their turn
	perFeed    = 500 * time.Microsecond // of the spread, for each feed beyond maxAsking
	spreadCap  = 2 * time.Second        // of the spread: a feed whose tail was lost shows it so much later
	slotsAfter = time.Second            // what a caller is told who did not get a turn
)

// asking is a Log whose leaders are asked a bounded number of questions at once.
type asking struct {
	Log
	slots chan struct{} // taken while a leader is being asked
}

func newAsking(log Log) asking { return asking{Log: log, slots: make(chan struct{}, maxAsking)} }

// LeaderLast implements Log.
func (a asking) LeaderLast(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error) {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return 0, fault.Wrap(fault.Unavailable, context.Cause(ctx), "the workspace's log does not answer").After(slotsAfter)
	}
	return a.Log.LeaderLast(ctx, shard, filter)
}

// spreadOf is over how long n feeds that must ask are spread.
func spreadOf(n int) time.Duration {
	return min(time.Duration(max(n-maxAsking, 0))*perFeed, spreadCap)
}

// rest waits for the feed's turn when many must ask: at most for the spread that it was told, and not when a message
// waits to be shown or somebody waits for the feed.
func (f *Feed) rest(ctx context.Context) {
	f.mu.Lock()
	spread, urgent := f.spread, f.want > f.ring.head
	f.spread = 0
	f.mu.Unlock()
	if spread == 0 || urgent {
		return
	}
	turn := time.NewTimer(rand.N(spread))
	defer turn.Stop()
	select {
	case <-turn.C:
	case <-f.wake:
	case <-ctx.Done():
	}
}
