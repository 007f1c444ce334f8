package later_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/streamstest"
)

// near is more than the hub and a test may be apart, and less than a clock is set wrong here.
const near = 10 * time.Minute

// On a machine whose clock is wrong what waits comes at the hub's time, and an operator hears of it.
func TestAClockThatIsWrong(t *testing.T) {
	c := streamstest.Start(t)
	var log bytes.Buffer
	conn, err := bus.Dial(bus.DialConfig{URL: c.LeafURL(), Role: "test", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	wrong := func() time.Time { return time.Now().Add(-48 * time.Hour) }
	clock := later.NewClock(conn, streams.StreamSched, wrong)
	if apart := time.Since(clock.Now()); apart < near {
		t.Fatalf("nobody has told the time, and it is %s", apart)
	}

	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- clock.Run(ctx) }()
	known, cancel := context.WithTimeout(ctx, streamstest.ElectionWait)
	defer cancel()
	if err := clock.Known(known); err != nil {
		t.Fatal(err)
	}
	if apart := time.Since(clock.Now()).Abs(); apart > near {
		t.Errorf("the hub's time is wrong by %s", apart)
	}
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	conn.Close() // nothing else logs now
	if !strings.Contains(log.String(), "ahead_by=-48h0m0s") {
		t.Errorf("of the clock that is wrong is said: %s", log.String())
	}
}

// While the hub does not answer nobody takes the machine's time for the hub's.
func TestAClockWithoutAHub(t *testing.T) {
	conn := dial(t, "nats://nobody:x@127.0.0.1:1")
	clock := later.NewClock(conn, streams.StreamDelivery, nil)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	ran := make(chan error)
	go func() { ran <- clock.Run(ctx) }()
	if clock.Known(ctx) == nil {
		t.Error("the time is known")
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
