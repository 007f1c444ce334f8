package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/canopychat/canopy/ops/config"
)

// FileName is what the file of addresses is called in a deployment's folder.
const FileName = "deployment.json"

// File says what runs where, for scripts: it is there from when everything is ready until the deployment stops, and is
// written again when a process is started again. Passwords are in it, so only its owner may read it. Beside it is
// run.json, by which the commands of canopy find the deployment (--data).
type File struct {
	Regions   []FileRegion      `json:"regions"`
	Processes []FileProcess     `json:"processes"`
	Hub       string            `json:"hub"`    // NATS URLs with commas between
	System    string            `json:"system"` // the same in the system account
	Leaves    map[string]string `json:"leaves"` // NATS URL by region
	Workspace string            `json:"workspace,omitempty"`
	Logins    []config.RunLogin `json:"logins"`
}

// FileRegion is how people reach a region.
type FileRegion struct {
	Region  string   `json:"region"`
	URL     string   `json:"url"`     // REST and sockets
	Sockets []string `json:"sockets"` // of each gateway, past the front
}

// FileProcess is a process.
type FileProcess struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Region  string `json:"region,omitempty"`
	PID     int    `json:"pid"` // 0: it does not run
	Address string `json:"address,omitempty"`
	Admin   string `json:"admin"`
	Log     string `json:"log"`
}

// File is what runs where now.
func (d *Deployment) File() File {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fileLocked()
}

func (d *Deployment) fileLocked() File {
	f := File{Hub: d.HubURL(), System: d.SystemURL(), Leaves: map[string]string{}, Logins: []config.RunLogin{}}
	for _, region := range d.Regions {
		r := FileRegion{Region: region, URL: d.URL(region)}
		for _, g := range d.Gateways[region] {
			r.Sockets = append(r.Sockets, d.Socket(g))
		}
		f.Regions, f.Leaves[region] = append(f.Regions, r), d.LeafURL(region)
	}
	for _, p := range d.Processes() {
		f.Processes = append(f.Processes, FileProcess{
			Name: p.Name, Role: p.Role, Region: p.Region, PID: p.PID(), Address: p.Address, Admin: p.AdminURL, Log: p.Log,
		})
	}
	f.Workspace = d.folder.Secrets.Demo.WorkspaceID
	for _, l := range d.folder.Secrets.Demo.Logins {
		f.Logins = append(f.Logins, config.RunLogin{Login: l.Login, Password: l.Password})
	}
	return f
}

// write puts both files in place.
func (d *Deployment) write() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.fileLocked()
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", FileName, err)
	}
	first := d.Regions[0]
	r := config.RunFile{HTTP: d.URL(first), Admin: d.APIs[0].AdminURL, Logins: f.Logins}
	r.NATS.Hub, r.NATS.System, r.NATS.Leaf = f.Hub, f.System, f.Leaves[first]
	demo := d.folder.Secrets.Demo
	r.Workspace.ID, r.Workspace.Name = demo.WorkspaceID, demo.Name
	if !demo.Done {
		r.Setup = &config.RunSetup{URL: d.URL(first) + "/setup", Code: d.folder.Secrets.Setup}
	}
	return errors.Join(config.WritePrivate(filepath.Join(d.Dir, FileName), append(text, '\n')), r.Write(d.Dir))
}

func (d *Deployment) removeFiles() error {
	err := os.Remove(filepath.Join(d.Dir, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, config.RemoveRunFile(d.Dir))
}
