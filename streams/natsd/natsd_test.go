package natsd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
)

const wait = 20 * time.Second

// trace collects a server's log lines.
type trace struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (tr *trace) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.Write(p)
}

func (tr *trace) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.text.String()
}

func (tr *trace) logger() *slog.Logger { return slog.New(slog.NewTextHandler(tr, nil)) }

func hubConfig(t *testing.T, tr *trace) natsd.HubConfig {
	return natsd.HubConfig{
		Common: natsd.Common{
			Name: "hub", StoreDir: t.TempDir(), Logger: tr.logger(),
			App: natsd.Login{User: "app", Password: "p:ss@/word"}, System: natsd.Login{User: "sys", Password: "s"},
		},
		Leaf: natsd.Login{User: "leaf", Password: "l?#e"},
	}
}

func leafConfig(t *testing.T, tr *trace, hub string) natsd.LeafConfig {
	return natsd.LeafConfig{
		Common:  natsd.Common{Name: "leaf", StoreDir: t.TempDir(), Logger: tr.logger(), App: natsd.Login{User: "edge", Password: "e"}},
		Region:  "eu1",
		HubURLs: []string{hub}, Reconnect: 50 * time.Millisecond,
	}
}

type server interface {
	Run(context.Context) error
	Ready(context.Context) error
}

// start runs a server until the test's end or stop, which returns what Run did.
func start(t testing.TB, s server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

func ready(t testing.TB, s server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func connect(t testing.TB, address string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestHubAndLeafAreQuietAndEndWithoutATrace(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var tr trace
	hub := natsd.NewHub(hubConfig(t, &tr))
	if hub.ClientURL() != "" || hub.LeafURL() != "" || hub.Leaves() != 0 {
		t.Error("a hub that was not started has addresses")
	}
	stopHub := start(t, hub)
	ready(t, hub)
	leaf := natsd.NewLeaf(leafConfig(t, &tr, hub.LeafURL()))
	stopLeaf := start(t, leaf)
	ready(t, leaf)
	if !leaf.Linked() || hub.Leaves() != 1 {
		t.Errorf("linked %v, leaves %d", leaf.Linked(), hub.Leaves())
	}
	if got := tr.String(); got != "" {
		t.Errorf("a start without trouble says:\n%s", got)
	}
	if err := errors.Join(stopLeaf(), stopHub()); err != nil {
		t.Error(err)
	}
	if got := tr.String(); strings.Contains(got, "ERROR") {
		t.Errorf("an orderly end says:\n%s", got)
	}
	goleak.VerifyNone(t, before)
	if err := hub.Run(t.Context()); !errors.Is(err, natsd.ErrRanTwice) {
		t.Errorf("a second Run: %v", err)
	}
	if err := hub.Ready(t.Context()); !errors.Is(err, natsd.ErrNotStarted) {
		t.Errorf("Ready of a hub that has ended: %v", err)
	}
}

func TestDomainsAndAccounts(t *testing.T) {
	var tr trace
	hub := natsd.NewHub(hubConfig(t, &tr))
	start(t, hub)
	ready(t, hub)
	leaf := natsd.NewLeaf(leafConfig(t, &tr, hub.LeafURL()))
	start(t, leaf)
	ready(t, leaf)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()

	nc := connect(t, leaf.ClientURL())
	for _, domain := range []string{"", "eu1", streams.HubDomain} {
		js, err := jetstream.New(nc)
		if domain != "" {
			js, err = jetstream.NewWithDomain(nc, domain)
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := js.AccountInfo(ctx)
		want := domain
		if domain == "" {
			want = "eu1" // a leaf's clients get the leaf's own JetStream unless they say otherwise
		}
		if err != nil || info.Domain != want {
			t.Errorf("domain %q answers as %+v, %v", domain, info, err)
		}
	}
	sys := connect(t, hub.SystemURL())
	if m, err := sys.RequestWithContext(ctx, "$SYS.REQ.SERVER.PING.VARZ", nil); err != nil || !bytes.Contains(m.Data, []byte(`"ping_interval":10000000000`)) {
		t.Errorf("the system account: %v", err)
	}
	if leaf.SystemURL() != "" {
		t.Error("the leaf has no system user and an address for it")
	}
	// The leaf's credentials are for leaf nodes, and the application's for clients.
	u, err := url.Parse(hub.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("leaf", "l?#e")
	if nc, err := nats.Connect(u.String()); !errors.Is(err, nats.ErrAuthorization) {
		nc.Close()
		t.Errorf("a client with the leaf's password: %v", err)
	}
	u.User = nil
	if nc, err := nats.Connect(u.String()); !errors.Is(err, nats.ErrAuthorization) {
		nc.Close()
		t.Errorf("a client without a password: %v", err)
	}
}

func TestAClientInTheProcessNeedsNoSocket(t *testing.T) {
	var tr trace
	hub := natsd.NewHub(hubConfig(t, &tr))
	if _, err := hub.InProcessConn(); !errors.Is(err, natsd.ErrNotStarted) {
		t.Errorf("before the start: %v", err)
	}
	start(t, hub)
	ready(t, hub)
	nc := connect(t, hub.ClientURL(), nats.InProcessServer(hub))
	if _, err := nc.Request("$JS.hub.API.INFO", nil, wait); err != nil {
		t.Error(err)
	}
}

func TestMonitoring(t *testing.T) {
	var tr trace
	c := hubConfig(t, &tr)
	c.Monitor = "127.0.0.1:0"
	hub := natsd.NewHub(c)
	start(t, hub)
	ready(t, hub)
	answer, err := http.Get(hub.MonitorURL() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", answer.Status)
	}
}

func TestWhatKeepsAServerFromStartingIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*natsd.HubConfig)
		says   string
	}{
		"the client port is taken":  {func(c *natsd.HubConfig) { c.Listen = taken.Addr().String() }, taken.Addr().String()},
		"the leaf port is taken":    {func(c *natsd.HubConfig) { c.LeafListen = taken.Addr().String() }, "address already in use"},
		"the monitor port is taken": {func(c *natsd.HubConfig) { c.Monitor = taken.Addr().String() }, "address already in use"},
		"the folder is a file":      {func(c *natsd.HubConfig) { c.StoreDir = file }, file},
		"an address is none":        {func(c *natsd.HubConfig) { c.Listen = "4222" }, `"4222" is not host:port`},
		"a port is too large":       {func(c *natsd.HubConfig) { c.Listen = "127.0.0.1:65536" }, "is not host:port"},
		"there is no user":          {func(c *natsd.HubConfig) { c.App = natsd.Login{} }, "a user with a password"},
		"there is no leaf user":     {func(c *natsd.HubConfig) { c.Leaf = natsd.Login{} }, "leaf nodes need a user"},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			var tr trace
			c := hubConfig(t, &tr)
			test.change(&c)
			hub := natsd.NewHub(c)
			readiness := make(chan error, 1)
			go func() { readiness <- hub.Ready(t.Context()) }()
			err := hub.Run(t.Context())
			if !errors.Is(err, natsd.ErrNotStarted) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Run: %v\nwant ErrNotStarted that says %q", err, test.says)
			}
			if err := <-readiness; !errors.Is(err, natsd.ErrNotStarted) {
				t.Errorf("Ready: %v", err)
			}
			if strings.Contains(tr.String(), "level=ERROR") {
				t.Errorf("it is also logged:\n%s", tr.String())
			}
			goleak.VerifyNone(t, before)
		})
	}
}

func TestALeafConfigThatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*natsd.LeafConfig){
		"no region":              func(c *natsd.LeafConfig) { c.Region = "" },
		"the hub's own domain":   func(c *natsd.LeafConfig) { c.Region = streams.HubDomain },
		"no hub":                 func(c *natsd.LeafConfig) { c.HubURLs = nil },
		"an address that is not": func(c *natsd.LeafConfig) { c.HubURLs = []string{"secret@:nowhere:"} },
	} {
		var tr trace
		c := leafConfig(t, &tr, "nats-leaf://leaf:l@127.0.0.1:1")
		change(&c)
		if err := natsd.NewLeaf(c).Run(t.Context()); !errors.Is(err, natsd.ErrNotStarted) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestALeafMayStartBeforeTheHub(t *testing.T) {
	var tr trace
	c := hubConfig(t, &tr)
	c.LeafListen = freeAddress(t)
	leaf := natsd.NewLeaf(leafConfig(t, &tr, "nats-leaf://leaf:l%3F%23e@"+c.LeafListen))
	start(t, leaf)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := leaf.Ready(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "there is no link to the hub") {
		t.Errorf("Ready without a hub: %v", err)
	}
	hub := natsd.NewHub(c)
	start(t, hub)
	ready(t, leaf)
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestWhatWasStoredIsThereAfterARestart(t *testing.T) {
	for _, always := range []bool{false, true} {
		var tr trace
		c := hubConfig(t, &tr)
		c.SyncAlways = always
		hub := natsd.NewHub(c)
		stop := start(t, hub)
		ready(t, hub)
		js, err := jetstream.New(connect(t, hub.ClientURL()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		again := natsd.NewHub(c)
		start(t, again)
		ready(t, again)
		if js, err = jetstream.New(connect(t, again.ClientURL())); err != nil {
			t.Fatal(err)
		}
		stream, err := js.Stream(t.Context(), "S")
		if err != nil {
			t.Fatal(err)
		}
		if m, err := stream.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
			t.Errorf("sync always %v: %v, %v", always, m, err)
		}
	}
}
