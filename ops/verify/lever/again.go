package lever

import (
	"context"
	"errors"
	"time"

	"github.com/canopychat/canopy/streams/bus"
)

// againEvery is between two tries of something that a hub without a leader refuses.
const againEvery = 500 * time.Millisecond

// Again tries until it is done, or ctx ends: the error is then that of the last try, and why ctx ended. It is for Begin and End.
func Again(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil {
			return nil
		}
		if ended := bus.Pause(ctx, againEvery); ended != nil {
			return errors.Join(err, ended)
		}
	}
}
