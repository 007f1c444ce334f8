package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) login(c echo.Context) error {
	var in rest.Login
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	device, err := a.device(c, in.Device)
	if err != nil {
		return err
	}
	signed, err := a.cfg.SignIns.Login(c.Request().Context(), in.Login, in.Password, device)
	if err != nil {
		return err
	}
	return a.signedIn(c, http.StatusOK, signed)
}

// device is from where somebody signs in.
func (a *API) device(c echo.Context, name string) (store.Device, error) {
	if err := chat.CheckDevice(name); err != nil {
		return store.Device{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	d := store.Device{Name: name}
	if from := a.entry.Address(c); from.IsValid() {
		d.Address = from.String()
	}
	return d, nil
}

// begin signs somebody in whom a handler has made.
func (a *API) begin(c echo.Context, user chat.User, d store.Device) error {
	signed, err := a.cfg.SignIns.Begin(c.Request().Context(), user, d)
	if err != nil {
		return err
	}
	return a.signedIn(c, http.StatusCreated, signed)
}

func (a *API) signedIn(c echo.Context, status int, s store.SignedIn) error {
	workspaces, err := a.workspacesOf(c.Request().Context(), s.User.ID)
	if err != nil {
		return err
	}
	return entry.Answer(c, status, rest.SignedIn{Tokens: tokensOf(s), User: rest.UserOf(s.User), Workspaces: workspaces})
}

func tokensOf(s store.SignedIn) rest.Tokens {
	return rest.Tokens{
		Token: s.Issued.Token, ExpiresIn: int64(s.Issued.Lifetime() / time.Second),
		RefreshToken: s.Refresh, SessionID: s.SignIn.ID,
	}
}

func (a *API) refresh(c echo.Context) error {
	var in rest.Refresh
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	device, err := a.device(c, "")
	if err != nil {
		return err
	}
	signed, err := a.cfg.SignIns.Refresh(c.Request().Context(), in.RefreshToken, device)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, tokensOf(signed))
}

// logout ends the sign-in that asks. One that is not there any more has ended.
func (a *API) logout(c echo.Context, me entry.Asker) error {
	err := a.cfg.Sessions.Revoke(c.Request().Context(), me.ID, me.Claims.SignInID)
	if fault.Is(err, fault.NotFound) {
		err = nil
	}
	return entry.Done(c, err)
}

func (a *API) ticket(c echo.Context, me entry.Asker) error {
	ticket, life, err := a.cfg.SignIns.Ticket(c.Request().Context(), me.Claims)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, rest.Ticket{Ticket: ticket, ExpiresIn: int64(life / time.Second)})
}

func (a *API) me(c echo.Context, me entry.Asker) error {
	workspaces, err := a.workspacesOf(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.Me{User: rest.UserOf(me.User), Workspaces: workspaces})
}

func (a *API) updateMe(c echo.Context, me entry.Asker) error {
	var in rest.EditMe
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	user, err := a.cfg.Editing.UpdateProfile(c.Request().Context(), me.ID, in.DisplayName)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.UserOf(user))
}

func (a *API) changePassword(c echo.Context, me entry.Asker) error {
	var in rest.NewPassword
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	return entry.Done(c, a.cfg.SignIns.ChangePassword(c.Request().Context(), me.Claims, in.Old, in.New))
}

func (a *API) listSessions(c echo.Context, me entry.Asker) error {
	all, err := a.cfg.Sessions.List(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	list := rest.SessionList{Sessions: make([]rest.Session, len(all))}
	for i, s := range all {
		list.Sessions[i] = rest.Session{
			ID: s.ID, Device: s.Device, Address: s.Address, Current: s.ID == me.Claims.SignInID,
			CreatedAt: rest.Time(s.CreatedAt), UsedAt: rest.Time(s.UsedAt), ExpiresAt: rest.Time(s.ExpiresAt),
		}
	}
	return entry.Answer(c, http.StatusOK, list)
}

func (a *API) revokeOthers(c echo.Context, me entry.Asker) error {
	return entry.Done(c, a.cfg.Sessions.RevokeOthers(c.Request().Context(), me.ID, me.Claims.SignInID))
}

func (a *API) revokeSession(c echo.Context, me entry.Asker) error {
	id, err := entry.Session(c)
	if err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Sessions.Revoke(c.Request().Context(), me.ID, id))
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
