package directory

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// UpdateWorkspace gives a workspace another name.
func (s *Service) UpdateWorkspace(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, name string) (store.Membership, error) {
	if err := chat.CheckName(name); err != nil {
		return store.Membership{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	member, err := s.member(ctx, ws, by)
	if err != nil {
		return store.Membership{}, err
	}
	if !chat.MayUpdateWorkspace(member.Role) {
		return store.Membership{}, fault.New(fault.Forbidden, "administrators may change the name of a workspace")
	}
	last, err := s.db.UpdateWorkspace(ctx, ws, by, name)
	if err != nil {
		return store.Membership{}, fmt.Errorf("change a workspace: %w", err)
	}
	w, err := s.db.Workspace(ctx, ws)
	if err != nil {
		return store.Membership{}, err
	}
	return store.Membership{Workspace: w, Role: member.Role}, s.settleUpTo(ctx, ws, last)
}

// settleUpTo waits until the log has a change that was just made, up to the row last of the outbox. When nothing
// changed, an earlier try may have been told that the log did not answer: then its event is what is owed.
func (s *Service) settleUpTo(ctx context.Context, ws chat.WorkspaceID, last store.OutboxID) error {
	if last == 0 {
		return s.settleAll(ctx, ws, s.cfg.Settle)
	}
	return s.settle(ctx, ws, last, s.cfg.Settle)
}

// SetRole gives a member of a workspace another role.
func (s *Service) SetRole(ctx context.Context, c store.RoleChange) (chat.Member, error) {
	if !c.Role.Valid() {
		return chat.Member{}, fault.New(fault.Invalid, "role is owner, admin, member or guest")
	}
	member, target, err := s.overMember(ctx, c.WorkspaceID, c.By, c.UserID)
	if err != nil {
		return chat.Member{}, err
	}
	if !chat.MaySetRole(member.Role, target.Role, c.Role) {
		return chat.Member{}, fault.New(fault.Forbidden, "you may not make this member %s", c.Role)
	}
	last, err := s.db.SetRole(ctx, c)
	if err != nil {
		return chat.Member{}, keepsAnOwner(err, "change a role")
	}
	target.Role = c.Role
	return target, s.settleUpTo(ctx, c.WorkspaceID, last)
}

// RemoveMember takes somebody out of a workspace. Everybody may go themselves.
func (s *Service) RemoveMember(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, user chat.UserID) error {
	if by == user {
		if _, err := s.member(ctx, ws, by); err != nil {
			return err
		}
	} else {
		member, target, err := s.overMember(ctx, ws, by, user)
		if err != nil {
			return err
		}
		if !chat.MayRemoveMember(member.Role, target.Role) {
			return fault.New(fault.Forbidden, "you may not remove somebody who is above you")
		}
	}
	last, err := s.db.RemoveMember(ctx, ws, by, user)
	if err != nil {
		return keepsAnOwner(err, "remove a member")
	}
	return s.settleUpTo(ctx, ws, last)
}

// overMember is an administrator of a workspace and a member whom they name. Who does not administer it does not
// learn whether there is such a member.
func (s *Service) overMember(ctx context.Context, ws chat.WorkspaceID, by, user chat.UserID) (member, target chat.Member, err error) {
	if member, err = s.member(ctx, ws, by); err != nil {
		return chat.Member{}, chat.Member{}, err
	}
	if !member.Role.Administers() {
		return chat.Member{}, chat.Member{}, fault.New(fault.Forbidden, "administrators may do that")
	}
	target, err = s.db.Member(ctx, ws, user)
	if fault.Is(err, fault.NotFound) {
		err = fault.Wrap(fault.NotFound, err, "they are not a member of the workspace")
	}
	return member, target, err
}

// keepsAnOwner says for people what a store's Conflict means.
func keepsAnOwner(err error, what string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "a workspace keeps an owner: make somebody else one first")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// SetChannelRole gives a member of a channel another role in it. The last manager may stop being one: administrators
// remain.
func (s *Service) SetChannelRole(ctx context.Context, c store.ChannelRoleChange) error {
	if !c.Role.Valid() {
		return fault.New(fault.Invalid, "role is manager or member")
	}
	channel, standing, err := s.Channel(ctx, c.By, c.ChannelID)
	if err != nil {
		return err
	}
	if !standing.MayManage() {
		return fault.New(fault.Forbidden, "managers of a channel and administrators may do that")
	}
	last, err := s.db.SetChannelRole(ctx, c)
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "they are not in the channel")
	}
	if err != nil {
		return fmt.Errorf("change a role in a channel: %w", err)
	}
	return s.settleUpTo(ctx, channel.WorkspaceID, last)
}

// RemoveFromChannel takes somebody out of a channel. A member of the workspace who is not in it stays so. For oneself it
// is Leave.
func (s *Service) RemoveFromChannel(ctx context.Context, by chat.UserID, ch chat.ChannelID, user chat.UserID) error {
	if by == user {
		return s.Leave(ctx, by, ch)
	}
	channel, standing, err := s.Channel(ctx, by, ch)
	if err != nil {
		return err
	}
	if !standing.MayManage() {
		return fault.New(fault.Forbidden, "managers of a channel and administrators may remove people from it")
	}
	switch _, err := s.db.Member(ctx, channel.WorkspaceID, user); {
	case fault.Is(err, fault.NotFound):
		return fault.Wrap(fault.NotFound, err, "they are not a member of the workspace")
	case err != nil:
		return fmt.Errorf("take somebody out of a channel: %w", err)
	}
	return s.setMembers(ctx, channel.WorkspaceID, store.MemberChange{
		ChannelID: ch, By: by, UserIDs: []chat.UserID{user}, Leave: true,
	})
}

// ChannelRoles reads the roles of those among users who are in a channel that by may see.
func (s *Service) ChannelRoles(ctx context.Context, by chat.UserID, ch chat.ChannelID, users []chat.UserID) (map[chat.UserID]chat.ChannelRole, error) {
	if _, _, err := s.Channel(ctx, by, ch); err != nil || len(users) == 0 {
		return nil, err
	}
	return s.db.ChannelRoles(ctx, ch, users)
}
