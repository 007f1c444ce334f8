package bus_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// Whoever erases what a replica still showed may come second.
func TestWhatIsErasedAlreadyIsNoError(t *testing.T) {
	c := streamstest.Start(t)
	log := bus.NewLog(dial(t, c.LeafURL()))
	fill(t, c, 3)
	for _, seq := range []chat.Seq{2, 2, 1, 1, 3, 3} { // from the middle of a block, and then with all of the block
		if err := log.Erase(c.Context(), shard, seq); err != nil {
			t.Errorf("erase %d: %v", seq, err)
		}
		if _, err := log.Get(c.Context(), shard, seq); !fault.Is(err, fault.NotFound) {
			t.Errorf("%d is there: %v", seq, err)
		}
	}
}
