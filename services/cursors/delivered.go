package cursors

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
)

// Delivered answers cursors.delivered: it keeps all of them, or none of a request with one that nobody can have. Gateways
// ask, who know whose sockets they hold; so it is not asked whether the users are members.
func (s *Service) Delivered(ctx context.Context, req rpc.DeliveredRequest) (rpc.DeliveredReply, error) {
	if s.cfg.Delivered == nil {
		return rpc.DeliveredReply{}, fault.New(fault.Unsupported, "this server does not remember devices")
	}
	if len(req.Cursors) > rpc.MaxDelivered {
		return rpc.DeliveredReply{}, fault.New(fault.Invalid, "at most %d cursors at once", rpc.MaxDelivered)
	}
	if len(req.Cursors) == 0 {
		return rpc.DeliveredReply{}, nil
	}
	now := s.cfg.Now().UTC()
	cursors := make([]store.DeviceCursor, len(req.Cursors))
	for i, c := range req.Cursors {
		if err := checkDevice(c); err != nil {
			return rpc.DeliveredReply{}, err
		}
		at := c.At.UTC()
		if at.IsZero() || at.After(now) { // a gateway whose clock is ahead must not keep a device fresh for longer
			at = now
		}
		cursors[i] = store.DeviceCursor{
			WorkspaceID: c.WorkspaceID, UserID: c.UserID, DeviceID: c.DeviceID, Cursor: chat.Cursor{Epoch: c.Epoch, Seq: c.Seq}, At: at,
		}
	}
	if err := s.cfg.Delivered.SetDelivered(ctx, cursors); err != nil {
		return rpc.DeliveredReply{}, fmt.Errorf("keep cursors of devices: %w", err)
	}
	return rpc.DeliveredReply{}, nil
}

// checkDevice says whether a device can have a cursor.
func checkDevice(c rpc.DeviceCursor) error {
	for _, id := range []string{string(c.WorkspaceID), string(c.UserID), string(c.DeviceID)} {
		if !chat.IsID(id) {
			return fault.Wrap(fault.Invalid, chat.ErrBadID, "%v", chat.ErrBadID)
		}
	}
	if c.Epoch == 0 || c.Epoch > chat.MaxEpoch || c.Seq == 0 || c.Seq > chat.MaxSeq {
		return fault.New(fault.Invalid, "no log has epoch %d, seq %d", c.Epoch, c.Seq)
	}
	return nil
}
