package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/streams/streamstest"
)

var update = flag.Bool("update", false, "write the golden files")

// command is a run of the canopy command in a process of its own making.
type command struct {
	serve   cli.Serve
	environ []string
	signals chan os.Signal
	exit    func(int)
}

// output may be written by several goroutines.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (c command) run(args ...string) (code int, stdout, stderr string) {
	var out, problems output
	code = cli.Main(args, cli.System{
		Stdout: &out, Stderr: &problems, Environ: c.environ, Signals: c.signals, Exit: c.exit, Serve: c.serve,
	})
	return code, out.String(), problems.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update writes it anew):\n%s", path, diff)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"", "up", "hub", "hub run", "hub renew", "leaf", "edge", "api", "persist", "persist run", "persist replay", "deliver", "dlq", "dlq ls", "dlq show", "dlq retry", "dlq drop", "dlq watch", "delivery", "delivery show", "seed", "setup", "join", "chat", "status", "streams", "streams plan", "streams apply", "version", "engines", "engines up", "engines fetch", "local", "local up",
		"user", "user ls", "user add", "user revoke", "workspace", "workspace add", "workspace members", "workspace invite", "token", "token issue"} {
		words := strings.Fields(args)
		code, stdout, stderr := command{}.run(append(words, "--help")...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: %d %s", args, code, stderr)
		}
		name := "help.txt"
		if args != "" {
			name = "help-" + strings.Join(words, "-") + ".txt"
		}
		golden(t, name, stdout)
		for line := range strings.Lines(stdout) {
			if len(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s: wider than 80 columns: %s", args, line)
			}
		}
	}
	_, help, _ := command{}.run("--help")
	if code, bare, _ := (command{}).run(); code != 0 || bare != help {
		t.Error("canopy alone does not show its help")
	}
}

// serving is a deployment that runs until it is told to stop, which happens when it serves.
func serving(got *cli.Serving, signals chan<- os.Signal) cli.Serve {
	return func(ctx context.Context, what cli.Serving, ready func(app.Running)) error {
		*got = what
		r := app.Running{
			Roles: what.Roles, HTTP: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:40001", Data: "/srv/canopy-data",
			Hub: "nats://canopy:secret-of-canopy@127.0.0.1:40002", HubSystem: "nats://sys:it's@127.0.0.1:40002", Leaf: "nats://canopy:secret-of-canopy@127.0.0.1:40003",
			Workspace: app.Workspace{ID: "06h00nyw31xpv3gv2hm65ck7d4", Name: "Demo"},
			Logins:    []app.Login{{Login: "alice", Password: "pw-of-alice"}, {Login: "bob", Password: "pw-of-bob"}},
		}
		if len(what.Roles) == 1 {
			r.Workspace, r.Logins, r.HTTP = app.Workspace{}, nil, ""
		}
		ready(r)
		signals <- os.Interrupt
		<-ctx.Done()
		return nil
	}
}

func TestUp(t *testing.T) {
	var got cli.Serving
	signals := make(chan os.Signal, 1)
	c := command{serve: serving(&got, signals), signals: signals, environ: []string{"CANOPY_REGION=eu2"}}
	code, stdout, stderr := c.run("up", "--data", "d", "--listen", "127.0.0.1:0", "--empty", "--no-limits", "--sync-always", "--set", "Edge.Heartbeat=7s", "--set", "listen=127.0.0.1:9")
	if code != 0 {
		t.Errorf("%d %s", code, stderr)
	}
	golden(t, "up.txt", stdout)
	golden(t, "up-stderr.txt", stderr)
	want := config.Config{Data: "d", Listen: "127.0.0.1:0", Region: "eu2", Empty: true, NoLimits: true}
	want.Hub.SyncAlways = true
	want.Edge.Heartbeat = 7_000_000_000
	if diff := cmp.Diff(want.WithDefaults(config.Together), got.Config); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(app.AllRoles, got.Roles); diff != "" {
		t.Error(diff)
	}
}

func TestRoles(t *testing.T) {
	for _, role := range app.AllRoles {
		var got cli.Serving
		signals := make(chan os.Signal, 1)
		code, stdout, stderr := command{serve: serving(&got, signals), signals: signals}.run(string(role))
		if code != 0 || !strings.HasPrefix(stdout, "canopy "+string(role)+" serves\n") {
			t.Errorf("%s: %d %s %s", role, code, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "secret-of-canopy") {
			t.Errorf("%s: a password is in what may be a log", role)
		}
		if diff := cmp.Diff(config.Default(config.Apart), got.Config); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]app.Role{role}, got.Roles); diff != "" {
			t.Error(diff)
		}
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	signals, killed := make(chan os.Signal, 2), make(chan int, 1)
	c := command{signals: signals, exit: func(code int) { killed <- code }}
	c.serve = func(ctx context.Context, _ cli.Serving, _ func(app.Running)) error {
		signals <- os.Interrupt
		<-ctx.Done()
		signals <- syscall.SIGTERM
		if code := <-killed; code != 1 { // draining takes for ever
			t.Errorf("it ended with %d", code)
		}
		return nil
	}
	if code, _, stderr := c.run("up"); code != 0 || !strings.Contains(stderr, "once more stops at once") {
		t.Errorf("%d %s", code, stderr)
	}
}

func TestExitCodes(t *testing.T) {
	fails := func(err error) cli.Serve {
		return func(context.Context, cli.Serving, func(app.Running)) error { return err }
	}
	file := filepath.Join(t.TempDir(), "canopy.conf")
	if err := os.WriteFile(file, []byte("empty: false\nfoo: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for _, c := range []struct {
		args  string
		serve cli.Serve
		env   []string
		code  int
		want  string // in the last line of stderr
	}{
		{args: "up --check", code: 0},
		{args: "version", code: 0},
		{args: "up", serve: fails(config.Problemf("127.0.0.1:8080: %w", errors.New("address\nalready in use"))), code: 2, want: "canopy: 127.0.0.1:8080: address already in use"},
		{args: "up", serve: fails(fmt.Errorf("listen: %w", config.Problemf("taken"))), code: 2, want: "canopy: listen: taken"},
		{args: "up", serve: fails(errors.New("the disk is gone")), code: 1, want: "canopy: the disk is gone"},
		{args: "up", serve: fails(nil), code: 1, want: "canopy: it ended by itself"},
		{args: "up --config " + file, code: 2, want: "canopy.conf:2: there is no setting \"foo\""},
		{args: "up", env: []string{"CANOPY_CONFIG=" + file}, code: 2, want: "canopy.conf:2: "},
		{args: "up --listen nonsense", code: 2, want: `canopy: --listen: "nonsense" is not host:port`},
		{args: "up --set foo", code: 2, want: `canopy: --set: "foo" is not KEY=VALUE`},
		{args: "up --set foo=1", code: 2, want: `canopy: --set: there is no setting "foo"`},
		{args: "upp", code: 2, want: "canopy: unexpected argument upp"},
		{args: "up --nonsense", code: 2, want: "canopy: unknown flag --nonsense"},
		{args: "streams", code: 2, want: "canopy: expected one of"},
		{args: "seed --users many", code: 2, want: "canopy: --users: "},
		{args: "seed --data " + nowhere, code: 2, want: "canopy: no deployment runs here: there is no " + nowhere},
		{args: "seed --data x --context y", code: 2, want: "canopy: --context and --data: one says where the deployment is"},
		{args: "streams plan --context nowhere", env: []string{"XDG_CONFIG_HOME=" + nowhere}, code: 2, want: `there is no nats context "nowhere"`},
	} {
		code, _, stderr := command{serve: c.serve, environ: c.env}.run(strings.Fields(c.args)...)
		lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
		if last := lines[len(lines)-1]; code != c.code || !strings.Contains(last, c.want) {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr)
		}
		if started := strings.HasPrefix(lines[0], "canopy: starting "); len(lines) > 2 || (len(lines) == 2 && !started) {
			t.Errorf("%s: more than one line: %s", c.args, stderr)
		}
	}
}

func TestPrintConfig(t *testing.T) {
	_, printed, _ := command{}.run("hub", "--print-config", "--set", "hub.url=nats://u:secret@h:1")
	if strings.Contains(printed, "secret") {
		t.Errorf("a password is shown:\n%s", printed)
	}
	file := filepath.Join(t.TempDir(), "canopy.conf")
	if err := os.WriteFile(file, []byte(printed), 0o600); err != nil {
		t.Fatal(err)
	}
	code, again, stderr := command{}.run("hub", "--print-config", "-c", file)
	if diff := cmp.Diff(printed, again); code != 0 || diff != "" {
		t.Errorf("%s%s", stderr, diff)
	}
}

// deployment is a data folder with the run.json of a hub that runs.
func deployment(t *testing.T, o streamstest.Options) string {
	t.Helper()
	c := streamstest.StartWith(t, o)
	data := t.TempDir()
	r := config.RunFile{NATS: config.RunNATS{Hub: c.HubURL()}, Workspace: config.RunWorkspace{ID: "w1"}}
	if err := r.Write(data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestStreams(t *testing.T) {
	data := deployment(t, streamstest.Options{Empty: true})
	limits := []string{"--data", data, "--set", "streams.max_bytes=32MB"}
	run := func(wantCode int, wantOut, wantErr string, args ...string) {
		t.Helper()
		code, stdout, stderr := command{}.run(append(args, limits...)...)
		if code != wantCode || !strings.Contains(stdout, wantOut) || !strings.Contains(stderr, wantErr) {
			t.Errorf("%v: %d\n%s%s", args, code, stdout, stderr)
		}
	}
	run(0, "create stream CHAT_0\n", "", "streams", "plan")
	run(0, "23 changes made\n", "", "streams", "apply")
	run(0, "as the files say", "", "streams", "apply")
	run(0, "max_age: 259200000000000 -> 3600000000000", "", "streams", "plan", "--set", "streams.max_age=1h", "--force")
}

func TestCtrlCStopsSeed(t *testing.T) {
	data := deployment(t, streamstest.Options{})
	c := command{signals: make(chan os.Signal, 1)}
	c.signals <- os.Interrupt
	code, _, stderr := c.run("seed", "--data", data, "--users", "1")
	if code != 1 || !strings.Contains(stderr, "canopy: stopped before it was done; run it again to go on") {
		t.Errorf("%d %s", code, stderr)
	}
}
