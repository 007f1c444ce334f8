package absent_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/local"
)

// site is a deployment of many processes, on files: two gateways behind one leaf, and one process of each other role.
type site struct {
	*town
	*local.Deployment
	people map[string]*person
	places *local.Town
}

// Tests that kill and cut have a deployment of processes, and share it: what one of them does to others is what happens.
func TestProcessesThatDie(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it kills processes for a minute")
	}
	s := deployed(t)
	for name, test := range map[string]func(*testing.T, *site){"deliver is killed": deliverIsKilled, "three devices": threeDevices} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			of := *s
			town := *s.town
			town.t = t
			of.town = &town
			test(t, &of)
		})
	}
}

// offline are people who sign in once and are never seen again.
var offline = []string{"dora", "emil", "fred", "gina"}

func deployed(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "canopy")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/canopychat/canopy/ops/cmd/canopy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	began := time.Now()
	d, err := local.Start(t.Context(), local.Options{
		Dir: filepath.Join(dir, "site"), Canopy: program, Regions: []string{"eu"}, Gateways: 2, LinkThroughProxy: true,
		Settings: []string{
			"edge.drain_spread=100ms", "no_limits=true", "deliver.allow_private=127.0.0.0/8", "deliver.grace=1s", "deliver.first_retry=200ms", "deliver.max_retry=1s",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("the deployment ended with %v", err)
		}
	})
	t.Logf("%d processes are ready after %v", len(d.Processes()), time.Since(began).Round(100*time.Millisecond))
	all := []local.Person{{Login: "alice", Region: "eu"}, {Login: "bob", Region: "eu"}, {Login: "ria", Region: "eu"}}
	for _, login := range offline {
		all = append(all, local.Person{Login: login, Region: "eu"})
	}
	places, err := d.Settle(t.Context(), "Works", all, "owed", "one", "two")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Deployment: d, people: map[string]*person{}, places: places}
	for login, c := range places.People {
		s.people[login] = &person{c, c.Account().User.ID, login}
	}
	s.town = &town{
		t: t, url: d.URL("eu"), data: d.Dir, workspace: places.Workspace, channel: places.Channels["owed"], alice: s.people["alice"], bob: s.people["bob"],
	}
	s.reach(d.HubURL())
	return s
}

// device is another sign-in of somebody.
func (s *site) device(login, device string) *client.Client {
	s.t.Helper()
	for _, l := range s.File().Logins {
		if l.Login == login {
			c, err := client.Login(s.t.Context(), s.url, login, l.Password, device)
			if err != nil {
				s.t.Fatal(err)
			}
			return c
		}
	}
	s.t.Fatalf("nobody is called %s", login)
	return nil
}
