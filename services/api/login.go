package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

func (a *API) login(c echo.Context) error {
	var in rest.Login
	if err := decode(c, &in); err != nil {
		return err
	}
	ctx := c.Request().Context()
	user, issued, err := a.cfg.SignIns.Login(ctx, in.Login, in.Password)
	if err != nil {
		return err
	}
	workspaces, err := a.workspacesOf(ctx, user.ID)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.SignedIn{
		Token: issued.Token, ExpiresIn: int64(issued.Lifetime() / time.Second), User: rest.UserOf(user), Workspaces: workspaces,
	})
}

func (a *API) me(c echo.Context, me chat.User) error {
	workspaces, err := a.workspacesOf(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.Me{User: rest.UserOf(me), Workspaces: workspaces})
}

func (a *API) updateMe(c echo.Context, me chat.User) error {
	var in rest.EditMe
	if err := decode(c, &in); err != nil {
		return err
	}
	user, err := a.cfg.Editing.UpdateProfile(c.Request().Context(), me.ID, in.DisplayName)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.UserOf(user))
}

func (a *API) workspacesOf(ctx context.Context, user chat.UserID) ([]rest.Workspace, error) {
	all, err := a.cfg.Workspaces.WorkspacesOf(ctx, user)
	if err != nil {
		return nil, err
	}
	list := make([]rest.Workspace, len(all))
	for i, m := range all {
		list[i] = rest.WorkspaceOf(m.Workspace, m.Role)
	}
	return list, nil
}
