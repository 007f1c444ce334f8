//go:build linux

package site

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

// Site is a deployment in a temporary folder: who is in it lasts, the server comes and goes.
type Site struct {
	Dir      string
	Canopy   string   // the program; empty before Prepare: it is built
	Settings []string // of the server, beside where it listens and where its data are

	// known after Prepare
	Tokens    []string // of the people
	Workspace string
	Channel   chat.ChannelID // in which everybody is
}

const (
	startBudget = 20 * time.Second
	stopBudget  = 30 * time.Second
	seedBudget  = 5 * time.Minute
	pollEvery   = 50 * time.Millisecond
	seedRooms   = 12 // channels besides general; a person is in a few of them
)

// Prepare builds the program and fills the workspace.
func (s *Site) Prepare(ctx context.Context, people int) error {
	if s.Canopy == "" {
		s.Canopy = filepath.Join(s.Dir, "canopy")
		build := exec.CommandContext(ctx, "go", "build", "-o", s.Canopy, "github.com/canopychat/canopy/ops/cmd/canopy")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build canopy: %w\n%s", err, out)
		}
	}
	sv, err := s.Start(ctx)
	if err != nil {
		return err
	}
	return errors.Join(s.seed(ctx, sv, people), sv.Stop())
}

func (s *Site) seed(ctx context.Context, sv *Server, people int) error {
	ctx, cancel := context.WithTimeout(ctx, seedBudget)
	defer cancel()
	file := filepath.Join(s.Dir, "tokens")
	seed := exec.CommandContext(ctx, s.Canopy, "seed", "--data", s.data(), "--users", strconv.Itoa(people),
		"--channels", strconv.Itoa(seedRooms), "--messages", "0", "--tokens", file)
	if out, err := seed.CombinedOutput(); err != nil {
		return fmt.Errorf("canopy seed: %w\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	s.Tokens = strings.Fields(string(text))
	if len(s.Tokens) < people {
		return fmt.Errorf("canopy seed wrote %d tokens for %d people", len(s.Tokens), people)
	}
	s.Workspace = sv.Run.Workspace.ID
	return s.findGeneral(ctx, sv.Run.HTTP)
}

// findGeneral asks for the channel that everybody is in.
func (s *Site) findGeneral(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/workspaces/"+s.Workspace+"/channels", nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.Tokens[0])
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
			s.Channel = c.ID
			return nil
		}
	}
	return errors.New("there is no channel general")
}

func (s *Site) data() string { return filepath.Join(s.Dir, "data") }

// Server is a canopy that runs.
type Server struct {
	Run config.RunFile // what it says of itself

	// Owned by Start and Stop.
	cmd  *exec.Cmd
	log  *os.File
	done chan error // gets the process's end
}

// Start runs the server and waits until it serves.
func (s *Site) Start(ctx context.Context) (*Server, error) {
	log, err := os.Create(filepath.Join(s.Dir, "server.log"))
	if err != nil {
		return nil, err
	}
	sv := &Server{log: log, done: make(chan error, 1)}
	sv.cmd = exec.Command(s.Canopy, append([]string{"up", "--data", s.data(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}, s.Settings...)...)
	sv.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this program, which then stops the server
	sv.cmd.Stdout, sv.cmd.Stderr = log, log
	if err := sv.cmd.Start(); err != nil {
		_ = log.Close() // the error that matters is why it does not start
		return nil, err
	}
	go func() { sv.done <- sv.cmd.Wait() }() // Stop takes it
	ctx, cancel := context.WithTimeout(ctx, startBudget)
	defer cancel()
	for {
		if sv.Run, err = config.ReadRunFile(s.data()); err == nil {
			return sv, nil
		}
		if err := Pause(ctx, pollEvery); err != nil {
			said, _ := os.ReadFile(log.Name()) // what there is of it
			return nil, errors.Join(fmt.Errorf("the server does not start: %w\n%s", err, said), sv.Stop())
		}
	}
}

// PID is of the process.
func (sv *Server) PID() int { return sv.cmd.Process.Pid }

// Stop ends the server, by force when it does not end by itself.
func (sv *Server) Stop() error {
	defer func() { _ = sv.log.Close() }() // the server wrote it
	if err := sv.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	late := time.AfterFunc(stopBudget, func() { _ = sv.cmd.Process.Kill() }) // the process may have ended now
	defer late.Stop()
	return <-sv.done
}

// Address is the host and port of REST and sockets.
func (sv *Server) Address() string { return strings.TrimPrefix(sv.Run.HTTP, "http://") }

// Collect has the server collect garbage. Twice, because what has a finalizer goes in the second.
func (sv *Server) Collect(ctx context.Context) error {
	for range 2 {
		if err := sv.Fetch(ctx, "/debug/pprof/heap?gc=1", io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// Live is the bytes of the server's heap that are in use.
func (sv *Server) Live(ctx context.Context) (int, error) {
	var vars strings.Builder
	if err := sv.Fetch(ctx, "/debug/vars", &vars); err != nil {
		return 0, err
	}
	var stats struct {
		MemStats struct{ HeapAlloc int } `json:"memstats"`
	}
	err := json.Unmarshal([]byte(vars.String()), &stats)
	return stats.MemStats.HeapAlloc, err
}

// Fetch writes what the admin address answers at path.
func (sv *Server) Fetch(ctx context.Context, path string, to io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, sv.Run.Admin+path, nil)
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

// Pause waits for d, or returns ctx's error when that ends first.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
