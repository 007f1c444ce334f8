package natsd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/streams/natsd"
)

// accounts are what every file of ours has.
const accounts = `
accounts {
  CANOPY { jetstream: enabled, users: [
    { user: eu, password: e, allowed_connection_types: [LEAFNODE] }
    { user: hashed, password: "$2a$11$PWIFAL8RsWyGI3jVZtO9Nu8.6jOxzxfZo7c/W0eLk017hjgUKWrhy" }
    { user: canopy, password: c }
    { user: another, password: a }
  ] }
  SYS { users: [ { user: sys, password: s } ] }
}
system_account: SYS
`

func conf(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hubText is a hub's file; more is what it has besides.
func hubText(t testing.TB, name, more string) string {
	t.Helper()
	return fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:-1\"\njetstream { domain: hub, store_dir: %q, max_file_store: 1GB }\nleafnodes { listen: \"127.0.0.1:-1\" }\n", name, t.TempDir()) + more + accounts
}

func TestAHubAndALeafFromFiles(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var tr trace
	hub := natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: conf(t, hubText(t, "h", "")), Logger: tr.logger()}})
	stopHub := start(t, hub)
	ready(t, hub)
	for what, address := range map[string]string{"canopy:c": hub.ClientURL(), "sys:s": hub.SystemURL()} {
		if u, err := url.Parse(address); err != nil || u.User.String() != what {
			t.Errorf("%s, want to log in as %s", address, what)
		}
		connect(t, address).Close()
	}
	to, err := url.Parse(hub.LeafURL())
	if err != nil || to.User != nil {
		t.Fatalf("%v, %v", to, err)
	}
	to.User = url.UserPassword("eu", "e")
	text := fmt.Sprintf("server_name: l\nlisten: \"127.0.0.1:-1\"\njetstream { domain: eu, store_dir: %q }\nleafnodes { remotes: [ { url: %q, account: CANOPY } ] }\n", t.TempDir(), to) + accounts
	leaf := natsd.NewLeaf(natsd.LeafConfig{Common: natsd.Common{File: conf(t, text), App: natsd.Login{User: "another", Password: "a"}, Logger: tr.logger()}, Region: "eu"})
	stopLeaf := start(t, leaf)
	ready(t, leaf)
	if !leaf.Linked() || hub.Leaves() != 1 {
		t.Error("there is no link")
	}
	if u, err := url.Parse(leaf.ClientURL()); err != nil || u.User.String() != "another:a" {
		t.Errorf("%s, want the login that it was given", leaf.ClientURL())
	}
	for _, stop := range []func() error{stopLeaf, stopHub} {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before)
}

func TestAFileThatContradictsItsRole(t *testing.T) {
	dir := t.TempDir()
	js := func(domain string) string {
		return fmt.Sprintf("jetstream { domain: %s, store_dir: %q }\n", domain, dir)
	}
	const leafPort, link = "leafnodes { listen: \"127.0.0.1:-1\" }\n", "leafnodes { remotes: [ { url: \"nats-leaf://127.0.0.1:1\", account: CANOPY } ] }\n"
	for name, test := range map[string]struct{ hub, leaf, says string }{
		"no JetStream":              {hub: leafPort + accounts, says: "no jetstream"},
		"another domain":            {hub: js("eu") + leafPort + accounts, says: `"eu" and must be "hub"`},
		"no folder":                 {hub: "jetstream { domain: hub }\n" + leafPort + accounts, says: "store_dir"},
		"no account":                {hub: js("hub") + leafPort, says: "no account CANOPY"},
		"everybody":                 {hub: js("hub") + leafPort + accounts + "no_auth_user: canopy\n", says: "no_auth_user"},
		"a hub without leaves":      {hub: js("hub") + accounts, says: "leaf nodes cannot connect"},
		"a field that is none":      {hub: js("hub") + leafPort + accounts + "clustre: {}\n", says: "clustre"},
		"a variable that is not":    {hub: "server_name: $CANOPY_TEST_NOT_THERE\n", says: "CANOPY_TEST_NOT_THERE"},
		"a leaf in the hub":         {leaf: js("hub") + link + accounts, says: `"hub" and must be "eu"`},
		"a leaf without a link":     {leaf: js("eu") + accounts, says: "no link to the hub"},
		"a link of another account": {leaf: js("eu") + strings.Replace(link, "CANOPY", "SYS", 1) + accounts, says: "no link to the hub"},
	} {
		t.Run(name, func(t *testing.T) {
			var s interface{ Run(context.Context) error }
			if test.hub != "" {
				s = natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: conf(t, test.hub)}})
			} else {
				s = natsd.NewLeaf(natsd.LeafConfig{Common: natsd.Common{File: conf(t, test.leaf)}, Region: "eu"})
			}
			err := s.Run(t.Context())
			if !errors.Is(err, natsd.ErrNotStarted) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v\nwant ErrNotStarted in one line that says %q", err, test.says)
			}
		})
	}
	if err := natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: filepath.Join(dir, "none")}}).Run(t.Context()); !errors.Is(err, natsd.ErrNotStarted) {
		t.Errorf("no file: %v", err)
	}
}

// electing is how long a cluster may take to have a leader on a machine that is busy.
const electing = time.Minute

// fixedAddress is one that a member of a cluster may tell the others before it listens. It is not of the ports that
// systems give to connections, so that none takes it meanwhile.
func fixedAddress(t testing.TB) string {
	t.Helper()
	const first, ports, attempts = 20000, 10000, 100
	for range attempts {
		at := fmt.Sprintf("127.0.0.1:%d", first+rand.N(ports))
		if l, err := net.Listen("tcp", at); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return at
		}
	}
	t.Fatal("no port is free")
	return ""
}

// members starts three hubs of one cluster from files.
func members(t testing.TB, tr *trace, jetstream string) (hubs []*natsd.Hub, stops []func() error) {
	t.Helper()
	at := make([]string, 3)
	for i := range at {
		at[i] = fixedAddress(t)
	}
	routes := fmt.Sprintf("[nats-route://%s, nats-route://%s, nats-route://%s]", at[0], at[1], at[2])
	for i := range at {
		text := hubText(t, fmt.Sprint("h", i), fmt.Sprintf("cluster { name: c, listen: %q, routes: %s }\n", at[i], routes))
		text = strings.Replace(text, "max_file_store", jetstream+"max_file_store", 1)
		h := natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: conf(t, text), Logger: tr.logger()}})
		hubs, stops = append(hubs, h), append(stops, start(t, h))
	}
	ctx, cancel := context.WithTimeout(t.Context(), electing)
	defer cancel()
	for _, h := range hubs {
		if err := h.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return hubs, stops
}

func TestAMemberOfAClusterHandsItsStreamsOver(t *testing.T) {
	var tr trace
	hubs, stops := members(t, &tr, "")
	js, err := jetstream.New(connect(t, hubs[0].ClientURL()))
	if err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithTimeout(t.Context(), electing)
	defer cancel()
	stream, err := js.CreateStream(within, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	leader, rest := -1, -1
	for i := range hubs {
		if fmt.Sprint("h", i) == stream.CachedInfo().Cluster.Leader {
			leader = i
		} else {
			rest = i
		}
	}
	if leader < 0 {
		t.Fatalf("no leader: %+v", stream.CachedInfo().Cluster)
	}
	told := make(chan struct{}, 1)
	nc, err := nats.Connect(hubs[leader].ClientURL(), nats.LameDuckModeHandler(func(*nats.Conn) { told <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := stops[leader](); err != nil {
		t.Fatal(err)
	}
	select {
	case <-told: // clients are told to go elsewhere before they are cut off
	case <-time.After(electing):
		t.Error("clients were not told that the server goes")
	}
	if js, err = jetstream.New(connect(t, hubs[rest].ClientURL())); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(within, "s", []byte("kept"), jetstream.WithRetryAttempts(100)); err != nil {
		t.Errorf("with two of three: %v", err)
	}
}

func TestAMemberThatIsAloneIsNotReady(t *testing.T) {
	text := hubText(t, "h1", fmt.Sprintf("cluster { name: c, listen: %q, routes: [nats-route://%s, nats-route://%s] }\n", fixedAddress(t), fixedAddress(t), fixedAddress(t)))
	var tr trace
	h := natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: conf(t, text), Logger: tr.logger()}})
	start(t, h)
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := h.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Ready: %v", err)
	}
}
