package app

import (
	"context"

	"github.com/canopychat/canopy/ops/config"
)

// writeRunFile tells scripts how to reach what runs. The file goes when the process ends cleanly.
func (a *App) writeRunFile(context.Context) error {
	r := config.RunFile{HTTP: a.running.HTTP, Admin: a.running.Admin}
	r.NATS.Hub, r.NATS.System, r.NATS.Leaf = a.running.Hub, a.running.HubSystem, a.running.Leaf
	r.Workspace.ID, r.Workspace.Name = a.running.Workspace.ID, a.running.Workspace.Name
	for _, l := range a.running.Logins {
		r.Logins = append(r.Logins, config.RunLogin{Login: l.Login, Password: l.Password})
	}
	if a.running.Setup.Code != "" {
		r.Setup = &config.RunSetup{URL: a.running.Setup.URL, Code: a.running.Setup.Code}
	}
	if err := r.Write(a.folder.Path); err != nil {
		return err
	}
	a.life.Closes("run.json", func() error { return config.RemoveRunFile(a.folder.Path) })
	return nil
}
