package store

import "github.com/canopychat/canopy/schemas/chat"

// ChannelPlace says where a channel's log lies.
type ChannelPlace struct {
	WorkspaceID chat.WorkspaceID
	Shard       int // the CHAT stream of the workspace
	ChannelID   chat.ChannelID
}

// Reading is a page of a channel's history and how far it is complete: it holds everything that the
// log stored in its range up to CompleteThrough.
type Reading struct {
	Page
	CompleteThrough chat.Seq
}
