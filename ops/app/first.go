package app

import (
	"context"

	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/demo"
)

// makeFirst gives a new deployment its first content: the demo, or, when it shall be empty, the invitation to the first
// visitor. Where the roles are processes of their own, nobody makes a demo.
func (a *App) makeFirst(ctx context.Context) error {
	needed, err := a.api.accounts.NeedsSetup(ctx)
	if err != nil {
		return err
	}
	planned := a.folder.Secrets.Demo.WorkspaceID != ""
	switch {
	case needed && !a.whole(): // a role's output ends up in logs that many read: the code is not in it
		a.log.Warn("nobody has an account yet: canopy setup makes the first one, with the setup_code of secrets.json in the data folder", "url", a.publicURL())
	case !a.whole():
	case planned, needed && !a.cfg.Empty:
		return a.makeDemo(ctx)
	case needed:
		a.running.Setup = Setup{URL: a.publicURL() + "/setup", Code: a.folder.Secrets.Setup}
	}
	return nil
}

func (a *App) makeDemo(ctx context.Context) error {
	town := demo.Town{Folder: a.folder, Store: a.directory, Passwords: a.api.passwords, Directory: a.rules.Directory, Log: a.rules.Submitter}
	if err := town.Make(ctx); err != nil {
		return err
	}
	made := a.folder.Secrets.Demo
	a.running.Workspace = Workspace{ID: made.WorkspaceID, Name: made.Name}
	for _, l := range made.Logins {
		a.running.Logins = append(a.running.Logins, Login{Login: l.Login, Password: l.Password})
	}
	return nil
}

// setupCode is what lets the first visitor in. Folders of older builds get one.
func (a *App) setupCode() (string, error) {
	if a.folder.Secrets.Setup != "" {
		return a.folder.Secrets.Setup, nil
	}
	a.folder.Secrets.Setup = datadir.Password()
	return a.folder.Secrets.Setup, a.folder.Save()
}
