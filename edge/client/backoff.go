package client

import (
	"context"
	"time"
)

// The pauses between two tries: full jitter up to a bound that doubles from backoffBase to backoffCap.
const (
	backoffBase = 500 * time.Millisecond
	backoffCap  = 30 * time.Second
)

// Backoff says how long to wait before the next try. Random pauses keep a crowd that lost one gateway from
// coming back in one moment. The zero value is ready; it belongs to one goroutine at a time.
type Backoff struct{ failures int }

// Next is the pause after one more failure: random (0 to 1) of the bound, and never less than atLeast, which the
// server asked for. A tenth of that is added at random, so that those who were told the same do not come together.
func (b *Backoff) Next(random float64, atLeast time.Duration) time.Duration {
	bound := backoffCap
	if b.failures < 6 { // 0.5 s × 2⁶ is more than the cap
		bound = backoffBase << b.failures
	}
	b.failures++
	pause := time.Duration(random * float64(bound))
	if atLeast > 0 {
		pause = max(pause, atLeast+time.Duration(random*float64(atLeast)/10))
	}
	return pause
}

// Reset forgets the failures.
func (b *Backoff) Reset() { b.failures = 0 }

// Wait pauses. The error is ctx's.
func Wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
