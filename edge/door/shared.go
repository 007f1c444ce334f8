package door

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Shared is those of users with whom a guest shares a channel of a workspace: of the others a guest does not know. Only
// the directory knows who is where, so it is one question for each; there are few guests.
func (d *Door) Shared(ctx context.Context, ws chat.WorkspaceID, guest chat.UserID, users []chat.UserID) ([]chat.UserID, error) {
	tenures, err := d.lasting(ctx, ws, guest)
	if err != nil {
		return nil, err
	}
	in := make(map[chat.ChannelID]bool, len(tenures))
	for _, t := range tenures {
		in[t.ChannelID] = true
	}
	known := make([]chat.UserID, 0, len(users))
	for _, user := range users {
		theirs, err := d.lasting(ctx, ws, user)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		for _, t := range theirs {
			if in[t.ChannelID] {
				known = append(known, user)
				break
			}
		}
	}
	return known, nil
}

// lasting is the tenures of a user that last.
func (d *Door) lasting(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) ([]rpc.Tenure, error) {
	d.counts.Asked.Add(1)
	reply, err := d.to.Directory.Session(ctx, rpc.SessionRequest{UserID: user, WorkspaceID: ws})
	return reply.Tenures, err
}
