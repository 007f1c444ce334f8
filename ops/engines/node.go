package engines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/child"
)

const (
	startLimit  = 4 * time.Minute // of one engine, on a machine that is very busy
	stopGrace   = 40 * time.Second
	readyEvery  = 100 * time.Millisecond
	portPatient = 5 * time.Second // how long a port may stay taken by who held it before and is about to end
)

// Node is one server: a node of the ring, PostgreSQL or a node of the hub. After Start of this package it runs. One
// goroutine at a time calls its methods.
type Node struct {
	Name string // "cassandra 127.0.0.1", "postgres", "hub 1"
	Log  string // the file that the server writes to
	kind kind

	proc   atomic.Pointer[child.Process] // nil before the first start
	failed chan<- error                  // takes one error; what comes later is dropped, as the first one says what began it
}

// kind is what differs between engines.
type kind interface {
	// prepare gets the node's folder ready and says what to run.
	prepare(ctx context.Context) (child.Command, error)
	// ready tells whether it serves. An error ends the waiting.
	ready(ctx context.Context, pid int) (bool, error)
	// farewell is the signal that it stops by, with its data whole.
	farewell() syscall.Signal
}

// Start starts the server and waits until it serves; in a ring, until the other nodes that run see it and it sees
// them. It does nothing when it runs.
func (n *Node) Start(ctx context.Context) error { return startAll(ctx, []*Node{n}) }

// startAll starts servers that need each other to serve. When one of them does not, all that were started end.
func startAll(ctx context.Context, nodes []*Node) error {
	var begun []*child.Process
	err := func() error {
		for _, n := range nodes {
			if n.running() != nil {
				continue
			}
			p, err := n.begin(ctx)
			if err != nil {
				return err
			}
			begun = append(begun, p)
		}
		for _, n := range nodes {
			if err := n.await(ctx, n.proc.Load()); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		for _, p := range begun {
			p.Kill()
		}
	}
	return err
}

func (n *Node) begin(ctx context.Context) (*child.Process, error) {
	c, err := n.kind.prepare(ctx)
	if err != nil {
		return nil, err
	}
	p, err := child.Start(c, n.Log, func(how string) {
		select {
		case n.failed <- fmt.Errorf("%s ended by itself (%s): %s; its log is %s", n.Name, how, child.LastWords(n.Log), n.Log):
		default: // the first one says what began it
		}
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.Name, err)
	}
	n.proc.Store(p)
	return p, nil
}

func (n *Node) await(ctx context.Context, p *child.Process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("%s does not serve after %v; its log is %s", n.Name, startLimit, n.Log))
	defer cancel()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		ready, err := n.kind.ready(ctx, p.PID())
		switch {
		case p.HasEnded():
			return fmt.Errorf("%s ended while it started (%s): %s; its log is %s", n.Name, p.How(), child.LastWords(n.Log), n.Log)
		case err != nil:
			return fmt.Errorf("%s: %w", n.Name, err)
		case ready:
			return nil
		}
		select {
		case <-p.Ended:
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Stop stops the server as its operators do, and waits until it has ended. It does nothing when it does not run.
func (n *Node) Stop() error {
	p := n.running()
	if p == nil {
		return nil
	}
	if err := p.Stop(n.kind.farewell(), stopGrace); err != nil {
		return fmt.Errorf("stop %s: %w", n.Name, err)
	}
	return nil
}

// Kill ends the server and all its processes without a word, as kill -9 does, and waits until it has ended.
func (n *Node) Kill() {
	if p := n.running(); p != nil {
		p.Kill()
	}
}

// Pause stops the server in the middle of what it does: its ports are open and nothing answers. It does nothing when
// it does not run.
func (n *Node) Pause() {
	if p := n.running(); p != nil {
		p.Pause()
	}
}

// Continue lets a paused server go on.
func (n *Node) Continue() {
	if p := n.running(); p != nil {
		p.Continue()
	}
}

// PID is of the server's process; 0 when it does not run.
func (n *Node) PID() int {
	if p := n.running(); p != nil {
		return p.PID()
	}
	return 0
}

// Family are the ids of the server's process and of those that it has started, its own first; none when it does not run.
func (n *Node) Family() []int {
	if p := n.running(); p != nil {
		return p.Family()
	}
	return nil
}

func (n *Node) running() *child.Process {
	if p := n.proc.Load(); p != nil && !p.HasEnded() {
		return p
	}
	return nil
}

// awaitFree waits a moment for a port that whoever had it before is about to give back.
func awaitFree(ctx context.Context, address, hint string) error {
	limit := time.NewTimer(portPatient)
	defer limit.Stop()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		err := tryPort(ctx, address)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return config.Problemf("%s: %w", address, err)
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return config.Problemf("%s is taken by another process; %s", address, hint)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryPort tells whether a server could listen there.
func tryPort(ctx context.Context, address string) error {
	var conf net.ListenConfig
	l, err := conf.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
