package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// TestAFileForgets writes more old rows than one transaction takes away.
func TestAFileForgets(t *testing.T) {
	m, ctx := openMessages(t, newPath(t)), t.Context()
	const old = 1_100
	before := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	long := before.Add(store.DeviceLife - store.DeliveryLife)
	c := store.DeviceCursor{WorkspaceID: "ws", UserID: "ann", Cursor: chat.Cursor{Epoch: 1, Seq: 1}}
	d := chat.Delivery{WorkspaceID: "ws", ChannelID: "c", Seq: 1, Status: chat.DeliveryDead}
	var cursors []store.DeviceCursor
	var states []chat.Delivery
	for i := range old {
		c.DeviceID, c.At = token.SignInID(fmt.Sprintf("old-%d", i)), before.Add(-1-time.Duration(i))
		d.UserID, d.At = chat.UserID(fmt.Sprintf("old-%d", i)), long.Add(-time.Duration(1+i)*time.Millisecond)
		cursors, states = append(cursors, c), append(states, d)
	}
	renewed := c // an old one that is heard of again, where it was
	c.DeviceID, c.At = "young", before
	d.UserID, d.At = "young", long
	renewed.At = before.Add(time.Hour)
	for _, err := range []error{m.SetDelivered(ctx, append(cursors, c, renewed)), m.SetDeliveries(ctx, append(states, d))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := m.ForgetDevices(ctx, before); err != nil {
			t.Fatal(err)
		}
		devices, err := m.DevicesOf(ctx, "ws", []chat.UserID{"ann"})
		if err != nil || len(devices) != 2 {
			t.Fatalf("%d devices are left, %v", len(devices), err)
		}
		for _, left := range devices {
			if left != c && left != cursors[old-1] {
				t.Errorf("%+v is left", left)
			}
		}
		left, err := m.DeliveriesOf(ctx, store.DeliveryQuery{MessageKey: store.MessageKey{WorkspaceID: "ws", Seq: 1}, Limit: 10})
		if err != nil || len(left) != 1 || left[0].UserID != "young" {
			t.Errorf("the states %+v are left, %v", left, err)
		}
	}
}

// TestAThreadThatNeverEnds has more replies than who is in it is read from.
func TestAThreadThatNeverEnds(t *testing.T) {
	path := newPath(t)
	m := openMessages(t, path)
	raw(t, path, fmt.Sprintf(`
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO messages (channel_id, seq, post_version, text_version, sender_id, thread)
		SELECT 'c', i, (1 << 48) + i, (1 << 48) + i, CASE i WHEN 1 THEN 'root' WHEN 2 THEN 'first' WHEN 3 THEN 'second' ELSE 'ann' END,
			CASE i WHEN 1 THEN 0 ELSE 1 END FROM n`, store.MaxThreadRead+2))
	got, err := m.Participants(t.Context(), "c", 1)
	if err != nil || !slices.Equal(got, []chat.UserID{"ann", "second", "root"}) {
		t.Errorf("in the thread are %v, %v", got, err)
	}
}
