package adapt

import (
	"context"
	"encoding/json"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/eph"
)

// Notices tells gateways over NATS what somebody has read.
type Notices struct{ Carrier *eph.Carrier }

// Read is cursors.Notices.
func (n Notices) Read(_ context.Context, ws chat.WorkspaceID, user chat.UserID, notice rpc.ReadNotice) error {
	subject, err := streams.EphReadSubject(ws, user)
	if err != nil {
		return err
	}
	data, err := json.Marshal(notice)
	if err != nil {
		return err
	}
	return n.Carrier.Publish(subject, data)
}
