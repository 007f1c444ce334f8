// Package burst is one person who sends more at once than one may: what is refused for that they send again, under the same id, after as
// long as the refusal asked for, until it is stored. What it means, the record says, in which these sends have a phase of their own
// (record.Op.Phase): each refusal says when to come back, and nothing that was refused is there before it was sent again.
//
// It needs a deployment whose limit of one user lies below a burst. One that takes all of it has refused nothing, and shows nothing here.
package burst

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Phase of the ops.
const Phase = "burst"

// What is sent: more than the burst that a person of a local site may send, and so little that the run is not much longer for it.
const (
	sends    = 400
	patience = 20 * time.Second // for which what is not stored is sent again
)

// Pauses before a send goes out again; a refusal may ask for a longer one. They double, since all that was refused comes back at once.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Speaker sends one thing over one conn, in the phase of an op, and says what came of it: something new, or, when the op has an ID, the
// same again. It is called from many goroutines.
type Speaker func(ctx context.Context, said record.Op) record.Op

// Seen is what was seen.
type Seen struct {
	Sent    int64 // messages
	Refused int64 // times that one of them was
	Stored  int64 // of them, in the end
}

// Send sends them all at once; when it returns, all that was sent has its answer.
func Send(ctx context.Context, says Speaker) Seen {
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var refused, stored atomic.Int64
	var sending sync.WaitGroup
	for range sends {
		sending.Go(func() {
			said := says(ctx, record.Op{Phase: Phase})
			for least := firstPause; said.Outcome != record.OK; least = min(2*least, lastPause) {
				if said.Outcome == record.Refused {
					refused.Add(1)
				}
				if !rest(patient, max(least, said.RetryIn)) {
					return
				}
				said = says(ctx, said)
			}
			stored.Add(1)
		})
	}
	sending.Wait()
	return Seen{Sent: sends, Refused: refused.Load(), Stored: stored.Load()}
}

// rest waits, and reports whether there was time for it.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
