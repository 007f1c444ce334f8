package app_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
)

// asCommand makes this test binary the canopy command.
const asCommand = "CANOPY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", "4"); err != nil { // they wait most of the time: for a lapse, for a process to start
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(wholly(m.Run()))
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(cli.Main(os.Args[1:], cli.System{Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, Exit: os.Exit}))
}

// wholly is the exit code of a run of tests: when all of them passed, they have tried everything that the documents have.
func wholly(code int) int {
	if code != 0 || !all() {
		return code
	}
	if left := watched().unseen(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: no test has tried what the documents have: %q\n", left)
		return 1
	}
	return 0
}

// output is what a process has written so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // holds one token
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default: // a token is there
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// process is the canopy command in a process of its own.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errors *output
	ended       chan struct{}
}

// canopy starts the command.
func canopy(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, out: &output{more: make(chan struct{}, 1)}, errors: &output{more: make(chan struct{}, 1)}, ended: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), asCommand+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errors
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // ProcessState says how it ended
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process without a word, as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// serves waits until the process says that it serves.
func (p *process) serves() *process {
	p.t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(p.out.String(), "serves") {
		select {
		case <-p.out.more:
		case <-p.ended:
			p.t.Fatalf("it ended before it served: %s", p.errors)
		case <-deadline:
			p.t.Fatalf("it does not serve: %s", p.errors)
		}
	}
	return p
}

// code waits until the process has ended, and answers its exit code.
func (p *process) code() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatalf("it does not end: %s", p.errors)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end, and answers its exit code.
func (p *process) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	return p.code()
}

// upArgs are the arguments of `canopy up` on ports of its choice.
func upArgs(data string, more ...string) []string {
	return append([]string{"up", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "warn", "--set", "edge.drain_spread=100ms"}, more...)
}

// upProcess is `canopy up` in a process of its own, on ports of its choice.
func upProcess(t *testing.T, data string, more ...string) (*process, *deployment) {
	t.Helper()
	p := canopy(t, upArgs(data, more...)...).serves()
	r, err := config.ReadRunFile(data)
	if err != nil {
		t.Fatal(err)
	}
	return p, reach(t, data, r)
}

// reach is a deployment as its run.json describes it.
func reach(t *testing.T, data string, r config.RunFile) *deployment {
	d := &deployment{t: t, stop: func() {}}
	d.cfg.Data = data
	d.run = app.Running{HTTP: r.HTTP, Admin: r.Admin, Hub: r.NATS.Hub, Leaf: r.NATS.Leaf, Workspace: app.Workspace{ID: r.Workspace.ID, Name: r.Workspace.Name}}
	for _, l := range r.Logins {
		d.run.Logins = append(d.run.Logins, app.Login{Login: l.Login, Password: l.Password})
	}
	return d
}

// freePort is an address that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	// An address of the loopback network that nobody else is at: between this look and the use of the port, others
	// on this machine take any free port of 127.0.0.1.
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil { // a system with one loopback address
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
