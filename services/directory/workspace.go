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

// General is the public channel that a workspace begins with.
const General = "general"

// CreateWorkspace makes a workspace that belongs to a user, who must exist, with the channel General and them in it.
func (s *Service) CreateWorkspace(ctx context.Context, by chat.UserID, name string) (store.Membership, error) {
	have, err := s.db.WorkspacesOf(ctx, by)
	if err != nil {
		return store.Membership{}, err
	}
	if len(have) >= MaxWorkspaces {
		return store.Membership{}, fault.New(fault.Forbidden, "you belong to %d workspaces already", len(have))
	}
	w, general, err := s.Draft(name, by)
	if err != nil {
		return store.Membership{}, err
	}
	if err := s.db.CreateWorkspace(ctx, w, by); err != nil {
		return store.Membership{}, fmt.Errorf("create a workspace: %w", err)
	}
	// A process that dies here leaves a workspace without its first channel. Its owner sees it, and can make one.
	if err := s.db.CreateChannel(ctx, general, []chat.UserID{by}); err != nil {
		return store.Membership{}, fmt.Errorf("create the first channel of a workspace: %w", err)
	}
	return store.Membership{Role: chat.RoleOwner, Workspace: w}, s.settleAll(ctx, w.ID, s.cfg.Settle)
}

// Draft is a workspace that is to be made, with its channel General. It keeps nothing.
func (s *Service) Draft(name string, owner chat.UserID) (chat.Workspace, chat.Channel, error) {
	if err := chat.CheckName(name); err != nil {
		return chat.Workspace{}, chat.Channel{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	id, err := NewWorkspaceID()
	if err != nil {
		return chat.Workspace{}, chat.Channel{}, err
	}
	channel, err := newID[chat.ChannelID]()
	if err != nil {
		return chat.Workspace{}, chat.Channel{}, err
	}
	now := s.cfg.Now().UTC()
	return chat.Workspace{ID: id, Name: name, Shard: s.shardOf(id), Epoch: 1, CreatedAt: now}, chat.Channel{
		ID: channel, WorkspaceID: id, Name: General, Type: chat.ChannelPublic, CreatorID: owner, CreatedAt: now,
	}, nil
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

// colleagues checks people whom a member of the workspace names: all are members, and their accounts are open.
func (s *Service) colleagues(ctx context.Context, ws chat.WorkspaceID, users []chat.UserID) error {
	for _, user := range users {
		_, err := s.db.Member(ctx, ws, user)
		if fault.Is(err, fault.NotFound) {
			return fault.Wrap(fault.NotFound, err, "one of user_ids is not a member of the workspace")
		}
		if err != nil {
			return err
		}
	}
	accounts, err := s.db.UsersByID(ctx, users)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if account.Deactivated {
			return fault.New(fault.Conflict, "the account of one of user_ids is closed")
		}
	}
	return nil
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
