package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Command is what to start.
type Command struct {
	Path   string
	Args   []string
	Env    []string
	As     *Account       // nil: as who runs this
	Orphan syscall.Signal // what it gets when this process dies
}

// Process is something that runs.
type Process struct {
	cmd   *exec.Cmd
	told  atomic.Bool   // to end: its end is no surprise
	Ended chan struct{} // closed when it has ended
}

// Start starts a process that writes into the file log. When it ends without having been told to, surprised is called.
func Start(c Command, log string, surprised func(how string)) (*Process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own
	p := &Process{cmd: exec.Command(c.Path, c.Args...), Ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = c.Env, "/"
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = attributes(c.As, c.Orphan)
	started := make(chan error, 1)
	go func() {
		defer close(p.Ended)
		// The kernel takes the end of the thread that started a child for the end of its parent. So this goroutine
		// keeps its thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = p.cmd.Wait() // ProcessState says how it ended
		if !p.told.Load() {
			surprised(p.cmd.ProcessState.String())
		}
	}()
	if err := <-started; err != nil {
		<-p.Ended
		return nil, err
	}
	return p, nil
}

// PID is of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Family are the ids of the process and of all that it has started, its own first.
func (p *Process) Family() []int { return family(p.PID()) }

// HasEnded tells whether it has.
func (p *Process) HasEnded() bool {
	select {
	case <-p.Ended:
		return true
	default:
		return false
	}
}

// How says how it ended.
func (p *Process) How() string { return p.cmd.ProcessState.String() }

// Pause holds it, and those that it started, in the middle of what they do.
func (p *Process) Pause() { pause(p.PID()) }

// Continue lets them go on.
func (p *Process) Continue() { resume(p.PID()) }

// Stop tells it to end, and kills it when it has not by the end of grace.
func (p *Process) Stop(farewell syscall.Signal, grace time.Duration) error {
	p.told.Store(true)
	resume(p.PID()) // what is paused hears nothing
	if err := p.cmd.Process.Signal(farewell); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.Ended:
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("it did not stop within %v and was killed", grace)
	}
}

// Kill ends it, and those that it started, at once.
func (p *Process) Kill() {
	p.told.Store(true)
	if !p.HasEnded() {
		slay(p.PID())
	}
	<-p.Ended
}

// RunTool runs something to its end, as the account, and ends it with ctx or with this process. What it writes goes to
// out.
func RunTool(ctx context.Context, c Command, in io.Reader, out io.Writer) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Env, cmd.Dir = c.Env, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	cmd.SysProcAttr = attributes(c.As, syscall.SIGKILL)
	cmd.Cancel = func() error {
		slay(cmd.Process.Pid)
		return nil
	}
	cmd.WaitDelay = 5 * time.Second
	runtime.LockOSThread() // see Start
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Environ is the environment of this process with some variables set, and others, which end with *, taken away.
func Environ(set []string, without ...string) []string {
	drop := func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		for _, s := range set {
			if strings.HasPrefix(s, name+"=") {
				return true
			}
		}
		for _, w := range without {
			if prefix, ok := strings.CutSuffix(w, "*"); name == w || ok && strings.HasPrefix(name, prefix) {
				return true
			}
		}
		return false
	}
	var env []string
	for _, entry := range os.Environ() {
		if !drop(entry) {
			env = append(env, entry)
		}
	}
	return append(env, set...)
}

// LastWords is the last line of a log that tells of an error, else its last line at all; at most 300 bytes of it.
func LastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	last := ""
	isError := false
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		bad := bytes.Contains(line, []byte("ERROR")) || bytes.Contains(line, []byte("FATAL")) || bytes.Contains(line, []byte("canopy: ")) || bytes.Contains(line, []byte("Exception"))
		if len(line) > 0 && (bad || !isError) {
			last, isError = string(line), bad
		}
	}
	if len(last) > 300 {
		last = last[:300] + "…"
	}
	return last
}
