//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/ops/bench/site"
)

const (
	oneInFlight  = 1
	manyInFlight = 16
	bodyBytes    = 300
	warmUp       = 50 // messages before the first round
	afterglow    = 300 * time.Millisecond
)

// side is a server under measurement and the clients at it.
type side struct {
	pid     int
	clients *rig.Swarm
	text    string // of a frame that a sender sends
	ours    bool
}

// Sample is one measurement of one side.
type Sample struct {
	Deliveries int           `json:"deliveries"` // frames that clients received
	Acks       int           `json:"acks"`
	CPU        time.Duration `json:"cpu_ns"`
	Reads      int           `json:"reads"` // in which clients received them
}

// perDelivery is in nanoseconds.
func (s Sample) perDelivery() float64 { return float64(s.CPU) / float64(s.Deliveries) }

// Round is ours and bare, one after the other.
type Round struct {
	Ours Sample `json:"ours"`
	Bare Sample `json:"bare"`
}

// CPU is what deliveries cost with so many messages in flight.
type CPU struct {
	Sockets  int     `json:"sockets"`
	InFlight int     `json:"in_flight"`
	Senders  int     `json:"senders"`
	Messages int     `json:"messages"` // a round and side
	Rounds   []Round `json:"rounds"`
}

func measureCPU(ctx context.Context, s *site.Site, o options) (all []CPU, err error) {
	sv, err := s.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sv.Stop()) }()
	ours, err := rig.OpenSwarm(ctx, opening(s, sv, 0, s.Tokens[:o.sockets]))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.Stop()) }()
	send := fmt.Sprintf(`{"type":"message.send","channel_id":"%s","body":"%s","client_msg_id":"%%s"}`, s.Channel, strings.Repeat("x", bodyBytes))
	a := side{pid: sv.PID(), clients: ours, text: send, ours: true}
	warm, err := ours.Drive(ctx, rig.Load{Messages: warmUp, InFlight: manyInFlight, Senders: manyInFlight, Text: send})
	if err != nil {
		return nil, err
	}
	loop, err := rig.StartBare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, loop.Stop()) }()
	bare, err := rig.OpenSwarm(ctx, rig.Opening{Address: loop.Address, Source: source(1), Path: "/", Tokens: make([]string, o.sockets)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.Stop()) }()
	b := side{pid: loop.PID(), clients: bare, text: warm.Sample}
	if _, err := b.measure(ctx, rig.Load{Messages: warmUp, InFlight: manyInFlight, Senders: manyInFlight}); err != nil {
		return nil, err
	}
	for _, inFlight := range []int{oneInFlight, manyInFlight} {
		c := CPU{Sockets: o.sockets, InFlight: inFlight, Senders: oneInFlight, Messages: o.messages}
		if inFlight > oneInFlight {
			c.Senders = o.senders
			c.Messages *= 4 // they are quicker, and /proc counts in steps of 10 ms
		}
		last := func() func() error { return profile(ctx, sv, fmt.Sprintf("%s.%d", o.profile, inFlight)) }
		if o.profile == "" {
			last = func() func() error { return func() error { return nil } }
		}
		if err := c.alternate(ctx, o.rounds, [2]side{a, b}, last); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// alternate measures both sides, rounds times. beforeLast begins something for the last round of ours, and its
// result ends that.
func (c *CPU) alternate(ctx context.Context, rounds int, sides [2]side, beforeLast func() func() error) error {
	l := rig.Load{Messages: c.Messages, InFlight: c.InFlight, Senders: c.Senders}
	for n := range rounds {
		var r Round
		end := func() error { return nil }
		if n == rounds-1 {
			end = beforeLast()
		}
		var err error
		if r.Ours, err = sides[0].measure(ctx, l); err != nil {
			return fmt.Errorf("ours: %w", err)
		}
		if err := end(); err != nil {
			return err
		}
		if r.Bare, err = sides[1].measure(ctx, l); err != nil {
			return fmt.Errorf("bare: %w", err)
		}
		c.Rounds = append(c.Rounds, r)
	}
	return nil
}

// measure has messages sent, and says what that cost the server.
func (s side) measure(ctx context.Context, l rig.Load) (Sample, error) {
	before, err := site.CPUOf(s.pid)
	if err != nil {
		return Sample{}, err
	}
	l.Text = s.text
	got, err := s.clients.Drive(ctx, l)
	if err != nil {
		return Sample{}, err
	}
	if err := site.Pause(ctx, afterglow); err != nil {
		return Sample{}, err
	}
	after, err := site.CPUOf(s.pid)
	if err != nil {
		return Sample{}, err
	}
	if want := l.Messages * got.Sockets; got.Deliveries != want || s.ours && got.Acks != l.Messages {
		return Sample{}, fmt.Errorf("%d deliveries and %d acks of %d messages to %d sockets", got.Deliveries, got.Acks, l.Messages, got.Sockets)
	}
	return Sample{Deliveries: got.Deliveries, Acks: got.Acks, CPU: after - before, Reads: got.Reads}, nil
}

// profile begins a CPU profile of the server; the result waits for its end.
func profile(ctx context.Context, sv *site.Server, path string) (stop func() error) {
	done := make(chan error, 1)
	go func() {
		file, err := os.Create(path)
		if err != nil {
			done <- err
			return
		}
		err = sv.Fetch(ctx, "/debug/pprof/profile?seconds=2", file)
		done <- errors.Join(err, file.Close())
	}()
	return func() error { return <-done }
}

// source is an address of this machine for the sockets of one client process, which then has all ports of it.
func source(n int) string { return fmt.Sprintf("127.0.0.%d", 2+n%250) }

// opening is what the clients of one process open at ours.
func opening(s *site.Site, sv *site.Server, n int, tokens []string) rig.Opening {
	return rig.Opening{Address: sv.Address(), Source: source(n), Path: "/socket?workspace=" + s.Workspace, Tokens: tokens, Ours: true}
}

// Idle is what open sockets cost that say nothing.
type Idle struct {
	Sockets  int `json:"sockets"`   // of ours, and of bare
	OursRSS  int `json:"ours_rss"`  // bytes by which resident memory grew
	OursHeap int `json:"ours_heap"` // bytes by which what the heap holds grew
	BareRSS  int `json:"bare_rss"`
}

func measureIdle(ctx context.Context, s *site.Site, o options) (*Idle, error) {
	idle := &Idle{Sockets: o.idle}
	if err := idle.measureOurs(ctx, s, o); err != nil {
		return nil, err
	}
	return idle, idle.measureBare(ctx, o)
}

func (i *Idle) measureOurs(ctx context.Context, s *site.Site, o options) (err error) {
	sv, err := s.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sv.Stop()) }()
	first, err := rig.OpenSwarm(ctx, opening(s, sv, 0, s.Tokens[:1])) // the workspace's ring is not the sockets'
	if err != nil {
		return err
	}
	if err := first.Stop(); err != nil {
		return err
	}
	before, err := settledRSS(ctx, sv.PID(), sv.Collect)
	if err != nil {
		return err
	}
	held, err := sv.Live(ctx)
	if err != nil {
		return err
	}
	stop, err := openMany(ctx, o, func(n, from, to int) rig.Opening { return opening(s, sv, n, s.Tokens[from:to]) })
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	after, err := settledRSS(ctx, sv.PID(), sv.Collect)
	if err != nil {
		return err
	}
	holds, err := sv.Live(ctx)
	i.OursRSS, i.OursHeap = after-before, holds-held
	return err
}

func (i *Idle) measureBare(ctx context.Context, o options) (err error) {
	loop, err := rig.StartBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Stop()) }()
	asIs := func(context.Context) error { return nil }
	before, err := settledRSS(ctx, loop.PID(), asIs)
	if err != nil {
		return err
	}
	stop, err := openMany(ctx, o, func(n, from, to int) rig.Opening {
		return rig.Opening{Address: loop.Address, Source: source(n), Path: "/", Tokens: make([]string, to-from)}
	})
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	after, err := settledRSS(ctx, loop.PID(), asIs)
	i.BareRSS = after - before
	return err
}

// openMany opens the idle sockets from several processes, one after the other. stop, which is never nil, ends them.
func openMany(ctx context.Context, o options, opening func(n, from, to int) rig.Opening) (stop func() error, err error) {
	var open []*rig.Swarm
	stop = func() error {
		var all []error
		for _, c := range open {
			all = append(all, c.Stop())
		}
		return errors.Join(all...)
	}
	for n := range o.clients {
		from, to := o.idle*n/o.clients, o.idle*(n+1)/o.clients
		c, err := rig.OpenSwarm(ctx, opening(n, from, to))
		if err != nil {
			return stop, err
		}
		open = append(open, c)
	}
	return stop, nil
}
