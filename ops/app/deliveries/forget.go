package deliveries

import (
	"context"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
)

// How often what is old is forgotten: each process begins within its first hours, and goes on about once a day. Several of them
// at once do no harm, and a process that never lives so long leaves it to the next one.
const (
	forgetFirst = 4 * time.Hour
	forgetEvery = 32 * time.Hour // the most; half of it is the least
	forgetAgain = time.Hour      // after a failure
)

// Forgetter keeps what devices have got and what became of messages for people, and forgets what is old: store.DeviceCursors.
type Forgetter interface {
	ForgetDevices(ctx context.Context, before time.Time) error
}

// forgetting has a store forget from time to time, so that it does not grow by people who come and go. It returns nil when
// ctx has ended.
func forgetting(ctx context.Context, of Forgetter, log *slog.Logger) error {
	for pause := bus.Backoff(forgetFirst, forgetFirst, 0); bus.Pause(ctx, pause) == nil; {
		pause = bus.Backoff(forgetEvery, forgetEvery, 0)
		err := of.ForgetDevices(ctx, time.Now().Add(-store.DeviceLife))
		if err != nil && ctx.Err() == nil {
			pause = bus.Backoff(forgetAgain, forgetAgain, 0)
			log.Warn("devices that are gone for long could not be forgotten; it tries again", "err", err)
		}
	}
	return nil
}
