package later

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Times of a Clock.
const (
	askEvery   = 30 * time.Second
	askFirst   = 100 * time.Millisecond // until the next try after one without an answer; it doubles up to askEvery
	noticeable = 10 * time.Second       // by which a machine's clock may differ from the hub's before somebody is told
)

// Clock tells the time of the server that decides when what waits in a stream is due, whatever the clock of this machine says: so a pause
// that is added to it is that long. Between two answers of that server the machine's monotonic clock goes on from the last one.
type Clock struct {
	conn   *bus.Conn
	stream string
	own    func() time.Time
	known  chan struct{} // closed at the first answer

	mu     sync.RWMutex // guards what follows
	theirs time.Time    // what the server said; zero before the first answer
	when   time.Time    // with a monotonic reading: when that was
}

// NewClock makes the clock of a stream of messages that wait. own is the machine's clock, which counts until the first answer; nil: time.Now.
func NewClock(conn *bus.Conn, stream string, own func() time.Time) *Clock {
	if own == nil {
		own = time.Now
	}
	return &Clock{conn: conn, stream: stream, own: own, known: make(chan struct{})}
}

// Now is the time by the server.
func (c *Clock) Now() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.theirs.IsZero() {
		return c.own()
	}
	return c.theirs.Add(time.Since(c.when))
}

// Known waits for the first answer; the error is why ctx ended.
func (c *Clock) Known(ctx context.Context) error {
	select {
	case <-c.known:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Run asks the server again and again until ctx ends, which is no error. An operator is told, once, when this machine's clock is far from the server's.
func (c *Clock) Run(ctx context.Context) error {
	far, failures := false, 0
	for {
		pause := askEvery
		if err := c.ask(ctx); err == nil {
			failures = 0
			far = c.tell(far)
		} else {
			c.conn.Logger().Debug("the hub does not tell the time", "stream", c.stream, "err", err)
			pause = bus.Backoff(askFirst, askEvery, failures)
			failures++
		}
		if bus.Pause(ctx, pause) != nil {
			return nil
		}
	}
}

// ask sets the clock by one answer, which may be wrong by half of the time that it took.
func (c *Clock) ask(ctx context.Context) error {
	to, err := streams.StreamInfoSubject(c.stream)
	if err != nil {
		return err
	}
	var info struct {
		Time time.Time `json:"ts"` // when the server gathered it
	}
	began := time.Now()
	if err := c.conn.RequestAPI(ctx, to, nil, &info); err != nil {
		return err
	}
	if info.Time.IsZero() {
		return fmt.Errorf("the answer about %s has no time", c.stream)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.theirs.IsZero() {
		close(c.known)
	}
	c.theirs, c.when = info.Time, began.Add(time.Since(began)/2)
	return nil
}

// tell logs that the clocks have parted, or have come together again. far: they had parted.
func (c *Clock) tell(far bool) bool {
	ahead := c.own().Sub(c.Now())
	switch differs := ahead.Abs() > noticeable; {
	case differs && !far:
		c.conn.Logger().Warn("the clock of this machine is not that of the hub: set one of them", "ahead_by", ahead.Round(time.Second), slog.String("stream", c.stream))
		return true
	case !differs && far:
		c.conn.Logger().Info("the clock of this machine is that of the hub again")
		return false
	}
	return far
}
