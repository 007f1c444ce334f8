package directory

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// MaxWorkspaces is how many workspaces one user may belong to and still create another.
const MaxWorkspaces = 100

// WorkspacesOf lists the workspaces that a user belongs to, oldest first.
func (s *Service) WorkspacesOf(ctx context.Context, user chat.UserID) ([]store.Membership, error) {
	return s.db.WorkspacesOf(ctx, user)
}

// CreateWorkspace makes a workspace that belongs to a user, who must exist.
func (s *Service) CreateWorkspace(ctx context.Context, by chat.UserID, name string) (store.Membership, error) {
	if err := chat.CheckName(name); err != nil {
		return store.Membership{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	have, err := s.db.WorkspacesOf(ctx, by)
	if err != nil {
		return store.Membership{}, err
	}
	if len(have) >= MaxWorkspaces {
		return store.Membership{}, fault.New(fault.Forbidden, "you belong to %d workspaces already", len(have))
	}
	id, err := NewWorkspaceID()
	if err != nil {
		return store.Membership{}, err
	}
	w, err := s.FoundWorkspace(ctx, id, name, by)
	return store.Membership{Role: chat.RoleOwner, Workspace: w}, err
}

// FoundWorkspace makes the workspace with an id that was chosen before, or answers the one that has it already:
// whoever writes the id down first can be cut off and do it again.
func (s *Service) FoundWorkspace(ctx context.Context, id chat.WorkspaceID, name string, owner chat.UserID) (chat.Workspace, error) {
	w := chat.Workspace{ID: id, Name: name, Shard: s.shardOf(id), Epoch: 1, CreatedAt: s.cfg.Now().UTC()}
	err := s.db.CreateWorkspace(ctx, w, owner)
	if fault.Is(err, fault.Conflict) {
		w, err = s.db.Workspace(ctx, id)
	}
	if err != nil {
		return chat.Workspace{}, fmt.Errorf("create a workspace: %w", err)
	}
	return w, s.settleAll(ctx, id, s.cfg.Settle)
}

// Workspace reads a workspace and what a user is in it. It waits until the log has the event of the user's
// joining, so that nothing that they send comes before it.
func (s *Service) Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error) {
	member, err := s.member(ctx, id, by)
	if err != nil {
		return store.Membership{}, err
	}
	if member.JoinedSeq == 0 {
		if err := s.settleAll(ctx, id, s.cfg.Settle); err != nil {
			return store.Membership{}, err
		}
	}
	w, err := s.db.Workspace(ctx, id)
	return store.Membership{Workspace: w, Role: member.Role}, err
}

// member is a user's membership. That there is no such workspace and that it is another's is one answer.
func (s *Service) member(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	member, err := s.db.Member(ctx, ws, user)
	if fault.Is(err, fault.NotFound) {
		return chat.Member{}, fault.Wrap(fault.NotFound, err, "there is no such workspace among yours")
	}
	return member, err
}

// colleague is the membership of somebody that a member of the workspace names.
func (s *Service) colleague(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	member, err := s.db.Member(ctx, ws, user)
	if fault.Is(err, fault.NotFound) {
		return chat.Member{}, fault.Wrap(fault.NotFound, err, "one of user_ids is not a member of the workspace")
	}
	return member, err
}

// Members lists who belongs to the workspace of q, by user id.
func (s *Service) Members(ctx context.Context, q store.PeopleQuery) ([]chat.Member, error) {
	asker, err := s.member(ctx, q.WorkspaceID, q.Asker)
	if err != nil {
		return nil, err
	}
	if !chat.MayListMembers(asker.Role) {
		return nil, fault.New(fault.Forbidden, "a guest sees the members of the channels they are in")
	}
	return s.db.Members(ctx, q.WorkspaceID, q.After, q.Limit)
}
