package chat

import "time"

// A Workspace is an organisation's space and the log that belongs to it.
type Workspace struct {
	ID        WorkspaceID
	Name      string
	Shard     int   // the CHAT stream its log lies in; written down when it is created
	Epoch     Epoch // the incarnation of its log
	CreatedAt time.Time
}

// A User is a person's account on this deployment.
type User struct {
	ID          UserID
	Login       string
	DisplayName string
	Deactivated bool
	CreatedAt   time.Time
}

// A Role says what a member may do in a workspace.
type Role string

// Roles, from the most to the least powerful. A guest sees only the channels they are in.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
	RoleGuest  Role = "guest"
)

// Valid reports whether r is one of the four roles.
func (r Role) Valid() bool {
	return r == RoleOwner || r == RoleAdmin || r == RoleMember || r == RoleGuest
}

// Administers reports whether r is owner or admin.
func (r Role) Administers() bool { return r == RoleOwner || r == RoleAdmin }

// MayListMembers reports whether a role may see who belongs to its workspace: a guest sees the people
// of the channels they are in, and nobody else.
func MayListMembers(r Role) bool { return r.Valid() && r != RoleGuest }

// A Member is a user in a workspace.
type Member struct {
	WorkspaceID WorkspaceID
	UserID      UserID
	Role        Role
	JoinedSeq   Seq // of the member.joined event; 0 while that is on its way to the log
}
