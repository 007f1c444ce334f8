package rest

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/wire"
)

// MaxRequest is the size in bytes of the largest body of a request. A message of chat.MaxBody bytes
// fits also when every byte of it is written as \u0000.
const MaxRequest = 6*chat.MaxBody + 4<<10

// MaxDepth is how deep objects and arrays of a request may lie in one another.
const MaxDepth = 32

// Time is a moment as clients read it: RFC 3339 in UTC with milliseconds.
type Time time.Time

// MarshalJSON writes it as a JSON string.
func (t Time) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(wire.TimeLayout)+2)
	b = append(b, '"')
	b = wire.AppendTime(b, time.Time(t))
	return append(b, '"'), nil
}

// UnmarshalJSON reads what MarshalJSON writes, for clients.
func (t *Time) UnmarshalJSON(b []byte) error {
	var v time.Time
	if err := v.UnmarshalJSON(b); err != nil {
		return err
	}
	*t = Time(v)
	return nil
}

// Login is who asks for a token.
type Login struct {
	Login    string `json:"login"`
	Password string `json:"password"`
	Device   string `json:"device"` // a name for the list of sessions; may be empty
}

// Me is who the token stands for.
type Me struct {
	User       User        `json:"user"`
	Workspaces []Workspace `json:"workspaces"`
}

// User is an account.
type User struct {
	ID          chat.UserID `json:"id"`
	Login       string      `json:"login"`
	DisplayName string      `json:"display_name"`
	Deactivated bool        `json:"deactivated,omitempty"`
}

// UserOf is u as clients read it.
func UserOf(u chat.User) User {
	return User{ID: u.ID, Login: u.Login, DisplayName: u.DisplayName, Deactivated: u.Deactivated}
}

// EditMe gives the one who asks another name.
type EditMe struct {
	DisplayName string `json:"display_name"`
}

// EditWorkspace gives a workspace another name.
type EditWorkspace struct {
	Name string `json:"name"`
}

// EditMember gives a member of a workspace another role, or closes or opens their account. What is absent or null stays.
type EditMember struct {
	Role        *chat.Role `json:"role,omitempty"`
	Deactivated *bool      `json:"deactivated,omitempty"` // of the whole account: for who administers all workspaces of it
}

// NewWorkspace asks for a workspace.
type NewWorkspace struct {
	Name string `json:"name"`
}

// Workspace is a workspace and what the one who asks is in it.
type Workspace struct {
	ID   chat.WorkspaceID `json:"id"`
	Name string           `json:"name"`
	Role chat.Role        `json:"role"`
}

// WorkspaceOf is w as a member of it with that role reads it.
func WorkspaceOf(w chat.Workspace, role chat.Role) Workspace {
	return Workspace{ID: w.ID, Name: w.Name, Role: role}
}

// WorkspaceList is the workspaces of a user, oldest first.
type WorkspaceList struct {
	Workspaces []Workspace `json:"workspaces"`
}

// Member is a person in a workspace or channel.
type Member struct {
	UserID      chat.UserID `json:"user_id"`
	Login       string      `json:"login"`
	DisplayName string      `json:"display_name"`
	Deactivated bool        `json:"deactivated,omitempty"`
	Role        chat.Role   `json:"role,omitempty"` // in the workspace; absent in the list of a channel

	ChannelRole chat.ChannelRole `json:"channel_role,omitempty"` // in the channel; absent in the list of a workspace
}

// MemberOf is u as a member.
func MemberOf(u chat.User, role chat.Role) Member {
	return Member{UserID: u.ID, Login: u.Login, DisplayName: u.DisplayName, Deactivated: u.Deactivated, Role: role}
}

// MemberList is a page of people, by user id.
type MemberList struct {
	Members    []Member `json:"members"`
	NextCursor string   `json:"next_cursor,omitempty"`
}

// NewChannel asks for a public or private channel.
type NewChannel struct {
	Name  string           `json:"name"`
	Type  chat.ChannelType `json:"type"` // public when empty
	Topic string           `json:"topic"`
}

// EditChannel changes a public or private channel. What is absent or null stays as it is.
type EditChannel struct {
	Name     *string `json:"name,omitempty"`
	Topic    *string `json:"topic,omitempty"`
	Archived *bool   `json:"archived,omitempty"` // true; a channel that is archived stays so
}

// NewDirect asks for the direct message channel of these people and the one who asks.
type NewDirect struct {
	UserIDs []chat.UserID `json:"user_ids"`
}

// AddMembers asks to bring people into a channel.
type AddMembers struct {
	UserIDs []chat.UserID `json:"user_ids"`
}

// EditChannelMember gives a member of a channel another role in it.
type EditChannelMember struct {
	Role chat.ChannelRole `json:"role"`
}

// Channel is a channel as the one who asks sees it.
type Channel struct {
	ID          chat.ChannelID   `json:"id"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Name        string           `json:"name"` // empty for dm and group_dm
	Type        chat.ChannelType `json:"type"`
	Topic       string           `json:"topic"`
	CreatorID   chat.UserID      `json:"creator_id"`
	CreatedAt   Time             `json:"created_at"`
	Archived    bool             `json:"archived"`
	Joined      bool             `json:"joined"` // the one who asks is in it
}

// ChannelOf is c as one who is in it, or not, reads it.
func ChannelOf(c chat.Channel, joined bool) Channel {
	return Channel{
		ID: c.ID, WorkspaceID: c.WorkspaceID, Name: c.Name, Type: c.Type, Topic: c.Topic,
		CreatorID: c.CreatorID, CreatedAt: Time(c.CreatedAt), Archived: c.Archived, Joined: joined,
	}
}

// ChannelList is a page of channels, by channel id.
type ChannelList struct {
	Channels   []Channel `json:"channels"`
	NextCursor string    `json:"next_cursor,omitempty"`
}
