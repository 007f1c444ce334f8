//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// site is a deployment in a temporary folder: who is in it lasts, the server comes and goes.
type site struct {
	dir    string
	canopy string // the program; empty before prepare: it is built

	// known after prepare
	tokens    []string // of the people
	workspace string
	channel   chat.ChannelID // in which everybody is
}

const (
	startBudget = 20 * time.Second
	stopBudget  = 30 * time.Second
	seedBudget  = 5 * time.Minute
	pollEvery   = 50 * time.Millisecond
	seedRooms   = 12 // channels besides general; a person is in a few of them
)

// prepare builds the program and fills the workspace.
func (s *site) prepare(ctx context.Context, people int) error {
	if s.canopy == "" {
		s.canopy = filepath.Join(s.dir, "canopy")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.canopy, "github.com/canopychat/canopy/ops/cmd/canopy")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build canopy: %w\n%s", err, out)
		}
	}
	sv, err := s.start(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.seed(ctx, sv, people), sv.stop())
}

func (s *site) seed(ctx context.Context, sv *server, people int) error {
	ctx, cancel := context.WithTimeout(ctx, seedBudget)
	defer cancel()
	file := filepath.Join(s.dir, "tokens")
	seed := exec.CommandContext(ctx, s.canopy, "seed", "--data", s.data(), "--users", strconv.Itoa(people),
		"--channels", strconv.Itoa(seedRooms), "--messages", "0", "--tokens", file)
	if out, err := seed.CombinedOutput(); err != nil {
		return fmt.Errorf("canopy seed: %w\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s.tokens = strings.Fields(string(text))
	if len(s.tokens) < people {
		return fmt.Errorf("canopy seed wrote %d tokens for %d people", len(s.tokens), people)
	}
	s.workspace = sv.run.Workspace.ID
	return s.findGeneral(ctx, sv.run.HTTP)
}

// findGeneral asks for the channel that everybody is in.
func (s *site) findGeneral(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/workspaces/"+s.workspace+"/channels", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens[0])
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("list channels: %s", answer.Status)
	}
	var list rest.ChannelList
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return fmt.Errorf("list channels: %w", err)
	}
	for _, c := range list.Channels {
		if c.Name == "general" {
			s.channel = c.ID
			return nil
		}
	}
	return errors.New("there is no channel general")
}

func (s *site) data() string { return filepath.Join(s.dir, "data") }

// server is a canopy that runs.
type server struct {
	cmd  *exec.Cmd
	run  config.RunFile
	log  *os.File
	done chan error // gets the process's end
}

// start runs the server and waits until it serves.
func (s *site) start(ctx context.Context) (*server, error) {
	log, err := os.Create(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return nil, err
	}
	sv := &server{log: log, done: make(chan error, 1)}
	sv.cmd = exec.Command(s.canopy, "up", "--no-limits", "--data", s.data(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	sv.cmd.Stdout, sv.cmd.Stderr = log, log
	if err := sv.cmd.Start(); err != nil {
		_ = log.Close() // the error that matters is why it does not start
		return nil, err
	}
	go func() { sv.done <- sv.cmd.Wait() }() // stop takes it
	ctx, cancel := context.WithTimeout(ctx, startBudget)
	defer cancel()
	for {
		if sv.run, err = config.ReadRunFile(s.data()); err == nil {
			return sv, nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			said, _ := os.ReadFile(log.Name()) // what there is of it
			return nil, errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, said), sv.stop())
		}
	}
}

func (sv *server) pid() int { return sv.cmd.Process.Pid }

// stop ends the server, by force when it does not end by itself.
func (sv *server) stop() error {
	defer func() { _ = sv.log.Close() }() // the server wrote it
	if err := sv.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(stopBudget, func() { _ = sv.cmd.Process.Kill() }) // the process may have ended now
	defer late.Stop()
	return <-sv.done
}

// address is the host and port of REST and sockets.
func (sv *server) address() string { return strings.TrimPrefix(sv.run.HTTP, "http://") }

// collect has the server collect garbage. Twice, because what has a finalizer goes in the second.
func (sv *server) collect(ctx context.Context) error {
	for range 2 {
		if err := sv.fetch(ctx, "/debug/pprof/heap?gc=1", io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// live is the bytes of the server's heap that are in use.
func (sv *server) live(ctx context.Context) (int, error) {
	var vars strings.Builder
	if err := sv.fetch(ctx, "/debug/vars", &vars); err != nil {
		return 0, err
	}
	var stats struct {
		MemStats struct{ HeapAlloc int } `json:"memstats"`
	}
	err := json.Unmarshal([]byte(vars.String()), &stats)
	return stats.MemStats.HeapAlloc, err
}

func (sv *server) fetch(ctx context.Context, path string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, sv.run.Admin+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
	_, err = bufio.NewReader(answer.Body).WriteTo(to)
	return err
}

// pause waits for d, or returns ctx's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
