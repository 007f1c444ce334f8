package natsd_test

import (
	"errors"
	"testing"

	"github.com/canopychat/canopy/streams/natsd"
)

// What a cluster does is tested in streams/streamstest.
func TestAMemberOfAClusterThatTheOthersCouldNotFindDoesNotStart(t *testing.T) {
	whole := natsd.ClusterConfig{
		Name: "hub", Listen: "127.0.0.1:1", Routes: []string{"127.0.0.1:2"}, Login: natsd.Login{User: "route", Password: "secret"},
	}
	for name, spoil := range map[string]func(*natsd.ClusterConfig){
		"no name":              func(c *natsd.ClusterConfig) { c.Name = "" },
		"no password":          func(c *natsd.ClusterConfig) { c.Login.Password = "" },
		"no port":              func(c *natsd.ClusterConfig) { c.Listen = "" },
		"any port":             func(c *natsd.ClusterConfig) { c.Listen = "127.0.0.1:0" },
		"a route without port": func(c *natsd.ClusterConfig) { c.Routes = []string{"127.0.0.1"} },
	} {
		cluster := whole
		spoil(&cluster)
		h := natsd.NewHub(natsd.HubConfig{
			Common:  natsd.Common{Name: "hub", StoreDir: t.TempDir(), App: natsd.Login{User: "app", Password: "secret"}},
			Leaf:    natsd.Login{User: "leaf", Password: "secret"},
			Cluster: &cluster,
		})
		if err := h.Run(t.Context()); !errors.Is(err, natsd.ErrNotStarted) {
			t.Errorf("%s: %v, want ErrNotStarted", name, err)
		}
	}
}
