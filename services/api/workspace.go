package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
)

func (a *API) listWorkspaces(c echo.Context, me entry.Asker) error {
	list, err := a.workspacesOf(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.WorkspaceList{Workspaces: list})
}

func (a *API) createWorkspace(c echo.Context, me entry.Asker) error {
	var in rest.NewWorkspace
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	made, err := a.cfg.Workspaces.CreateWorkspace(c.Request().Context(), me.ID, in.Name)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, rest.WorkspaceOf(made.Workspace, made.Role))
}

func (a *API) workspace(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	m, err := a.cfg.Workspaces.Workspace(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.WorkspaceOf(m.Workspace, m.Role))
}

func (a *API) updateWorkspace(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.EditWorkspace
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	m, err := a.cfg.Workspaces.UpdateWorkspace(c.Request().Context(), me.ID, id, in.Name)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.WorkspaceOf(m.Workspace, m.Role))
}
