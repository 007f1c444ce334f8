package chat

import "time"

// ChannelType says who can find a channel and how people come into it.
type ChannelType string

// The four types of channels.
const (
	ChannelPublic  ChannelType = "public"
	ChannelPrivate ChannelType = "private"
	ChannelDM      ChannelType = "dm"
	ChannelGroupDM ChannelType = "group_dm"
)

// Valid reports whether t is one of the four types.
func (t ChannelType) Valid() bool { return t.Named() || t.Direct() }

// Named reports whether t is public or private: channels with a name that people create and join.
func (t ChannelType) Named() bool { return t == ChannelPublic || t == ChannelPrivate }

// Direct reports whether t is dm or group_dm: channels that are made of their people.
func (t ChannelType) Direct() bool { return t == ChannelDM || t == ChannelGroupDM }

// A ChannelRole says what a member may do in a channel beyond taking part.
type ChannelRole string

// Roles in a channel. Who creates one is its manager.
const (
	ChannelManager ChannelRole = "manager"
	ChannelMember  ChannelRole = "member"
)

// Valid reports whether r is one of the two roles.
func (r ChannelRole) Valid() bool { return r == ChannelManager || r == ChannelMember }

// A Channel is a stream of messages in a workspace: one subject of its log.
type Channel struct {
	ID          ChannelID
	WorkspaceID WorkspaceID
	Name        string // empty for dm and group_dm
	Type        ChannelType
	Topic       string
	Archived    bool
	CreatorID   UserID
	CreatedAt   time.Time
}

// A Tenure is a time in a channel, in positions of the log: from JoinedSeq on, and, when LeftSeq
// is not 0, up to LeftSeq. Several tenures of one user in one channel do not overlap.
type Tenure struct {
	ChannelID ChannelID
	JoinedSeq Seq // of the member.joined event; 0 while that is on its way to the log
	LeftSeq   Seq // of the member.left event; 0 while the user is a member
}

// Holds reports whether the user was a member at seq: whether an event stored at seq is theirs
// to see. The events of joining and of leaving themselves both are.
func (t Tenure) Holds(seq Seq) bool {
	return t.JoinedSeq != 0 && seq >= t.JoinedSeq && (t.LeftSeq == 0 || seq <= t.LeftSeq)
}

// Standing is what the rules below need to know of a user towards a channel.
type Standing struct {
	Role     Role        // in the workspace; empty: not a member of it
	Type     ChannelType // of the channel
	Archived bool        // the channel
	InIt     bool        // a member of the channel
	Manages  bool        // its manager
}

// MaySee reports whether the channel exists for the user. What one may not see is not_found.
func (s Standing) MaySee() bool {
	return s.Role.Valid() && (s.InIt || (s.Type == ChannelPublic && s.Role != RoleGuest))
}

// MayPost reports whether the user may send, react and pin.
func (s Standing) MayPost() bool { return s.Role.Valid() && s.InIt && !s.Archived }

// MayEdit reports whether the user may change a message's text: only its author may.
func (s Standing) MayEdit(author, user UserID) bool { return s.MayPost() && author == user }

// MayDelete reports whether the user may delete a message: its author and administrators may.
func (s Standing) MayDelete(author, user UserID) bool {
	return s.MayPost() && (author == user || s.Role.Administers())
}

// MayJoin reports whether the user may come in without being added.
func (s Standing) MayJoin() bool { return s.MaySee() && s.Type == ChannelPublic && !s.Archived }

// MayAdd reports whether the user may bring other members of the workspace in. The people of a direct
// message are fixed.
func (s Standing) MayAdd() bool {
	return s.MayPost() && s.Role != RoleGuest && s.Type.Named()
}

// MayLeave reports whether the user may go out. A direct message cannot be left.
func (s Standing) MayLeave() bool { return s.Role.Valid() && s.InIt && s.Type.Named() }

// MayUpdate reports whether the user may give the channel another name or topic. A direct message has neither.
func (s Standing) MayUpdate() bool {
	return s.MayPost() && s.Role != RoleGuest && s.Type.Named()
}

// MayArchive reports whether the user may end the channel: who created it, while they are in it, its managers, and
// administrators, of whatever they see.
func (s Standing) MayArchive(creator, user UserID) bool {
	return s.MaySee() && !s.Archived && s.Type.Named() && (s.Role.Administers() || (s.MayUpdate() && (creator == user || s.Manages)))
}

// MayManage reports whether the user may remove people from the channel and give them roles in it: its managers, and
// administrators of whatever they see. A direct message is its people, and has no roles.
func (s Standing) MayManage() bool {
	return s.MaySee() && s.Type.Named() && (s.Role.Administers() || (s.InIt && s.Manages && s.Role != RoleGuest))
}

// MayCreateChannel reports whether a role may create a channel of type t in its workspace.
func MayCreateChannel(r Role, t ChannelType) bool {
	return r.Valid() && r != RoleGuest && t.Valid()
}
