package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
)

// What follows is the questions of operators: service admin. Whoever may ask them over NATS may do all of it, to
// everybody. An account is named by its id or by its login. Lists are pages: Next is the After of the next one, and
// empty on the last; a Limit of 0 is chat.DefaultPageSize.

// UsersRequest asks admin.users for the accounts of the deployment, by id.
type UsersRequest struct {
	After chat.UserID `json:"after,omitempty"`
	Limit int         `json:"limit,omitempty"`
}

// UsersReply is a page of them.
type UsersReply struct {
	Users []Account   `json:"users"`
	Next  chat.UserID `json:"next,omitempty"`
}

// Account is an account as an operator sees it.
type Account struct {
	UserID      chat.UserID `json:"user_id"`
	Login       string      `json:"login"`
	DisplayName string      `json:"display_name"`
	Deactivated bool        `json:"deactivated,omitempty"`
	CreatedAt   time.Time   `json:"created_at"`
}

// UserAction is what admin.user does before it shows an account.
type UserAction string

// The actions. Each may be asked for again; add is then a conflict.
const (
	UserShow       UserAction = ""           // nothing
	UserAdd        UserAction = "add"        // makes it, with Login, DisplayName and Password
	UserPassword   UserAction = "password"   // gives it Password, and ends all sign-ins
	UserDeactivate UserAction = "deactivate" // closes it, and ends all sign-ins
	UserActivate   UserAction = "activate"   // opens it again
	UserRevoke     UserAction = "revoke"     // ends SignInID, or all sign-ins when that is empty
)

// UserRequest asks admin.user about one account.
type UserRequest struct {
	Do          UserAction     `json:"do,omitempty"`
	UserID      chat.UserID    `json:"user_id,omitempty"`
	Login       string         `json:"login,omitempty"`
	DisplayName string         `json:"display_name,omitempty"` // empty: the login
	Password    string         `json:"password,omitempty"`     // with add it may be empty: nobody can sign in with one
	SignInID    token.SignInID `json:"sign_in_id,omitempty"`
}

// UserReply is the account after that.
type UserReply struct {
	Account
	Workspaces []UserWorkspace `json:"workspaces,omitempty"`
	SignIns    []SignIn        `json:"sign_ins,omitempty"` // that last, the one used last first
	Revoked    int             `json:"revoked,omitempty"`  // sign-ins that this request ended
}

// UserWorkspace is a workspace that an account belongs to.
type UserWorkspace struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Name        string           `json:"name"`
	Role        chat.Role        `json:"role"`
}

// SignIn is one sign-in of an account on a device.
type SignIn struct {
	SignInID  token.SignInID `json:"sign_in_id"`
	Device    string         `json:"device,omitempty"`
	Address   string         `json:"address,omitempty"` // IP address at the last use
	CreatedAt time.Time      `json:"created_at"`
	UsedAt    time.Time      `json:"used_at"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// WorkspacesRequest asks admin.workspaces for the workspaces of the deployment, by id.
type WorkspacesRequest struct {
	After chat.WorkspaceID `json:"after,omitempty"`
	Limit int              `json:"limit,omitempty"`
}

// WorkspacesReply is a page of them.
type WorkspacesReply struct {
	Workspaces []Workspace      `json:"workspaces"`
	Next       chat.WorkspaceID `json:"next,omitempty"`
}

// Workspace is a workspace as an operator sees it.
type Workspace struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Name        string           `json:"name"`
	Shard       int              `json:"shard"`
	Epoch       chat.Epoch       `json:"epoch"`
	CreatedAt   time.Time        `json:"created_at"`
}

// WorkspaceAction is what admin.workspace does before it shows a workspace.
type WorkspaceAction string

// The actions.
const (
	WorkspaceShow   WorkspaceAction = ""       // nothing
	WorkspaceAdd    WorkspaceAction = "add"    // makes it, with Name and the owner who is named, and its channel general
	WorkspaceRename WorkspaceAction = "rename" // gives it Name; may be asked for again
)

// WorkspaceRequest asks admin.workspace about one workspace.
type WorkspaceRequest struct {
	Do          WorkspaceAction  `json:"do,omitempty"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id,omitempty"`
	Name        string           `json:"name,omitempty"`
	UserID      chat.UserID      `json:"user_id,omitempty"` // the owner of a new one, by id …
	Login       string           `json:"login,omitempty"`   // … or by login
	After       chat.UserID      `json:"after,omitempty"`   // of the list of members
	Limit       int              `json:"limit,omitempty"`
}

// WorkspaceReply is the workspace after that, with a page of its members by user id.
type WorkspaceReply struct {
	Workspace
	Members []Member    `json:"members"`
	Next    chat.UserID `json:"next,omitempty"`
}

// Member is somebody in a workspace.
type Member struct {
	UserID      chat.UserID `json:"user_id"`
	Login       string      `json:"login"`
	DisplayName string      `json:"display_name"`
	Deactivated bool        `json:"deactivated,omitempty"`
	Role        chat.Role   `json:"role"`
}

// MemberAction is what admin.member does. Each may be asked for again.
type MemberAction string

// The actions.
const (
	MemberAdd    MemberAction = "add"    // as Role; also to the channel general, unless as a guest
	MemberRole   MemberAction = "role"   // gives them Role
	MemberRemove MemberAction = "remove" // takes them out
)

// MemberRequest asks admin.member to put somebody into a workspace, or to take them out.
type MemberRequest struct {
	Do          MemberAction     `json:"do"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	UserID      chat.UserID      `json:"user_id,omitempty"`
	Login       string           `json:"login,omitempty"`
	Role        chat.Role        `json:"role,omitempty"` // empty with add: member
}

// MemberReply is who it was about, as they are now; without a role they are no member.
type MemberReply struct {
	Member
}

// InviteRequest asks admin.invite for an invite, in the name of the workspace's first owner. Zero fields mean
// the defaults of schemas/rest.
type InviteRequest struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Role        chat.Role        `json:"role,omitempty"`
	ExpiresIn   int64            `json:"expires_in,omitempty"` // seconds
	MaxUses     int              `json:"max_uses,omitempty"`
	ChannelIDs  []chat.ChannelID `json:"channel_ids,omitempty"`
	Email       string           `json:"email,omitempty"`
}

// InviteReply is the invite, with the code, which is told once.
type InviteReply struct {
	InviteID  string    `json:"invite_id"`
	Code      string    `json:"code"`
	URL       string    `json:"url,omitempty"` // empty: the server does not know its own address
	Role      chat.Role `json:"role"`
	Email     string    `json:"email,omitempty"`
	Sent      bool      `json:"sent,omitempty"` // a mail is on its way
	ExpiresAt time.Time `json:"expires_at"`
	MaxUses   int       `json:"max_uses"`
}

// TokenRequest asks admin.token for an access token for an account.
type TokenRequest struct {
	UserID chat.UserID `json:"user_id,omitempty"`
	Login  string      `json:"login,omitempty"`
}

// TokenReply is the token. Whoever has it is that user until it expires.
type TokenReply struct {
	UserID    chat.UserID    `json:"user_id"`
	Login     string         `json:"login"`
	Token     string         `json:"token"`
	SignInID  token.SignInID `json:"sign_in_id"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// SigningKeysRequest asks admin.keys for the keys that sign tokens, after it has made another one if Rotate is set.
type SigningKeysRequest struct {
	Rotate bool `json:"rotate,omitempty"`
}

// SigningKeysReply lists them, the newest first: that one signs. Older ones still verify.
type SigningKeysReply struct {
	Keys []SigningKey `json:"keys"`
}

// SigningKey is a key without its secret half.
type SigningKey struct {
	ID        string    `json:"kid"`
	CreatedAt time.Time `json:"created_at"`
}
