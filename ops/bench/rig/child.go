//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// The roles of the program when it is started by itself.
const (
	roleSwarm = "swarm-of-clients"
	roleBare  = "bare-loop"
)

// Main is what main calls first: in a child it does the child's work and ends the process.
func Main() {
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[1] {
	case roleSwarm:
		childMain(swarmMain)
	case roleBare:
		childMain(bareMain)
	}
}

// child is a process of this program. Orders go to its stdin, a JSON object a line, and each is answered by one.
// It ends when its stdin does.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startChild(role string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(self, role)}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, c.cmd.Start()
}

// PID is of the process.
func (c *child) PID() int { return c.cmd.Process.Pid }

// ask gives an order and waits for its answer. When ctx ends, the child is ended.
func (c *child) ask(ctx context.Context, order, answer any) error {
	stop := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() }) // it may have ended
	defer stop()
	if err := json.NewEncoder(c.in).Encode(order); err != nil {
		return err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("%s ended: %w", c.cmd.Args[1], err))
	}
	return json.Unmarshal(line, answer)
}

// Stop ends the process, and its sockets.
func (c *child) Stop() error {
	_ = c.in.Close() // it ends by that
	return c.cmd.Wait()
}

// childMain is main of a child.
func childMain(serve func(orders *json.Decoder, answers *json.Encoder) error) {
	err := serve(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout))
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	os.Exit(0)
}
