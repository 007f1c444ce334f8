package local

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// Person is somebody to make, and the region by which they reach the deployment.
type Person struct{ Login, Region string }

// Town is a workspace with people in it, all of them members of all its public channels.
type Town struct {
	Workspace chat.WorkspaceID
	People    map[string]*client.Client // by login, signed in through the front of their region
	Channels  map[string]chat.ChannelID // by name; general is always among them

	owner *client.Client // the first of the people
}

// device is what our sign-ins are called.
const device = "canopy local"

// Settle makes the first workspace with these people, the first of them its owner, and these public channels, over
// REST as people do. Done again after an end in the middle, or at the next start, it goes on with what is there.
// Passwords are kept in the folder, and told in deployment.json and run.json.
func (d *Deployment) Settle(ctx context.Context, name string, people []Person, channels ...string) (*Town, error) {
	t := &Town{People: map[string]*client.Client{}, Channels: map[string]chat.ChannelID{}}
	passwords, err := d.passwords(name, people)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		if d.Leaves[p.Region] == nil {
			return nil, errNoRegion(p.Region)
		}
		in, err := d.enter(ctx, t, p, passwords)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Login, err)
		}
		if t.People[p.Login] = in; t.Workspace == "" {
			if len(in.Account().Workspaces) == 0 {
				return nil, fmt.Errorf("%s belongs to no workspace", p.Login)
			}
			t.owner, t.Workspace = in, in.Account().Workspaces[0].ID
		}
	}
	for _, p := range people {
		if err := t.join(ctx, p.Login, channels); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Login, err)
		}
	}
	return t, d.keep(func(demo *datadir.Demo) { demo.WorkspaceID, demo.Done = string(t.Workspace), true })
}

// enter signs somebody in, who is made when they are not there: the first by the setup, others by an invite.
func (d *Deployment) enter(ctx context.Context, t *Town, p Person, passwords map[string]string) (*client.Client, error) {
	password, url := passwords[p.Login], d.URL(p.Region)
	in, err := client.Login(ctx, url, p.Login, password, device)
	if client.CodeOf(err) != fault.Unauthenticated {
		return in, err
	}
	if t.owner == nil {
		d.mu.Lock()
		code, name := d.folder.Secrets.Setup, d.folder.Secrets.Demo.Name
		d.mu.Unlock()
		return client.Setup(ctx, url, rest.Setup{Code: code, Workspace: name, Login: p.Login, Password: password, Device: device})
	}
	invite, err := t.owner.CreateInvite(ctx, t.Workspace, rest.NewInvite{})
	if err != nil {
		return nil, fmt.Errorf("an invite: %w", err)
	}
	return client.AcceptInvite(ctx, url, invite.Code, rest.AcceptInvite{Login: p.Login, Password: password, Device: device})
}

// join finds the channels, makes those that are missing, and comes into them.
func (t *Town) join(ctx context.Context, login string, channels []string) error {
	in := t.People[login]
	if len(t.Channels) == 0 {
		for ch, err := range in.Channels(ctx, t.Workspace) {
			if err != nil {
				return err
			}
			t.Channels[ch.Name] = ch.ID
		}
	}
	for _, name := range channels {
		id, there := t.Channels[name]
		if !there {
			made, err := in.CreateChannel(ctx, t.Workspace, rest.NewChannel{Name: name})
			if err != nil {
				return fmt.Errorf("channel %s: %w", name, err)
			}
			t.Channels[name] = made.ID
			continue
		}
		if _, err := in.Join(ctx, id); err != nil {
			return fmt.Errorf("join %s: %w", name, err)
		}
	}
	return nil
}

// passwords are those of the people, written down before they are used.
func (d *Deployment) passwords(workspace string, people []Person) (map[string]string, error) {
	known := make(map[string]string)
	return known, d.keep(func(demo *datadir.Demo) {
		if demo.Name == "" {
			demo.Name = workspace
		}
		for _, l := range demo.Logins {
			known[l.Login] = l.Password
		}
		for _, p := range people {
			if known[p.Login] == "" {
				known[p.Login] = datadir.Password()
				demo.Logins = append(demo.Logins, datadir.Login{Login: p.Login, Password: known[p.Login]})
			}
		}
	})
}

// keep changes what is known of the people, on the disk and in the files.
func (d *Deployment) keep(change func(*datadir.Demo)) error {
	d.mu.Lock()
	change(&d.folder.Secrets.Demo)
	err := d.folder.Save()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	return d.write()
}
