package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) listWorkspaces(c echo.Context, me chat.User) error {
	list, err := a.workspacesOf(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.WorkspaceList{Workspaces: list})
}

func (a *API) createWorkspace(c echo.Context, me chat.User) error {
	var in rest.NewWorkspace
	if err := decode(c, &in); err != nil {
		return err
	}
	made, err := a.cfg.Workspaces.CreateWorkspace(c.Request().Context(), me.ID, in.Name)
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, rest.WorkspaceOf(made.Workspace, made.Role))
}

func (a *API) workspace(c echo.Context, me chat.User) error {
	id, err := pathWorkspace(c)
	if err != nil {
		return err
	}
	m, err := a.cfg.Workspaces.Workspace(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.WorkspaceOf(m.Workspace, m.Role))
}

func (a *API) listMembers(c echo.Context, me chat.User) error {
	id, err := pathWorkspace(c)
	if err != nil {
		return err
	}
	after, limit, err := listOf(c, cursorPeople)
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
	return answer(c, http.StatusOK, list)
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
		list.NextCursor = cursorAfter(cursorPeople, string(members[limit-1].UserID))
	}
	return list, nil
}
