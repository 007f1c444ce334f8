package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) listMembers(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	after, limit, err := entry.Page(c, cursorPeople)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	members, err := a.cfg.People.Members(ctx, store.PeopleQuery{
		WorkspaceID: id, Asker: me.ID, After: chat.UserID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	list, err := a.memberList(ctx, members, limit)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, list)
}

func (a *API) listChannelMembers(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	after, limit, err := entry.Page(c, cursorPeople)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	ids, err := a.cfg.People.ChannelMembers(ctx, store.PeopleQuery{
		ChannelID: id, Asker: me.ID, After: chat.UserID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	roles, err := a.cfg.Roles.ChannelRoles(ctx, me.ID, id, ids)
	if err != nil {
		return err
	}
	members := make([]chat.Member, len(ids))
	for i, user := range ids {
		members[i].UserID = user
	}
	list, err := a.memberList(ctx, members, limit)
	if err != nil {
		return err
	}
	for i, m := range list.Members {
		list.Members[i].ChannelRole = roles[m.UserID]
	}
	return entry.Answer(c, http.StatusOK, list)
}

// memberList adds what the accounts of a page of members say.
func (a *API) memberList(ctx context.Context, members []chat.Member, limit int) (rest.MemberList, error) {
	ids := make([]chat.UserID, len(members))
	for i, m := range members {
		ids[i] = m.UserID
	}
	users, err := a.cfg.Accounts.Users(ctx, ids)
	if err != nil {
		return rest.MemberList{}, err
	}
	byID := make(map[chat.UserID]chat.User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	list := rest.MemberList{Members: make([]rest.Member, 0, len(members))}
	for _, m := range members {
		list.Members = append(list.Members, rest.MemberOf(byID[m.UserID], m.Role))
	}
	if len(members) == limit {
		list.NextCursor = entry.CursorAfter(cursorPeople, string(members[limit-1].UserID))
	}
	return list, nil
}

// updateMember gives a member another role and then closes or opens their account. When the second is refused the first
// is done: asking again changes nothing that is so already.
func (a *API) updateMember(c echo.Context, me entry.Asker) error {
	id, user, err := pathMember(c)
	if err != nil {
		return err
	}
	var in rest.EditMember
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	ctx := c.Request().Context()
	if in.Role != nil {
		if !in.Role.Valid() {
			return fault.New(fault.Invalid, "role is owner, admin, member or guest")
		}
		if _, err := a.cfg.Roles.SetRole(ctx, store.RoleChange{WorkspaceID: id, UserID: user, By: me.ID, Role: *in.Role}); err != nil {
			return err
		}
	}
	if in.Deactivated != nil {
		if _, err := a.cfg.Roles.SetDeactivated(ctx, me.ID, id, store.Deactivation{UserID: user, By: me.ID, Deactivated: *in.Deactivated}); err != nil {
			return err
		}
	}
	if in.Role == nil && in.Deactivated == nil {
		return fault.New(fault.Invalid, "give role or deactivated")
	}
	account, err := a.cfg.Accounts.User(ctx, user)
	if err != nil {
		return err
	}
	is, err := a.cfg.Workspaces.Workspace(ctx, user, id) // as they see it: with their role
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.MemberOf(account, is.Role))
}

func pathMember(c echo.Context) (chat.WorkspaceID, chat.UserID, error) {
	id, err := entry.Workspace(c)
	if err != nil {
		return "", "", err
	}
	user, err := entry.UserOf(c)
	return id, user, err
}

// removeMember takes somebody out of a workspace, or oneself.
func (a *API) removeMember(c echo.Context, me entry.Asker) error {
	id, user, err := pathMember(c)
	if err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Roles.RemoveMember(c.Request().Context(), me.ID, id, user))
}

func (a *API) addMembers(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	var in rest.AddMembers
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if err := entry.CheckUserIDs(in.UserIDs); err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Joining.AddMembers(c.Request().Context(), me.ID, id, in.UserIDs))
}

func pathChannelMember(c echo.Context) (chat.ChannelID, chat.UserID, error) {
	id, err := entry.Channel(c)
	if err != nil {
		return "", "", err
	}
	user, err := entry.UserOf(c)
	return id, user, err
}

func (a *API) updateChannelMember(c echo.Context, me entry.Asker) error {
	id, user, err := pathChannelMember(c)
	if err != nil {
		return err
	}
	var in rest.EditChannelMember
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if !in.Role.Valid() {
		return fault.New(fault.Invalid, "role is manager or member")
	}
	ctx := c.Request().Context()
	if err := a.cfg.Roles.SetChannelRole(ctx, store.ChannelRoleChange{ChannelID: id, UserID: user, By: me.ID, Role: in.Role}); err != nil {
		return err
	}
	account, err := a.cfg.Accounts.User(ctx, user)
	if err != nil {
		return err
	}
	member := rest.MemberOf(account, "")
	member.ChannelRole = in.Role
	return entry.Answer(c, http.StatusOK, member)
}

func (a *API) removeChannelMember(c echo.Context, me entry.Asker) error {
	id, user, err := pathChannelMember(c)
	if err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Roles.RemoveFromChannel(c.Request().Context(), me.ID, id, user))
}
