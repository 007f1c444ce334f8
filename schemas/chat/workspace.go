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

// rank orders the roles: a higher one may do more.
func (r Role) rank() int {
	switch r {
	case RoleOwner:
		return 4
	case RoleAdmin:
		return 3
	case RoleMember:
		return 2
	case RoleGuest:
		return 1
	}
	return 0
}

// MayInvite reports whether a role may bring somebody into its workspace as another role: administrators may, as
// anything up to what they are; nobody is invited as owner.
func MayInvite(by, as Role) bool {
	return by.Administers() && as.Valid() && as != RoleOwner && as.rank() <= by.rank()
}

// MaySetRole reports whether a role may make a member of its workspace who is one thing another: administrators may,
// of people who are not above them, and to nothing above them.
func MaySetRole(by, from, to Role) bool {
	return by.Administers() && from.Valid() && to.Valid() && from.rank() <= by.rank() && to.rank() <= by.rank()
}

// MayRemoveMember reports whether a role may take somebody of another out of its workspace. Everybody may go
// themselves. That a workspace keeps an owner is for its store to see to.
func MayRemoveMember(by, target Role) bool {
	return by.Administers() && target.Valid() && target.rank() <= by.rank()
}

// MayUpdateWorkspace reports whether a role may give its workspace another name.
func MayUpdateWorkspace(r Role) bool { return r.Administers() }

// A Member is a user in a workspace.
type Member struct {
	WorkspaceID WorkspaceID
	UserID      UserID
	Role        Role
	JoinedSeq   Seq // of the member.joined event; 0 while that is on its way to the log
}
