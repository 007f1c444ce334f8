//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

type verdict struct {
	Points int
	Grows  bool
}

type soakReport struct {
	Soak struct {
		Sockets   int
		Took      time.Duration `json:"took_ns"`
		Asked     time.Duration `json:"asked_ns"`
		Looks     []struct{ Goroutines, Descriptors, Open int }
		Done      map[string]int
		Counters  map[string]int
		Verdicts  map[string]verdict
		NeverDone []string `json:"never_done"`
		LeftOpen  int      `json:"left_open"`
	}
}

// The mode is kept alive: everything is done, looked at and judged. Whether a figure grows in so short a time is not
// looked at, for it is all warm-up; what is judged how is said in package flat.
func TestASoakDoesEverythingAndJudgesIt(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak takes its time")
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), build(t), "-canopy", compiled(t, "canopy"),
		"-soak", "15s", "-soak-sockets", "60", "-soak-every", "300ms", "-soak-fill", "200000", "-json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	failed := cmd.Run()
	var r soakReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s; %s", err, out.String(), errs.String())
	}
	k := r.Soak
	if k.Sockets != 60 || k.LeftOpen != 0 || len(k.NeverDone) > 0 || len(k.Looks) < 20 {
		t.Errorf("%d sockets, %d left open, %d looks, never done: %v; done %v", k.Sockets, k.LeftOpen, len(k.Looks), k.NeverDone, k.Done)
	}
	for _, l := range k.Looks {
		if l.Goroutines < 10 || l.Descriptors < l.Open/2 {
			t.Errorf("a look saw %+v", l)
		}
	}
	grows := false
	for _, name := range []string{"goroutines", "descriptors", "live heap", "heap in use", "resident"} {
		v, ok := k.Verdicts[name]
		if !ok || v.Points < 15 || v.Points >= len(k.Looks) {
			t.Errorf("%s: %+v of %d looks", name, v, len(k.Looks))
		}
		grows = grows || v.Grows
	}
	if code := exitCode(failed); code != 0 != grows || code > 1 {
		t.Errorf("exit code %d with a figure that grows: %v; %s", code, grows, errs.String())
	}
}

// Ctrl-C ends a soak with what there is; too little of it is no proof.
func TestASoakThatIsInterruptedSaysWhatItHas(t *testing.T) {
	if testing.Short() {
		t.Skip("a soak takes its time")
	}
	cmd := exec.CommandContext(t.Context(), build(t), "-canopy", compiled(t, "canopy"), "-soak", "1h", "-soak-sockets", "20", "-soak-every", "200ms", "-soak-fill", "0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	chunk := make([]byte, 4<<10)
	for interrupted := false; ; {
		n, err := out.Read(chunk)
		said.Write(chunk[:n])
		if err != nil {
			break
		}
		if !interrupted && strings.Contains(said.String(), "goroutines") {
			interrupted = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code := exitCode(cmd.Wait()); code != 1 || !strings.Contains(errs.String(), "too few looks to tell") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if !strings.Contains(said.String(), "ended before the 1h0m0s that were asked for") {
		t.Errorf("it said %s", said.String())
	}
}

func TestACrowdComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a server")
	}
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), build(t), "-canopy", compiled(t, "canopy"), "-crowd", "60", "-json")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var r struct {
		Crowd struct {
			Sockets, Back, Resumed int
			Seconds                []struct{ Admitted, Refused int }
			Refused                map[string]int `json:"refused_times"`
			Counters               map[string]int
			CPU                    time.Duration `json:"cpu_ns"`
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(errors.Join(err, errors.New(string(out))))
	}
	c := r.Crowd
	admitted, people := 0, 0
	for _, s := range c.Seconds {
		admitted += s.Admitted
	}
	for _, n := range c.Refused {
		people += n
	}
	if c.Sockets != 60 || c.Back != 60 || c.Resumed != 60 || admitted != 60 || people != 60 {
		t.Errorf("%s", out)
	}
	if len(c.Counters) == 0 {
		t.Error("no counter of the server's was read")
	}
}
