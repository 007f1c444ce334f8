package provision_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestALeafHasItsOwnStreamsAndTheHubHasNot(t *testing.T) {
	c := streamstest.Start(t)
	first, err := provision.EnsureLeaf(c.Context(), c.LeafConn, streamstest.Region)
	if err != nil || len(first) != len(streams.LeafStreams()) {
		t.Fatalf("%v, %v", first, err)
	}
	if again, err := provision.EnsureLeaf(c.Context(), c.LeafConn, streamstest.Region); err != nil || len(again) != 0 {
		t.Errorf("again: %v, %v", again, err)
	}
	leaf, err := jetstream.NewWithDomain(c.LeafConn, streamstest.Region)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range streams.LeafStreams() {
		s, err := leaf.Stream(c.Context(), name)
		if err != nil || s.CachedInfo().Config.Storage != jetstream.MemoryStorage || s.CachedInfo().Config.Replicas != 1 {
			t.Errorf("%s on the leaf: %v", name, err)
		}
		if _, err := c.HubJS.Stream(c.Context(), name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("%s on the hub: %v", name, err)
		}
	}
	if p := plan(t, c, load(t, streams.Files(), small())); len(p) != 0 {
		t.Errorf("the hub's plan is\n%s", render(t, p))
	}
}

func TestTheHubIsNoLeaf(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	if _, err := provision.EnsureLeaf(c.Context(), c.HubConn, streams.HubDomain); !errors.Is(err, streams.ErrBadDomain) {
		t.Errorf("%v, want ErrBadDomain", err)
	}
	if names := c.HubJS.StreamNames(c.Context()).Name(); len(names) != 0 {
		t.Errorf("the hub got streams")
	}
}
