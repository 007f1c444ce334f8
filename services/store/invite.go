package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// InviteID names an invite to those who manage it. It is not the code that lets people in.
type InviteID string

// Invites are what brings people into a workspace.
type Invites interface {
	// AddInvite keeps an invite. Forbidden: the workspace has chat.MaxInvites open ones. NotFound: no such workspace, or a
	// channel of it that is not there.
	AddInvite(ctx context.Context, i Invite) error
	// InviteOf reads an invite by the secret of its code, whatever became of it. NotFound.
	InviteOf(ctx context.Context, code Secret) (Invite, error)
	// Invites lists the invites of a workspace that are open at a moment, by id, after the given one, at most limit.
	Invites(ctx context.Context, q InviteQuery) ([]Invite, error)
	// RevokeInvite ends an invite of a workspace. NotFound. One that has ended stays so.
	RevokeInvite(ctx context.Context, workspace chat.WorkspaceID, id InviteID, at time.Time) error
	// AcceptInvite brings somebody in: it counts the use, makes the account when New is set, makes them a member with the
	// invite's role and its event, and then a member of the invite's channels that are not archived, with their events, all
	// or nothing. Who is a member already uses nothing and stays as they are. Gone ones are NotFound: revoked, lapsed, or
	// used up. Conflict: the login of New is taken.
	AcceptInvite(ctx context.Context, a Acceptance) (Invite, error)
}

// Invite lets people who have its code into a workspace.
type Invite struct {
	ID          InviteID
	WorkspaceID chat.WorkspaceID
	Code        Secret
	Role        chat.Role
	ChannelIDs  []chat.ChannelID // public or private channels that they join, in this order
	Address     string           // of e-mail that it was sent to; empty: a link for anybody
	By          chat.UserID
	CreatedAt   time.Time
	ExpiresAt   time.Time
	MaxUses     int
	Uses        int
	RevokedAt   time.Time // zero: it was not
}

// Open reports whether the invite lets somebody in at a moment.
func (i Invite) Open(at time.Time) bool {
	return i.RevokedAt.IsZero() && at.Before(i.ExpiresAt) && i.Uses < i.MaxUses
}

// InviteQuery says which invites to list.
type InviteQuery struct {
	WorkspaceID chat.WorkspaceID
	At          time.Time
	After       InviteID
	Limit       int
}

// Acceptance is somebody who comes in by an invite: with a new account, or with the one they have.
type Acceptance struct {
	Code Secret
	At   time.Time
	New  *NewUser    // with its id; nil: an account that exists
	User chat.UserID // when New is nil
}
