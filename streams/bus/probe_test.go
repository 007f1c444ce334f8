package bus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestAProbeStoresAndReadsBack(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	for range 3 {
		if err := conn.Probe(c.Context(), "p1"); err != nil {
			t.Error(err)
		}
	}
	if err := dial(t, c.HubURL()).Probe(c.Context(), "p2"); err != nil {
		t.Error(err)
	}
	stream, err := c.HubJS.Stream(c.Context(), "PROBE")
	if err != nil {
		t.Fatal(err)
	}
	if state := stream.CachedInfo().State; state.Msgs != 2 || state.LastSeq != 4 {
		t.Errorf("the stream holds %d messages up to %d, of 4 probes of 2 processes", state.Msgs, state.LastSeq)
	}
	if err := conn.Probe(c.Context(), "p.1"); !errors.Is(err, chat.ErrBadID) {
		t.Errorf("of a bad id: %v", err)
	}
}

func TestAProbeFailsWhenTheHubIsAway(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	c.Link.Cut()
	c.WaitUnlinked()
	if err := conn.Probe(c.Context(), "p1"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	c.Link.Restore()
	c.WaitLinked()
	if err := conn.Probe(c.Context(), "p1"); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	c.Link.HalfOpen()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := conn.Probe(ctx, "p1"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("over a dead link: %v, want unavailable", err)
	}
	c.Link.Restore()
}
