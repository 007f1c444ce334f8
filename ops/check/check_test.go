package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/check"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

// deployment is a hub and a leaf without the permissions of production.
type deployment struct {
	t *testing.T
	*streamstest.Cluster
	check.Deployment
}

func start(t *testing.T) *deployment {
	t.Helper()
	c := streamstest.StartWith(t, streamstest.Options{Provision: provision.Alone()})
	conn, err := bus.Dial(bus.DialConfig{URL: c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(c.Context()); err != nil {
		t.Fatal(err)
	}
	return &deployment{t, c, check.Deployment{Conn: conn, Streams: provision.Alone()}}
}

// process puts a process into the registry.
func (d *deployment) process(role string, p rpc.Process) {
	d.t.Helper()
	bucket, err := kv.Open(kv.Config{Conn: d.Conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
	if err != nil {
		d.t.Fatal(err)
	}
	value, err := json.Marshal(p)
	if err == nil {
		_, err = bucket.Put(d.Context(), role+"."+role+"1", value)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// look runs all checks and gives the findings by name.
func (d *deployment) look() (map[string]check.Finding, bool) {
	d.t.Helper()
	found := map[string]check.Finding{}
	fine, err := check.Run(d.Context(), d.Deployment, func(f check.Finding) {
		if f.Detail == "" || strings.Contains(f.Detail, "\n") {
			d.t.Errorf("%s says %q, which is not one line", f.Check, f.Detail)
		}
		found[f.Check] = f
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return found, fine
}

func expect(t *testing.T, found map[string]check.Finding, name string, level check.Level, says string) {
	t.Helper()
	if f := found[name]; f.Level != level || !strings.Contains(f.Detail, says) {
		t.Errorf("%s: %s %q; want %s with %q", name, f.Level, f.Detail, level, says)
	}
}

func TestADeploymentThatIsFine(t *testing.T) {
	d := start(t)
	for _, role := range []string{"api", "deliver", "gateway", "persist"} {
		d.process(role, rpc.Process{Healthy: true, Version: "v1"})
	}
	d.Version = "v1"
	d.Schemas = map[string]check.SchemaOf{
		"messages":  func(context.Context) (int64, int64, error) { return 2, 2, nil },
		"directory": func(context.Context) (int64, int64, error) { return 1, 2, nil },
	}
	found, fine := d.look()
	if !fine {
		t.Errorf("not fine: %+v", found)
	}
	for name, says := range map[string]string{
		"hub": "domain hub", "streams": "as their files", "log": "given back", "clock": "agree", "messages schema": "at 2", "processes": "4, all ready",
	} {
		expect(t, found, name, check.OK, says)
	}
	expect(t, found, "quorum", check.Warn, "one server only")
	expect(t, found, "directory schema", check.Warn, "1 of 2")
	expect(t, found, "sync", check.Skip, "--system")
	expect(t, found, "permissions", check.Skip, "--edge")
}

func TestWhatIsNotReadyIsSaid(t *testing.T) {
	d := start(t)
	d.process("api", rpc.Process{Healthy: true, Version: "v1"})
	d.process("persist", rpc.Process{Detail: "the store is away", Version: "v2"})
	d.Schemas = map[string]check.SchemaOf{
		"messages":  func(context.Context) (int64, int64, error) { return 3, 2, nil },
		"directory": func(context.Context) (int64, int64, error) { return 0, 0, errors.New("connection refused") },
	}
	s, err := d.HubJS.Stream(d.Context(), streams.ChatStream(1))
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgSize = 1 << 10
	if _, err := d.HubJS.UpdateStream(d.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	found, fine := d.look()
	if fine {
		t.Error("it is said to be fine")
	}
	expect(t, found, "streams", check.Fail, "1 differ")
	expect(t, found, "messages schema", check.Fail, "newer Canopy")
	expect(t, found, "directory schema", check.Fail, "connection refused")
	expect(t, found, "processes", check.Fail, "deliver, gateway, persist")
}

// Who runs an edge with everybody's login is told.
func TestAnEdgeThatMayTooMuchIsSaid(t *testing.T) {
	d := start(t)
	d.Edge = d.Dial(d.LeafURL())
	found, fine := d.look()
	if fine {
		t.Error("it is said to be fine")
	}
	expect(t, found, "permissions", check.Fail, "invent live events")
	expect(t, found, "permissions", check.Fail, "delete streams")
}

func TestAHubThatIsAwayIsSaid(t *testing.T) {
	d := start(t)
	d.StopHub()
	found, fine := d.look()
	if fine {
		t.Error("it is said to be fine")
	}
	for _, name := range []string{"hub", "quorum", "streams", "log", "clock", "processes"} {
		expect(t, found, name, check.Fail, "")
	}
}
