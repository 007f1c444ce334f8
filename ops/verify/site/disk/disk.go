// Package disk has processes that run find their disk slow, or full, as the system's own answers to them: strace holds up their calls that
// read and write files, or answers them with ENOSPC. The disk itself, and everybody else's use of it, stays as it is.
//
// It promises that only the processes it is given are touched, and that strace, which is itself a process of the caller, has ended when
// Mend returns, and ends with the caller. It knows calls of the system alone: neither what runs nor what is in its files.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/canopychat/canopy/ops/engines/child"
)

const (
	program      = "strace"
	attachBudget = 30 * time.Second // until all threads of the processes are held, on a machine that has much to do
	lookEvery    = 20 * time.Millisecond
	stopGrace    = 10 * time.Second
)

// Slowness is how much longer each call of a slow disk takes.
const Slowness = 20 * time.Millisecond

// Trouble is what is the matter with a disk. The calls are those that are of files alone. write(2) serves connections as well and is left
// in peace, so small files that are written whole come onto a full disk all the same.
type Trouble struct{ calls, effect string }

// Slow is a disk on which each call takes Slowness longer.
func Slow() Trouble {
	return Trouble{
		"?pread64,?pwrite64,?preadv,?pwritev,?preadv2,?pwritev2,?fsync,?fdatasync,?msync,?sync_file_range,?fallocate,?ftruncate," +
			"?unlink,?unlinkat,?rename,?renameat,?renameat2,?mkdir,?mkdirat",
		"delay_enter=" + strconv.FormatInt(Slowness.Microseconds(), 10),
	}
}

// Full is a disk that takes no byte more, and no new folder.
func Full() Trouble {
	return Trouble{"?pwrite64,?pwritev,?pwritev2,?fallocate,?mkdir,?mkdirat", "error=ENOSPC"}
}

// Options say what to break.
type Options struct {
	Trouble Trouble
	PIDs    []int  // of the processes; what they start later is broken too. One of them that has ended is passed over
	Dir     string // for what strace writes; it must be there
}

// Broken is a disk that is broken. One goroutine at a time calls its methods.
type Broken struct {
	dir    string // of this one; removed by Mend
	strace *child.Process
}

// Files in Broken.dir.
const (
	saidName    = "said"    // what strace says to people
	countedName = "counted" // its table of calls
)

// Break breaks the disk, and returns when it is broken for all of the processes.
func Break(ctx context.Context, o Options) (*Broken, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if dir, err = os.MkdirTemp(dir, "strace-"); err != nil {
		return nil, err
	}
	b := &Broken{dir: dir}
	args := []string{"-f", "-c", "-o", filepath.Join(dir, countedName), "-e", "trace=" + o.Trouble.calls, "-e", "inject=" + o.Trouble.calls + ":" + o.Trouble.effect}
	for _, pid := range o.PIDs {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	// That it ends because what it held has ended is no surprise.
	b.strace, err = child.Start(child.Command{Path: path, Args: args, Orphan: syscall.SIGTERM}, filepath.Join(dir, saidName), func(string) {})
	if err == nil {
		err = b.attached(ctx, o.PIDs)
	}
	if err != nil {
		_, mending := b.Mend()
		return nil, errors.Join(err, mending)
	}
	return b, nil
}

// attached waits until strace holds the processes, or has said why it does not hold one of them.
func (b *Broken) attached(ctx context.Context, pids []int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, attachBudget, fmt.Errorf("%s does not hold %v after %v", program, pids, attachBudget))
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		ended := b.strace.HasEnded()
		said, err := os.ReadFile(filepath.Join(b.dir, saidName))
		if err != nil {
			return err
		}
		held, refused := answers(string(said), pids)
		switch {
		case held+refused == len(pids) && held > 0:
			return nil
		case ended || refused == len(pids):
			return fmt.Errorf("%s holds nobody: %s", program, strings.TrimSpace(string(said)))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// answers is how many of the processes strace says that it holds, and of how many it says that it cannot.
func answers(said string, pids []int) (held, refused int) {
	for _, pid := range pids {
		switch {
		case strings.Contains(said, fmt.Sprintf("Process %d attached", pid)):
			held++
		case strings.Contains(said, fmt.Sprintf(", %d): ", pid)): // attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted
			refused++
		}
	}
	return held, refused
}

// Mend has the disk be as it is, and says how many calls were slow, or refused. When it returns the processes run free, also when there is
// an error. Call it once.
func (b *Broken) Mend() (calls int, err error) {
	if b.strace != nil {
		err = b.strace.Stop(syscall.SIGTERM, stopGrace) // it lets go of them, and writes its table
	}
	table, reading := os.ReadFile(filepath.Join(b.dir, countedName))
	if reading == nil {
		calls = total(string(table))
	} else if errors.Is(reading, os.ErrNotExist) { // it has not come so far
		reading = nil
	}
	return calls, errors.Join(err, reading, os.RemoveAll(b.dir))
}

// total is the number of calls in strace's table: «100.00    0.000018           0        19        19 total».
func total(table string) int {
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		if len(words) < 5 || words[len(words)-1] != "total" {
			continue
		}
		if n, err := strconv.Atoi(words[3]); err == nil {
			return n
		}
	}
	return 0
}

// Able says why disks cannot be broken here, by breaking that of a process of its own.
func Able(ctx context.Context, dir string) error {
	cat := exec.CommandContext(ctx, "cat")
	in, err := cat.StdinPipe() // it ends when this is closed
	if err != nil {
		return err
	}
	if err := cat.Start(); err != nil {
		return err
	}
	b, err := Break(ctx, Options{Trouble: Slow(), PIDs: []int{cat.Process.Pid}, Dir: dir})
	if err == nil {
		_, err = b.Mend()
	}
	return errors.Join(err, in.Close(), cat.Wait())
}
