//go:build linux

package engines_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/engines"
)

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		o    engines.Options
		want string
	}{
		{engines.Options{Postgres: true}, "in which folder? --dir says it"},
		{engines.Options{Dir: "d"}, "which engines? --cassandra 1, --postgres, --hub 3"},
		{engines.Options{Dir: "d", Cassandra: 2}, "a ring of 2 nodes: it has 1 or 3"},
		{engines.Options{Dir: "d", Hub: 1}, "a hub of 1 nodes: it has 3"},
		{engines.Options{Dir: "d", Cassandra: 1, Network: "10.0.0"}, `the network "10.0.0" is not the first three numbers of a loopback address, such as 127.0.9`},
		{engines.Options{Dir: "d", Cassandra: 1, Network: "127.0.300"}, `the network "127.0.300" is not the first three numbers of a loopback address, such as 127.0.9`},
	} {
		if _, err := engines.Start(t.Context(), c.o); asProblem(err) != c.want {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	if _, err := os.Stat("d"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a mistake has made a folder: %v", err)
	}
}

// A run in a process of its own says when it serves, and where. It takes that back at its end.
func TestARunEndsInOrder(t *testing.T) {
	dir := folder(t)
	run := command(t, what{Dir: dir})
	a, err := engines.ReadAddresses(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "engines.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v: it has a password in it", info.Mode(), err)
	}
	psql(t, a.Postgres.DSN, "SELECT 1")
	if err := run.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := run.Wait(); err != nil {
		t.Error(err)
	}
	if alive(a.Postgres.PID) {
		t.Error("it left a process")
	}
	if _, err := engines.ReadAddresses(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("engines.json is still there: %v", err)
	}
}

// However a run ends, its servers end with it, and the next run goes on with their data.
func TestNothingOutlivesAKilledRun(t *testing.T) {
	dir := folder(t)
	run := command(t, what{Dir: dir, Cassandra: 1, Network: "127.0.73"})
	a, err := engines.ReadAddresses(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait() // it was killed
	for _, pid := range []int{a.Postgres.PID, a.Cassandra[0].PID} {
		gone(t, pid)
	}
	start(t, engines.Options{Dir: dir, Postgres: true})
}

// An engine that dies ends the run, which says where its log is.
func TestAnEngineThatDiesIsTold(t *testing.T) {
	e := start(t, engines.Options{Postgres: true})
	if err := syscall.Kill(e.Postgres.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-e.Failed():
		for _, part := range []string{"postgres ended by itself (signal: killed): ", "; its log is " + e.Postgres.Log} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: it does not say %q", err, part)
			}
		}
	case <-time.After(patience):
		t.Error("nobody says that it died")
	}
}

// command starts a run in a process of its own and waits until it serves.
func command(t *testing.T, w what) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asEngines+"="+string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // the test may have waited
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "serves" {
		if strings.Contains(line, "apt-get install") && os.Getenv("CANOPY_ENGINES") != "required" {
			t.Skip(line)
		}
		t.Fatalf("%q %v", line, err)
	}
	return cmd
}

// alive: a process that is dead and not waited for is not.
func alive(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(text), ") Z ")
}

func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
