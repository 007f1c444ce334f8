// Package access is how the processes of a deployment, and commands beside them, log in to its NATS servers: with what the settings
// say, else with the passwords of the data folder.
package access

import (
	"net/url"
	"os"
	"strings"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/streams/natsd"
)

// User is what all our processes are called at the embedded servers.
const User = "canopy"

// With puts the deployment's own credentials into those of some URLs, with commas between, that have none.
func With(list string, login natsd.Login) string {
	urls := strings.Split(list, ",")
	for i, raw := range urls {
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil || u.User != nil {
			continue // what is wrong with it, the dialler says
		}
		u.User = url.UserPassword(login.User, login.Password)
		urls[i] = u.String()
	}
	return strings.Join(urls, ",")
}

// HubURL is the hub that a process with these settings connects to, with the login that it has: for commands.
func HubURL(cfg config.Config) (string, error) {
	if With(cfg.Hub.URL, natsd.Login{}) == cfg.Hub.URL { // each has its own
		return cfg.Hub.URL, nil
	}
	if _, err := os.Stat(cfg.Data); err != nil { // else one would be made, where nobody looks
		return "", config.Problemf("hub.url has no login, and there is no data folder that has: %v", err)
	}
	folder, err := datadir.Open(cfg.Data, nil, false)
	if err != nil {
		return "", err
	}
	return With(cfg.Hub.URL, natsd.Login{User: User, Password: folder.Secrets.App}), folder.Close()
}
