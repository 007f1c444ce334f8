package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Roles changes what people are: in workspaces, in channels and in the deployment. Each change has its event in the same
// transaction, and returns the id of the last outbox row that it wrote; 0: nothing changed. A workspace always keeps an
// owner whose account is not deactivated: what would take the last one away is a Conflict.
type Roles interface {
	// SetRole gives a member of a workspace another role: member.updated without channel_id. NotFound: not a member.
	SetRole(ctx context.Context, c RoleChange) (OutboxID, error)
	// RemoveMember takes somebody out of a workspace: a member.left for every public or private channel that they are in, in the
	// order of channel ids, and then one without channel_id. Direct messages stay theirs, should they come back. NotFound: not a member.
	RemoveMember(ctx context.Context, workspace chat.WorkspaceID, by, user chat.UserID) (OutboxID, error)
	// SetChannelRole gives a member of a public or private channel another role in it: member.updated. NotFound: not in it.
	// Conflict: the channel is a direct message.
	SetChannelRole(ctx context.Context, c ChannelRoleChange) (OutboxID, error)
	// ChannelRoles reads the roles of those among users who are in a channel. At most chat.MaxPageSize users.
	ChannelRoles(ctx context.Context, channel chat.ChannelID, users []chat.UserID) (map[chat.UserID]chat.ChannelRole, error)
	// UpdateWorkspace gives a workspace another name: workspace.updated. NotFound.
	UpdateWorkspace(ctx context.Context, workspace chat.WorkspaceID, by chat.UserID, name string) (OutboxID, error)
	// SetDeactivated closes an account or opens it again: a user.updated in every workspace that the user belongs to. Closing
	// it revokes all sign-ins, at c.At. NotFound.
	SetDeactivated(ctx context.Context, c Deactivation) (chat.User, error)
	// SetPassword changes a password's hash and revokes the sign-ins that r names, in one transaction. NotFound.
	SetPassword(ctx context.Context, passwordHash string, r Revocation) error
}

// Deactivation closes an account, or opens it again.
type Deactivation struct {
	UserID      chat.UserID
	By          chat.UserID
	Deactivated bool
	At          time.Time
}

// RoleChange gives a member of a workspace another role.
type RoleChange struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	By          chat.UserID
	Role        chat.Role
}

// ChannelRoleChange gives a member of a channel another role in it.
type ChannelRoleChange struct {
	ChannelID chat.ChannelID
	UserID    chat.UserID
	By        chat.UserID
	Role      chat.ChannelRole
}
