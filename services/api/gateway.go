package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
)

// listGateways answers the gateways for one workspace of the one who asks: the only one, when it is not named.
func (a *API) listGateways(c echo.Context, me entry.Asker) error {
	ctx := c.Request().Context()
	id, region := chat.WorkspaceID(c.QueryParam("workspace")), c.QueryParam("region")
	if region != "" && !chat.IsID(region) {
		return fault.New(fault.Invalid, "region: %v", chat.ErrBadID)
	}
	if id == "" {
		mine, err := a.cfg.Workspaces.WorkspacesOf(ctx, me.ID)
		if err != nil {
			return err
		}
		if len(mine) != 1 {
			return fault.New(fault.Invalid, "say which workspace: ?workspace=<id>")
		}
		id = mine[0].Workspace.ID
	} else {
		if _, err := chat.ParseWorkspaceID(string(id)); err != nil {
			return fault.Wrap(fault.Invalid, err, "workspace: %v", chat.ErrBadID)
		}
		if _, err := a.cfg.Workspaces.Workspace(ctx, me.ID, id); err != nil {
			return err
		}
	}
	live := a.cfg.Gateways.Gateways(id, region)
	list := rest.GatewayList{Gateways: make([]rest.Gateway, len(live))}
	for i, p := range live {
		list.Gateways[i] = rest.Gateway{ID: p.ID, URL: p.URL, Region: p.Region, Sockets: p.Sockets, Max: p.MaxSockets, Draining: p.Draining}
	}
	return entry.Answer(c, http.StatusOK, list)
}
