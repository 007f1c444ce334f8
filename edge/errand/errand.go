// Package errand is for questions to the log and to the directory on behalf of many sockets: at most so many are on
// their way at once, each ends in time, and some are asked until they are answered. What their answers hold in memory is
// bounded by that, however many sockets fall behind together.
package errand

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
)

// Desk is for use by many goroutines.
type Desk struct {
	tokens  chan struct{} // one for each that is on its way
	timeout time.Duration
}

// NewDesk makes a desk from which at most so many go at once, each for at most timeout.
func NewDesk(most int, timeout time.Duration) *Desk {
	return &Desk{tokens: make(chan struct{}, most), timeout: timeout}
}

// Attempt does something in its turn.
func (d *Desk) Attempt(ctx context.Context, do func(context.Context) error) error {
	select {
	case d.tokens <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.tokens }()
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return do(ctx)
}

// Errand is something to be done for somebody.
type Errand struct {
	Do    func(context.Context) error
	Final error       // which asking again does not cure; so does not NotFound
	Gone  func() bool // whether nobody waits for it any more
}

// Insist attempts an errand until it succeeds or fails for good. It gives up when nobody waits for it, or when ctx ends.
func (d *Desk) Insist(ctx context.Context, e Errand) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := d.Attempt(ctx, e.Do)
		if err == nil || errors.Is(err, e.Final) || fault.Is(err, fault.NotFound) || e.Gone() {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}
