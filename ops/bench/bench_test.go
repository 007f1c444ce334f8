//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// build is the command, compiled once. It is tested from outside: it starts itself again for its children.
func build(t *testing.T) string {
	t.Helper()
	return compiled(t, "bench")
}

func compiled(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// programs is a folder with the command and canopy, which TestMain takes away.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "canopy-bench-test-")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", ".", "../cmd/canopy").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return dir, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

type sample struct{ Deliveries, Acks, Reads int }

type report struct {
	Machine struct{ Cores int }
	CPU     []struct {
		Sockets, Messages, Senders int
		InFlight                   int `json:"in_flight"`
		Rounds                     []struct{ Ours, Bare sample }
	}
	Idle *struct{ Sockets int }
}

// Times are never looked at: they are the machine's.
func TestEveryDeliveryIsCounted(t *testing.T) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), build(t), "-sockets", "20", "-messages", "50", "-rounds", "2", "-idle", "30", "-clients", "2", "-json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out.String())
	}
	if r.Machine.Cores < 1 || len(r.CPU) != 2 || r.Idle == nil || r.Idle.Sockets != 30 {
		t.Fatalf("something was not measured: %s", out.String())
	}
	for i, want := range []struct{ inFlight, senders, messages int }{{1, 1, 50}, {16, 16, 200}} {
		c := r.CPU[i]
		if c.Sockets != 20 || c.InFlight != want.inFlight || c.Senders != want.senders || c.Messages != want.messages || len(c.Rounds) != 2 {
			t.Errorf("measured %+v, want %+v", c, want)
		}
		for _, round := range c.Rounds {
			if n := want.messages * 20; round.Ours.Deliveries != n || round.Bare.Deliveries != n {
				t.Errorf("%d in flight: %d deliveries by ours and %d by bare, want %d", want.inFlight, round.Ours.Deliveries, round.Bare.Deliveries, n)
			}
			if round.Ours.Acks != want.messages || round.Bare.Acks != 0 {
				t.Errorf("%d in flight: %d acks by ours and %d by bare", want.inFlight, round.Ours.Acks, round.Bare.Acks)
			}
			if reads := round.Bare.Reads; want.inFlight == 1 && reads != round.Bare.Deliveries {
				t.Errorf("with one in flight a read had more than one delivery: %d reads", reads)
			}
		}
	}
}

func TestMistakesAndHelp(t *testing.T) {
	bench := build(t)
	for _, args := range [][]string{{"-what", "x"}, {"-sockets", "15"}, {"-rounds", "0"}, {"-senders", "2000"}, {"more"}, {"-nope"},
		{"-soak", "1s", "-crowd", "5"}, {"-soak", "-1s"}, {"-soak", "1s", "-soak-sockets", "9"}, {"-soak", "1s", "-soak-every", "1ms"}, {"-crowd", "-1"}} {
		out, err := exec.Command(bench, args...).CombinedOutput()
		if code := exitCode(err); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, out)
		}
	}
	out, err := exec.Command(bench, "-help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"in flight", "bare loop", "-sockets", "-idle", "smaps_rollup", "Theil-Sen", "-soak", "-crowd"} {
		if !strings.Contains(string(out), word) {
			t.Errorf("-help does not speak of %q", word)
		}
	}
}

func exitCode(err error) int {
	if exit, ok := err.(*exec.ExitError); ok {
		return exit.ExitCode()
	}
	return 0
}
