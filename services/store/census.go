package store

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
)

// Census counts members.
type Census interface {
	// Census counts who belongs to a workspace, and who is in each of its channels that somebody is in, at this moment and in one
	// query. A workspace that is not there has nobody.
	Census(ctx context.Context, workspace chat.WorkspaceID) (Counts, error)
}

// Counts is how many people there are. Nobody changes it once it is made.
type Counts struct {
	Members  int                    // of the workspace
	Channels map[chat.ChannelID]int // who is in them
}
