package store

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// PeopleQuery says whose members to list for whom: services/api asks services/directory with it, which
// knows whether the asker may.
type PeopleQuery struct {
	WorkspaceID chat.WorkspaceID // of a workspace …
	ChannelID   chat.ChannelID   // … or of a channel
	Asker       chat.UserID
	After       chat.UserID // exclusive; empty: from the start
	Limit       int         // 1 to chat.MaxPageSize
}

// Newcomer is somebody who makes an account: what services/api reads and services/directory checks.
type Newcomer struct {
	Login       string
	DisplayName string // empty: the login
	Password    string
}

// NewInvite is what somebody wants an invite to be. Zero fields mean the defaults of schemas/rest.
type NewInvite struct {
	WorkspaceID chat.WorkspaceID
	By          chat.UserID
	Role        chat.Role
	Life        time.Duration
	MaxUses     int
	ChannelIDs  []chat.ChannelID
	Address     string // of e-mail; empty: a link for anybody
}

// Invited is an invite that was made, with what is told once.
type Invited struct {
	Invite
	Secret string // the code
	URL    string // where it leads; empty when the server does not know its own address
	Sent   bool   // a mail is on its way
}

// Invitation is what somebody who has the code may know.
type Invitation struct {
	Invite    Invite
	Workspace chat.Workspace
	By        chat.User
}
