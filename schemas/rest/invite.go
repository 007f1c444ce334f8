package rest

import "github.com/canopychat/canopy/schemas/chat"

// NewInvite asks for an invite.
type NewInvite struct {
	Role       chat.Role        `json:"role"`        // member when empty
	ExpiresIn  int64            `json:"expires_in"`  // seconds; a week when 0, at most chat.MaxInviteLife
	MaxUses    int              `json:"max_uses"`    // 1 when 0, at most chat.MaxInviteUses
	ChannelIDs []chat.ChannelID `json:"channel_ids"` // that they join; the channel general, if there is one, when empty
	Email      string           `json:"email"`       // to whom the link is sent, if the server sends mail; may be empty
}

// Invite is an invite as those who manage the workspace see it.
type Invite struct {
	ID        string           `json:"id"`
	Code      string           `json:"code,omitempty"` // lets people in; told once, to who made it
	URL       string           `json:"url,omitempty"`  // where the code leads; told with it
	Role      chat.Role        `json:"role"`
	Channels  []chat.ChannelID `json:"channel_ids,omitempty"`
	Email     string           `json:"email,omitempty"`
	Sent      bool             `json:"sent,omitempty"` // the mail is on its way; else hand the link over yourself
	By        chat.UserID      `json:"by"`
	CreatedAt Time             `json:"created_at"`
	ExpiresAt Time             `json:"expires_at"`
	MaxUses   int              `json:"max_uses"`
	Uses      int              `json:"uses"`
}

// InviteList is a page of the open invites of a workspace.
type InviteList struct {
	Invites    []Invite `json:"invites"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// InviteState is what somebody who has the code may know before they accept.
type InviteState struct {
	Workspace string    `json:"workspace"` // its name
	Role      chat.Role `json:"role"`
	InvitedBy string    `json:"invited_by"` // display name
	ExpiresAt Time      `json:"expires_at"`
}

// AcceptInvite makes an account and a member of it. Who has an account accepts with its token and an empty object.
type AcceptInvite struct {
	Login       string `json:"login"`
	DisplayName string `json:"display_name"` // the login when empty
	Password    string `json:"password"`
	Device      string `json:"device"`
}
