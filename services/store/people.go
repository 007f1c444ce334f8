package store

import "github.com/canopychat/canopy/schemas/chat"

// PeopleQuery says whose members to list for whom: services/api asks services/directory with it, which
// knows whether the asker may.
type PeopleQuery struct {
	WorkspaceID chat.WorkspaceID // of a workspace …
	ChannelID   chat.ChannelID   // … or of a channel
	Asker       chat.UserID
	After       chat.UserID // exclusive; empty: from the start
	Limit       int         // 1 to chat.MaxPageSize
}
