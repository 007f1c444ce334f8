package local_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
)

// patience is for a machine that has much else to do.
const patience = 2 * time.Minute

// program is the canopy command, compiled once; TestMain takes it away.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "canopy-local-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "canopy")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/canopychat/canopy/ops/cmd/canopy").CombinedOutput(); err != nil {
		return path, fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func compiled(t *testing.T) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := program(); path != "" {
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// site is a deployment with ada in eu and bob in us.
type site struct {
	*local.Deployment
	t    *testing.T
	ctx  context.Context // ends when patience does
	town *local.Town
}

func start(t *testing.T, o local.Options) *site {
	t.Helper()
	o.Canopy = compiled(t)
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Settings = append(o.Settings, "edge.drain_spread=100ms")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	began := time.Now()
	d, err := local.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d processes are ready after %s", len(d.Processes()), time.Since(began).Round(time.Millisecond))
	s := &site{Deployment: d, t: t, ctx: ctx}
	t.Cleanup(s.close)
	s.settle()
	return s
}

func (s *site) settle() {
	s.t.Helper()
	town, err := s.Settle(s.ctx, "Works", []local.Person{{Login: "ada", Region: "eu"}, {Login: "bob", Region: "us"}}, "random")
	if err != nil {
		s.t.Fatal(err)
	}
	s.town = town
}

// close stops everything; what does not stop is a failure.
func (s *site) close() {
	if s.Deployment == nil {
		return
	}
	var pids []int
	for _, p := range s.Processes() {
		pids = append(pids, p.PID())
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
	s.t.Logf("all have stopped after %s", time.Since(began).Round(time.Millisecond))
	for i, p := range s.Processes() {
		if p.PID() != 0 {
			s.t.Errorf("%s runs after Close", p.Name)
		}
		if pids[i] != 0 && alive(pids[i], p.Config) {
			s.t.Errorf("the process %d of %s is there after Close", pids[i], p.Name)
		}
	}
	s.Deployment = nil
}

// awaits waits until something is so.
func (s *site) awaits(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// talker is somebody with a socket.
type talker struct {
	*live.Conn
	s     *site
	ended chan error
	stop  context.CancelFunc
	seen  []live.Posted
}

// talks opens a socket; an empty url means the front of the person's region.
func (s *site) talks(login, url string, cursor chat.Cursor) *talker {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	t := &talker{s: s, ended: make(chan error, 1), stop: cancel}
	t.Conn = live.Connect(s.town.People[login], live.Options{Workspace: s.town.Workspace, URL: url, Cursor: cursor})
	go func() { t.ended <- t.Run(ctx) }()
	s.t.Cleanup(t.leave)
	return t
}

// leave closes the socket.
func (t *talker) leave() {
	t.stop()
	for range t.Events() { // the rest of them
	}
	if err := <-t.ended; err != nil {
		t.s.t.Errorf("a client ended with %v", err)
	}
	t.ended <- nil // for the next time
}

// until reads events until one is what is waited for.
func (t *talker) until(what string, is func(live.Event) bool) {
	t.s.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, open := <-t.Events():
			if !open {
				t.s.t.Fatalf("the client ended before %s", what)
			}
			switch e := e.(type) {
			case live.Posted:
				t.seen = append(t.seen, e)
			case live.Resync:
				t.s.t.Fatalf("before %s the client missed something: %s", what, e.Reason)
			}
			if is(e) {
				return
			}
		case <-timeout:
			t.s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (t *talker) online() *talker {
	t.s.t.Helper()
	t.until("a socket is open", func(e live.Event) bool { _, ok := e.(live.Online); return ok })
	return t
}

func (t *talker) hears(body string) live.Posted {
	t.s.t.Helper()
	var heard live.Posted
	t.until("it hears "+body, func(e live.Event) bool {
		p, ok := e.(live.Posted)
		heard = p
		return ok && p.Message.Body == body
	})
	return heard
}

// says sends a message, and hears it come back; the seq is that of the log's answer.
func (t *talker) says(body string) chat.Seq {
	t.s.t.Helper()
	p, err := t.Send(t.s.ctx, client.Message{ChannelID: t.s.town.Channels["general"], Body: body})
	if err != nil {
		t.s.t.Fatal(err)
	}
	heard := t.hears(body)
	r, err := p.Wait(t.s.ctx)
	if err != nil || r.Seq != heard.Message.Seq {
		t.s.t.Fatalf("%q is answered with %+v, %v; it came with %d", body, r, err, heard.Message.Seq)
	}
	return r.Seq
}
