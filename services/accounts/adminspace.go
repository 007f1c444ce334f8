package accounts

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
)

// Workspaces answers admin.workspaces.
func (a *Admin) Workspaces(ctx context.Context, req rpc.WorkspacesRequest) (rpc.WorkspacesReply, error) {
	limit := limitOf(req.Limit)
	found, err := a.db.ListWorkspaces(ctx, req.After, limit)
	if err != nil {
		return rpc.WorkspacesReply{}, err
	}
	reply := rpc.WorkspacesReply{Workspaces: make([]rpc.Workspace, len(found))}
	for i, w := range found {
		reply.Workspaces[i] = workspaceOf(w)
	}
	if len(found) == limit {
		reply.Next = found[limit-1].ID
	}
	return reply, nil
}

func workspaceOf(w chat.Workspace) rpc.Workspace {
	return rpc.Workspace{WorkspaceID: w.ID, Name: w.Name, Shard: w.Shard, Epoch: w.Epoch, CreatedAt: w.CreatedAt}
}

// Workspace answers admin.workspace.
func (a *Admin) Workspace(ctx context.Context, req rpc.WorkspaceRequest) (rpc.WorkspaceReply, error) {
	switch req.Do {
	case rpc.WorkspaceShow:
	case rpc.WorkspaceAdd:
		owner, err := a.open(ctx, req.UserID, req.Login)
		if err != nil {
			return rpc.WorkspaceReply{}, err
		}
		made, err := a.cfg.Directory.CreateWorkspace(ctx, owner.ID, req.Name)
		if err != nil {
			return rpc.WorkspaceReply{}, err
		}
		req.WorkspaceID, req.After = made.Workspace.ID, ""
	case rpc.WorkspaceRename:
		if err := a.rename(ctx, req.WorkspaceID, req.Name); err != nil {
			return rpc.WorkspaceReply{}, err
		}
	default:
		return rpc.WorkspaceReply{}, fault.New(fault.Invalid, "there is no action %.40q", req.Do)
	}
	w, err := a.workspace(ctx, req.WorkspaceID)
	if err != nil {
		return rpc.WorkspaceReply{}, err
	}
	reply := rpc.WorkspaceReply{Workspace: workspaceOf(w)}
	reply.Members, reply.Next, err = a.members(ctx, req)
	return reply, err
}

// open is an account that is named and not closed.
func (a *Admin) open(ctx context.Context, id chat.UserID, login string) (chat.User, error) {
	user, err := a.find(ctx, id, login)
	if err == nil && user.Deactivated {
		err = fault.New(fault.Conflict, "the account is closed: activate it first")
	}
	return user, err
}

func (a *Admin) workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error) {
	w, err := a.db.Workspace(ctx, id)
	if fault.Is(err, fault.NotFound) {
		err = fault.Wrap(fault.NotFound, err, "there is no workspace %.40q", id)
	}
	return w, err
}

func (a *Admin) rename(ctx context.Context, ws chat.WorkspaceID, name string) error {
	if err := chat.CheckName(name); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	by, err := a.firstOwner(ctx, ws)
	if err != nil {
		return err
	}
	if _, err := a.db.UpdateWorkspace(ctx, ws, by, name); err != nil {
		return fmt.Errorf("change a workspace: %w", err)
	}
	return a.cfg.Directory.Settle(ctx, ws)
}

// firstOwner is in whose name a workspace is changed: see Admin.
func (a *Admin) firstOwner(ctx context.Context, ws chat.WorkspaceID) (chat.UserID, error) {
	if _, err := a.workspace(ctx, ws); err != nil {
		return "", err
	}
	for after := chat.UserID(""); ; {
		page, err := a.db.Members(ctx, ws, after, chat.MaxPageSize)
		if err != nil {
			return "", err
		}
		for _, m := range page {
			if after = m.UserID; m.Role != chat.RoleOwner {
				continue
			}
			user, err := a.db.User(ctx, m.UserID)
			if err != nil {
				return "", err
			}
			if !user.Deactivated {
				return user.ID, nil
			}
		}
		if len(page) < chat.MaxPageSize {
			return "", fault.New(fault.Conflict, "the workspace has no owner whose account is open")
		}
	}
}

// members is a page of the members of a workspace, with their names.
func (a *Admin) members(ctx context.Context, req rpc.WorkspaceRequest) (members []rpc.Member, next chat.UserID, err error) {
	limit := limitOf(req.Limit)
	page, err := a.db.Members(ctx, req.WorkspaceID, req.After, limit)
	if err != nil {
		return nil, "", err
	}
	ids := make([]chat.UserID, len(page))
	for i, m := range page {
		ids[i] = m.UserID
	}
	users, err := a.db.UsersByID(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	byID := make(map[chat.UserID]chat.User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	members = make([]rpc.Member, len(page))
	for i, m := range page {
		members[i] = memberOf(byID[m.UserID], m.Role)
	}
	if len(page) == limit {
		next = page[limit-1].UserID
	}
	return members, next, nil
}

func memberOf(u chat.User, role chat.Role) rpc.Member {
	return rpc.Member{UserID: u.ID, Login: u.Login, DisplayName: u.DisplayName, Deactivated: u.Deactivated, Role: role}
}

// Member answers admin.member.
func (a *Admin) Member(ctx context.Context, req rpc.MemberRequest) (rpc.MemberReply, error) {
	if req.Role == "" && req.Do == rpc.MemberAdd {
		req.Role = chat.RoleMember
	}
	if !req.Role.Valid() && req.Do != rpc.MemberRemove {
		return rpc.MemberReply{}, fault.New(fault.Invalid, "role is owner, admin, member or guest")
	}
	user, err := a.find(ctx, req.UserID, req.Login)
	if err != nil {
		return rpc.MemberReply{}, err
	}
	by, err := a.firstOwner(ctx, req.WorkspaceID)
	if err != nil {
		return rpc.MemberReply{}, err
	}
	switch req.Do {
	case rpc.MemberAdd:
		err = a.addMember(ctx, by, user, chat.Member{WorkspaceID: req.WorkspaceID, UserID: user.ID, Role: req.Role})
	case rpc.MemberRole:
		_, err = a.db.SetRole(ctx, store.RoleChange{WorkspaceID: req.WorkspaceID, UserID: user.ID, By: by, Role: req.Role})
	case rpc.MemberRemove:
		_, err = a.db.RemoveMember(ctx, req.WorkspaceID, by, user.ID)
		if fault.Is(err, fault.NotFound) { // they have gone already
			err = nil
		}
	default:
		err = fault.New(fault.Invalid, "there is no action %.40q", req.Do)
	}
	if err != nil {
		return rpc.MemberReply{}, aboutMember(err)
	}
	if err := a.cfg.Directory.Settle(ctx, req.WorkspaceID); err != nil {
		return rpc.MemberReply{}, err
	}
	member, err := a.db.Member(ctx, req.WorkspaceID, user.ID)
	if fault.Is(err, fault.NotFound) {
		err = nil // they are none now: the role is empty
	}
	return rpc.MemberReply{Member: memberOf(user, member.Role)}, err
}

// aboutMember says for people what a store's refusal to change a member means.
func aboutMember(err error) error {
	switch fault.KindOf(err) {
	case fault.NotFound:
		return fault.Wrap(fault.NotFound, err, "they are not a member of the workspace")
	case fault.Conflict:
		return fault.Wrap(fault.Conflict, err, "a workspace keeps an owner: make somebody else one first")
	}
	return err
}

// addMember makes somebody a member, and brings them into the channel general unless they are a guest.
func (a *Admin) addMember(ctx context.Context, by chat.UserID, user chat.User, m chat.Member) error {
	if user.Deactivated {
		return fault.New(fault.Invalid, "the account is closed: activate it first")
	}
	if err := a.db.AddMembers(ctx, by, []chat.Member{m}); err != nil {
		return err
	}
	if m.Role == chat.RoleGuest {
		return nil
	}
	channels, err := a.generalOf(ctx, m.WorkspaceID, by, chat.RoleOwner)
	if err != nil || len(channels) == 0 {
		return err
	}
	_, err = a.db.SetMembers(ctx, store.MemberChange{ChannelID: channels[0], By: by, UserIDs: []chat.UserID{m.UserID}})
	return err
}

// Invite answers admin.invite.
func (a *Admin) Invite(ctx context.Context, req rpc.InviteRequest) (rpc.InviteReply, error) {
	by, err := a.firstOwner(ctx, req.WorkspaceID)
	if err != nil {
		return rpc.InviteReply{}, err
	}
	if req.ExpiresIn < 0 || req.ExpiresIn > math.MaxInt64/int64(time.Second) {
		req.ExpiresIn = math.MaxInt64 / int64(time.Second) // it is refused as too long, instead of turning into something else
	}
	made, err := a.CreateInvite(ctx, store.NewInvite{
		WorkspaceID: req.WorkspaceID, By: by, Role: req.Role, Life: time.Duration(req.ExpiresIn) * time.Second,
		MaxUses: req.MaxUses, ChannelIDs: req.ChannelIDs, Address: req.Email,
	})
	if err != nil {
		return rpc.InviteReply{}, err
	}
	return rpc.InviteReply{
		InviteID: string(made.ID), Code: made.Secret, URL: made.URL, Role: made.Role, Email: made.Address, Sent: made.Sent,
		ExpiresAt: made.ExpiresAt, MaxUses: made.MaxUses,
	}, nil
}
