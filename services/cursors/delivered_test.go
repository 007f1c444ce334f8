package cursors_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/cursors"
	"github.com/canopychat/canopy/services/store"
)

// device is the cursor of a device as a gateway tells it.
func device(seq chat.Seq, at time.Time) rpc.DeviceCursor {
	return rpc.DeviceCursor{WorkspaceID: ws, UserID: bob, DeviceID: "s1", Epoch: 1, Seq: seq, At: at}
}

func TestWhatDevicesHaveIsKept(t *testing.T) {
	w := newTown(t)
	before := w.now.Add(-time.Minute)
	_, err := w.cursors.Delivered(t.Context(), rpc.DeliveredRequest{Cursors: []rpc.DeviceCursor{
		device(7, before.In(time.FixedZone("", 3600))), device(8, w.now.Add(time.Hour)), device(9, time.Time{}),
	}})
	w.must(err)
	kept := func(seq chat.Seq, at time.Time) store.DeviceCursor {
		return store.DeviceCursor{WorkspaceID: ws, UserID: bob, DeviceID: "s1", Cursor: chat.Cursor{Epoch: 1, Seq: seq}, At: at}
	}
	// A gateway whose clock is ahead does not keep a device fresh for longer.
	if diff := cmp.Diff([]store.DeviceCursor{kept(7, before), kept(8, w.now), kept(9, w.now)}, w.devices.kept); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err = w.cursors.Delivered(t.Context(), rpc.DeliveredRequest{Cursors: slices.Repeat([]rpc.DeviceCursor{device(7, before)}, rpc.MaxDelivered)})
	w.must(err)
	if len(w.devices.kept) != 3+rpc.MaxDelivered {
		t.Errorf("%d are kept", len(w.devices.kept))
	}
}

func TestCursorsThatNobodyHasAreRefused(t *testing.T) {
	w := newTown(t)
	right := device(7, w.now)
	requests := map[string][]rpc.DeviceCursor{"too many": slices.Repeat([]rpc.DeviceCursor{right}, rpc.MaxDelivered+1)}
	for what, spoil := range map[string]func(*rpc.DeviceCursor){
		"no workspace":      func(c *rpc.DeviceCursor) { c.WorkspaceID = "" },
		"a bad workspace":   func(c *rpc.DeviceCursor) { c.WorkspaceID = "w.1" },
		"a bad user":        func(c *rpc.DeviceCursor) { c.UserID = ">" },
		"a bad device":      func(c *rpc.DeviceCursor) { c.DeviceID = "S1" },
		"no epoch":          func(c *rpc.DeviceCursor) { c.Epoch = 0 },
		"too late an epoch": func(c *rpc.DeviceCursor) { c.Epoch = chat.MaxEpoch + 1 },
		"no seq":            func(c *rpc.DeviceCursor) { c.Seq = 0 },
		"too high a seq":    func(c *rpc.DeviceCursor) { c.Seq = chat.MaxSeq + 1 },
	} {
		wrong := right
		spoil(&wrong)
		requests[what] = []rpc.DeviceCursor{right, wrong} // one that is wrong, and none is kept
	}
	for what, all := range requests {
		if _, err := w.cursors.Delivered(t.Context(), rpc.DeliveredRequest{Cursors: all}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.cursors.Delivered(t.Context(), rpc.DeliveredRequest{}); err != nil {
		t.Errorf("none: %v", err)
	}
	if len(w.devices.kept) != 0 {
		t.Errorf("%+v is kept", w.devices.kept)
	}
	w.devices.err = fault.Wrap(fault.Unavailable, errors.New("timeout"), "the message store does not answer")
	if _, err := w.cursors.Delivered(t.Context(), rpc.DeliveredRequest{Cursors: []rpc.DeviceCursor{right}}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the store: %v", err)
	}
	none, err := cursors.New(cursors.Config{Directory: rules{w.db}, Tenures: w.db, Read: w.read, Log: logOf(1000)})
	w.must(err)
	if _, err := none.Delivered(t.Context(), rpc.DeliveredRequest{Cursors: []rpc.DeviceCursor{right}}); !fault.Is(err, fault.Unsupported) {
		t.Errorf("where no devices are remembered: %v", err)
	}
}
