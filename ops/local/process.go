package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	readyBudget = 90 * time.Second // until a process is ready, on a machine that has much to do
	stopBudget  = 30 * time.Second // until it has stopped when it was asked to
	pollEvery   = 50 * time.Millisecond
	pollBudget  = 10 * time.Second // of one look at /readyz
	tailBytes   = 4 << 10          // of the log, in an error
)

// Process is one process of a deployment. All methods may be used from many goroutines.
type Process struct {
	// Immutable after Start.
	Name     string // gateway-eu-1; of a hub or leaf node also the server's name in NATS
	Role     string // as in the command line: hub, leaf, edge, api, persist, deliver
	Region   string // empty: of all regions
	Address  string // host:port that it serves: of NATS, REST or sockets; empty: none
	AdminURL string // /readyz, /metrics, /debug/pprof
	Log      string // path
	Config   string // path
	Data     string // folder

	canopy   string
	settings []string     // besides those of Config, KEY=VALUE
	env      []string     // besides that of this process
	changed  func() error // called when it has started again

	mu   sync.Mutex
	now  *life    // guarded by mu; nil before the first start
	more []string // settings besides, KEY=VALUE; guarded by mu
}

// life is a process from its start to its end.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // how; set before ended is closed
	asked bool          // it was told to end, or somebody was told that it has; guarded by Process.mu
}

// how says how it ended.
func (l *life) how() string {
	if l.err == nil {
		return "has ended"
	}
	return "has ended: " + l.err.Error()
}

func (l *life) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Set has the process start with more settings from its next start on, KEY=VALUE, in place of those that Set gave it before.
func (p *Process) Set(settings ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more = settings
}

// Start starts the process, and does not wait until it is ready. It is an error when it runs.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && !p.now.over() {
		return fmt.Errorf("%s runs already", p.Name)
	}
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("the log of %s: %w", p.Name, err)
	}
	defer log.Close() // the process has its own handle
	args := []string{p.Role, "--config", p.Config}
	for _, s := range slices.Concat(p.settings, p.more) {
		args = append(args, "--set", s)
	}
	l := &life{cmd: exec.Command(p.canopy, args...), ended: make(chan struct{})}
	l.cmd.Env, l.cmd.Stdout, l.cmd.Stderr, l.cmd.SysProcAttr = append(environ(), p.env...), log, log, attributes()
	started := make(chan error, 1)
	go func() { // whoever ends the process waits for ended
		defer close(l.ended)
		runtime.LockOSThread() // the process dies with the thread that started it, so that is kept to its end
		defer runtime.UnlockOSThread()
		err := l.cmd.Start()
		started <- err
		if err == nil {
			l.err = l.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.now = l
	return nil
}

// environ is that of this process without the settings of Canopy, which the files say.
func environ() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "CANOPY_") {
			env = append(env, entry)
		}
	}
	return env
}

// life is the process as it runs; an error when it does not.
func (p *Process) life(asked bool) (*life, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.now == nil:
		return nil, fmt.Errorf("%s was not started", p.Name)
	case p.now.over():
		return nil, fmt.Errorf("%s %s", p.Name, p.now.how())
	}
	p.now.asked = p.now.asked || asked
	return p.now, nil
}

// PID is the id of the process; 0: it does not run.
func (p *Process) PID() int {
	l, err := p.life(false)
	if err != nil {
		return 0
	}
	return l.cmd.Process.Pid
}

// Kill ends the process without a word (SIGKILL) and waits until it has gone.
func (p *Process) Kill() error {
	l, err := p.life(true)
	if err != nil {
		return err
	}
	if err := l.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	<-l.ended
	return nil
}

// Stop asks the process to end (SIGTERM) and waits until it has, by force at the end of ctx or when it takes too long;
// that, and an exit code other than 0, is an error. A process that is paused goes on first.
func (p *Process) Stop(ctx context.Context) error {
	l, err := p.life(true)
	if err != nil {
		return err
	}
	for _, signal := range []func(*os.Process) error{resume, terminate} {
		if err := signal(l.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return errors.Join(fmt.Errorf("stop %s: %w", p.Name, err), p.Kill())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, stopBudget)
	defer cancel()
	select {
	case <-l.ended:
	case <-ctx.Done():
		if err := p.Kill(); err == nil { // else it has ended this very moment
			return fmt.Errorf("%s did not stop, and was killed: %w", p.Name, context.Cause(ctx))
		}
	}
	if l.err != nil {
		return fmt.Errorf("%s stopped with %w\n%s", p.Name, l.err, p.Tail())
	}
	return nil
}

// Pause stops the process in its tracks (SIGSTOP): its connections stay open, and nobody is at them.
func (p *Process) Pause() error { return p.signal("pause", suspend) }

// Continue has a process that is paused go on.
func (p *Process) Continue() error { return p.signal("continue", resume) }

func (p *Process) signal(what string, signal func(*os.Process) error) error {
	l, err := p.life(false)
	if err == nil {
		err = signal(l.cmd.Process)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, p.Name, err)
	}
	return nil
}

// Restart starts the process again, after a Stop when it runs, and waits until it is ready.
func (p *Process) Restart(ctx context.Context) error {
	if p.PID() != 0 {
		if err := p.Stop(ctx); err != nil {
			return err
		}
	}
	if err := p.Start(); err != nil {
		return err
	}
	if err := p.changed(); err != nil {
		return err
	}
	return p.Ready(ctx)
}

// Ready waits until the process says that it can do its work (/readyz). The error says what it said last, and how its
// log ends.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyBudget)
	defer cancel()
	for {
		l, err := p.life(false)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, p.Tail())
		}
		last := p.look(ctx)
		if last == nil {
			return nil
		}
		if err := l.await(ctx, pollEvery); err != nil {
			return fmt.Errorf("%s is not ready: %w (%w)\n%s", p.Name, err, last, p.Tail())
		}
	}
}

// await waits for d; the error is that ctx ended.
func (l *life) await(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ended:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// look asks /readyz once.
func (p *Process) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pollBudget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.AdminURL+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	req.Close = true // nothing is left behind by who has looked
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(answer.Body, tailBytes))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(strings.Join(strings.Fields(string(text)), " "))
	}
	return err
}

// IsReady reports whether the process can do its work now.
func (p *Process) IsReady(ctx context.Context) bool { return p.look(ctx) == nil }

// Tail is how the log of the process ends.
func (p *Process) Tail() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-tailBytes):]))
}

// Crashed is how the process ended by itself, told once; nil when it runs, or has ended as it was asked to.
func (p *Process) Crashed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil || p.now.asked || !p.now.over() {
		return nil
	}
	p.now.asked = true // from now on it is known
	return fmt.Errorf("%s %s", p.Name, p.now.how())
}
