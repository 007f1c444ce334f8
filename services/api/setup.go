package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

// guessCost is how many requests of an address a wrong setup code counts for, besides the one that it came in.
const guessCost = 20

func (a *API) setupState(c echo.Context) error {
	needed, err := a.needsSetup(c)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.SetupState{Needed: needed && a.cfg.SetupCode != ""})
}

func (a *API) needsSetup(c echo.Context) (bool, error) {
	return a.cfg.Founding.NeedsSetup(c.Request().Context())
}

func (a *API) setup(c echo.Context) error {
	var in rest.Setup
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	device, err := a.device(c, in.Device)
	if err != nil {
		return err
	}
	needed, err := a.needsSetup(c)
	if err != nil {
		return err
	}
	if !needed {
		return fault.New(fault.Conflict, "this server is set up already: sign in, or ask for an invite")
	}
	if err := a.checkSetupCode(c, in.Code); err != nil {
		return err
	}
	owner, err := a.cfg.Founding.Setup(c.Request().Context(), in.Workspace, store.Newcomer{
		Login: in.Login, DisplayName: in.DisplayName, Password: in.Password,
	})
	if err != nil {
		return err
	}
	return a.begin(c, owner, device)
}

// checkSetupCode takes as long for a code that is nearly right as for any other, and makes guessing slow.
func (a *API) checkSetupCode(c echo.Context, code string) error {
	given, want := sha256.Sum256([]byte(code)), sha256.Sum256([]byte(a.cfg.SetupCode))
	if a.cfg.SetupCode != "" && subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
		return nil
	}
	for range guessCost {
		if err := a.entry.Charge(c); err != nil {
			return err
		}
	}
	return fault.New(fault.Forbidden, "the setup code is not the one that this server printed when it started")
}
