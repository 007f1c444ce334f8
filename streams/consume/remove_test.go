package consume_test

import (
	"context"
	"testing"

	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/streamstest"
)

// What ends and is nobody else's is taken out of its stream, and the server has nothing to tell about it.
func TestWhatIsRemovedIsGone(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	fill(t, c, 200)
	start(t, conn, consume.Config{MaxBatch: 50}, func(_ context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
		outcomes := allDone(batch)
		for i, d := range batch {
			if d.Seq%2 == 0 {
				outcomes[i] = bus.Remove()
			}
		}
		return outcomes, nil
	})
	eventually(t, "all are acknowledged", func() bool { return floor(t, c, conn) == 200 })
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "half of them are taken out", func() bool {
		info, err := s.Info(c.Context())
		return err == nil && info.State.Msgs == 100
	})
	for seq := uint64(1); seq <= 200; seq++ {
		if _, err := s.GetMsg(c.Context(), seq); (err == nil) != (seq%2 == 1) {
			t.Errorf("%d: %v", seq, err)
		}
	}
	if n := len(held(t, c, ">")); n != 0 {
		t.Errorf("the server told of %d", n)
	}
	if info := consumerInfo(t, c); info.NumRedelivered != 0 || info.Delivered.Consumer != 200 {
		t.Errorf("%d redelivered, %d deliveries", info.NumRedelivered, info.Delivered.Consumer)
	}
}
