package access_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/canopychat/canopy/ops/app/access"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
)

// A command logs in to the hub as the processes of the data folder do, where the settings say no other login.
func TestHubURL(t *testing.T) {
	folder, err := datadir.Open(t.TempDir(), nil, false)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{Data: folder.Path, Hub: config.Hub{URL: "nats://h1:4222,nats://ada:pw@h2:4222"}}
	want := "nats://canopy:" + folder.Secrets.App + "@h1:4222,nats://ada:pw@h2:4222"
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := access.HubURL(cfg); err != nil || got != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	cfg.Data = filepath.Join(folder.Path, "nowhere")
	if got, err := access.HubURL(cfg); err == nil {
		t.Errorf("without the folder it is %s", got)
	}
	if _, err := os.Stat(cfg.Data); err == nil {
		t.Error("it was made")
	}
	cfg.Hub.URL = "nats://ada:pw@h2:4222"
	if got, err := access.HubURL(cfg); err != nil || got != cfg.Hub.URL {
		t.Errorf("with a login it is %s, %v", got, err)
	}
}
