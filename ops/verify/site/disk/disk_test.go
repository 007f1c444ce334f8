package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/site/disk"
)

// writerFile names the file that this program writes, instead of running tests.
const writerFile = "CANOPY_TEST_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerFile); path != "" {
		if err := write(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// write writes once for each line that it is given, and says how that went.
func write(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		_, err := f.WriteAt([]byte(lines.Text()), 0)
		said := "ok"
		if errors.Is(err, syscall.ENOSPC) {
			said = "full"
		} else if err != nil {
			said = err.Error()
		}
		if _, err := fmt.Println(said); err != nil {
			return err
		}
	}
	return f.Close()
}

// writer is a process that writes a file.
type writer struct {
	t    *testing.T
	file string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func start(t *testing.T) *writer {
	t.Helper()
	w := &writer{t: t, file: filepath.Join(t.TempDir(), "file"), cmd: exec.Command(os.Args[0])}
	w.cmd.Env = append(os.Environ(), writerFile+"="+w.file)
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.in, w.out = in, bufio.NewScanner(out)
	t.Cleanup(func() {
		if err := errors.Join(in.Close(), w.cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// writes has it write a text, and gives what it says of that.
func (w *writer) writes(text string) string {
	w.t.Helper()
	if _, err := fmt.Fprintln(w.in, text); err != nil {
		w.t.Fatal(err)
	}
	if !w.out.Scan() {
		w.t.Fatalf("it says nothing: %v", w.out.Err())
	}
	return w.out.Text()
}

func (w *writer) breaks(trouble disk.Trouble, others ...int) *disk.Broken {
	w.t.Helper()
	b, err := disk.Break(w.t.Context(), disk.Options{Trouble: trouble, PIDs: append(others, w.cmd.Process.Pid), Dir: w.t.TempDir()})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *writer) mends(b *disk.Broken, least int) {
	w.t.Helper()
	calls, err := b.Mend()
	if err != nil {
		w.t.Fatal(err)
	}
	if calls < least {
		w.t.Errorf("%d calls were broken, of at least %d", calls, least)
	}
}

func (w *writer) has(want string) {
	w.t.Helper()
	if text, err := os.ReadFile(w.file); err != nil || string(text) != want {
		w.t.Errorf("the file is %q, %v; want %q", text, err, want)
	}
}

func able(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := disk.Able(ctx, t.TempDir()); err != nil {
		t.Skip(err)
	}
}

func TestAFullDiskTakesNothingUntilItIsMended(t *testing.T) {
	able(t)
	w, beside := start(t), start(t)
	if said := w.writes("one"); said != "ok" {
		t.Errorf("whole, it says %s", said)
	}
	b := w.breaks(disk.Full())
	for range 3 {
		if said := w.writes("two"); said != "full" {
			t.Errorf("full, it says %s", said)
		}
	}
	if said := beside.writes("two"); said != "ok" {
		t.Errorf("who was not named says %s", said)
	}
	w.mends(b, 3)
	w.has("one")
	if said := w.writes("six"); said != "ok" {
		t.Errorf("mended, it says %s", said)
	}
	w.has("six")
}

func TestASlowDiskTakesEverything(t *testing.T) {
	able(t)
	w := start(t)
	b := w.breaks(disk.Slow())
	for n := range 5 {
		if said := w.writes(strconv.Itoa(n)); said != "ok" {
			t.Errorf("slow, it says %s", said)
		}
	}
	w.mends(b, 5)
	w.has("4")
}

func TestWhoHasEndedIsPassedOver(t *testing.T) {
	able(t)
	gone := exec.Command(os.Args[0], "-test.run=^$")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	w := start(t)
	b := w.breaks(disk.Full(), gone.Process.Pid)
	if said := w.writes("one"); said != "full" {
		t.Errorf("it says %s", said)
	}
	w.mends(b, 1)
	_, err := disk.Break(t.Context(), disk.Options{Trouble: disk.Full(), PIDs: []int{gone.Process.Pid}, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "holds nobody") {
		t.Errorf("of nobody it says %v", err)
	}
}

func TestMendingAfterTheProcessHasDied(t *testing.T) {
	able(t)
	dir := t.TempDir()
	sleeper := exec.Command("cat")
	in, err := sleeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	b, err := disk.Break(t.Context(), disk.Options{Trouble: disk.Slow(), PIDs: []int{sleeper.Process.Pid}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Close(), sleeper.Wait()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Mend(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it has left %v, %v", left, err)
	}
}
