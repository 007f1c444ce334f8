package accounts

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// SetDeactivated closes an account, or opens it again. An account may belong to several workspaces, and it closes in all
// of them: so it takes an administrator of each, who is not below them in any. Nobody closes their own. Of d it takes
// UserID and Deactivated.
func (s *Service) SetDeactivated(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, d store.Deactivation) (chat.User, error) {
	if err := s.mayClose(ctx, by, ws, d.UserID); err != nil {
		return chat.User{}, err
	}
	d.By = by
	return s.setDeactivated(ctx, d)
}

// mayClose says whether a user may close the account of somebody in one of their workspaces.
func (s *Service) mayClose(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, user chat.UserID) error {
	member, err := s.member(ctx, ws, by)
	if err != nil {
		return err
	}
	if !member.Role.Administers() {
		return fault.New(fault.Forbidden, "administrators may close accounts")
	}
	if by == user {
		return fault.New(fault.Forbidden, "nobody closes or opens their own account")
	}
	if _, err := s.db.Member(ctx, ws, user); fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "they are not a member of the workspace")
	} else if err != nil {
		return err
	}
	mine, err := s.rolesOf(ctx, by)
	if err != nil {
		return err
	}
	theirs, err := s.rolesOf(ctx, user)
	if err != nil {
		return err
	}
	for id, role := range theirs {
		if !chat.MayRemoveMember(mine[id], role) {
			return fault.New(fault.Forbidden, "an account is closed and opened by who administers all of its workspaces and is not below it in any")
		}
	}
	return nil
}

func (s *Service) rolesOf(ctx context.Context, user chat.UserID) (map[chat.WorkspaceID]chat.Role, error) {
	all, err := s.db.WorkspacesOf(ctx, user)
	roles := make(map[chat.WorkspaceID]chat.Role, len(all))
	for _, m := range all {
		roles[m.Workspace.ID] = m.Role
	}
	return roles, err
}

// setDeactivated does it, and waits until the logs of all workspaces have it.
func (s *Service) setDeactivated(ctx context.Context, d store.Deactivation) (chat.User, error) {
	d.At = s.cfg.Now().UTC()
	user, err := s.db.SetDeactivated(ctx, d)
	if fault.Is(err, fault.Conflict) {
		return chat.User{}, fault.Wrap(fault.Conflict, err, "they are the only owner of a workspace: make somebody else one first")
	}
	if err != nil {
		return chat.User{}, fmt.Errorf("close or open an account: %w", err)
	}
	if d.Deactivated {
		s.signedOut()
	}
	all, err := s.db.WorkspacesOf(ctx, d.UserID)
	if err != nil {
		return chat.User{}, err
	}
	return user, s.settleAllOf(ctx, all)
}
