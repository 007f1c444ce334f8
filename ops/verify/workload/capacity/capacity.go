// Package capacity measures how much can be sent: as fast as answers come, then at twice that rate, whether answers come or not, and both
// again some times in turn, since a machine has other things to do now and then. What it means, the record says, in which the sends of
// each part have its name (record.Op.Phase).
//
// It needs a deployment whose limits of one channel, socket and address lie far above its capacity, and that of one user far above their part
// of it.
package capacity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Phases of ops.
const (
	Peak   = "peak"   // so many sends at a time as the deployment bears: each waits for the one before it
	Double = "double" // twice as many a second as that stored
)

// How much is on its way.
const (
	perSpeaker = 8    // sends of each, in the peak
	inFlight   = 2048 // sends in all, beyond it: what finds no room is not offered
	everyTick  = 5 * time.Millisecond
)

// Pauses.
const (
	afterRefusal = 100 * time.Millisecond // a refusal costs nothing, and no peak is reached by asking again at once
	between      = time.Second            // for what is still done behind the answers
)

// rounds is how often each part comes.
const rounds = 3

// Speaker sends one thing, and reports whether it was stored. It is called from many goroutines.
type Speaker func(ctx context.Context, phase string) (stored bool)

// Measured is what was seen.
type Measured struct {
	Speakers   int
	Peak       float64 // sends a second that were stored in the peak, on average
	Double     float64 // and at twice that
	Offered    int64   // sends at twice that
	NotOffered int64   // that should have been offered, and found no room
}

// Measure measures; when it returns, all that was sent has its answer.
func Measure(ctx context.Context, all []Speaker, peakFor, doubleFor time.Duration) Measured {
	m := Measured{Speakers: len(all)}
	if len(all) == 0 {
		return m
	}
	for range rounds {
		last := peak(ctx, all, peakFor/rounds)
		pause(ctx, between)
		m.Peak += last / rounds
		m.Double += double(ctx, all, offer{2 * last, doubleFor / rounds}, &m) / rounds
		pause(ctx, between)
	}
	return m
}

// peak is the closed loop: its result is how many were stored in a second.
func peak(ctx context.Context, all []Speaker, last time.Duration) float64 {
	began := time.Now()
	enough, stop := context.WithTimeout(ctx, last)
	defer stop()
	var stored atomic.Int64
	var sending sync.WaitGroup
	for _, says := range all {
		for range perSpeaker {
			sending.Go(func() {
				for enough.Err() == nil {
					if says(ctx, Peak) {
						stored.Add(1)
					} else {
						pause(enough, afterRefusal)
					}
				}
			})
		}
	}
	<-enough.Done()
	rate := float64(stored.Load()) / time.Since(began).Seconds()
	sending.Wait()
	return rate
}

// offer is so many sends a second, for some time.
type offer struct {
	rate float64
	last time.Duration
}

// double is the open loop: at each tick what is due by then is offered, as long as there is room.
func double(ctx context.Context, all []Speaker, o offer, m *Measured) float64 {
	began := time.Now()
	enough, stop := context.WithTimeout(ctx, o.last)
	defer stop()
	var stored atomic.Int64
	var sending sync.WaitGroup
	room := make(chan struct{}, inFlight)
	ticks := time.NewTicker(everyTick)
	defer ticks.Stop()
	for n := int64(0); enough.Err() == nil; {
		select {
		case <-ticks.C:
		case <-enough.Done():
			continue
		}
		for due := int64(o.rate * time.Since(began).Seconds()); n < due; n++ {
			select {
			case room <- struct{}{}:
			default:
				m.NotOffered++
				continue
			}
			m.Offered++
			says := all[n%int64(len(all))]
			sending.Go(func() {
				defer func() { <-room }()
				if says(ctx, Double) {
					stored.Add(1)
				}
			})
		}
	}
	rate := float64(stored.Load()) / time.Since(began).Seconds()
	sending.Wait()
	return rate
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
