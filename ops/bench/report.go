//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
)

// The limits that the figures must keep.
const (
	limitOne  = 2.0  // times the bare loop's CPU, one in flight
	limitMany = 2.5  // sixteen in flight
	limitIdle = 2048 // bytes a connection
)

// Report is everything that was measured.
type Report struct {
	Machine Machine `json:"machine"`
	CPU     []CPU   `json:"cpu,omitempty"`
	Idle    *Idle   `json:"idle,omitempty"`
}

// spread is a median and what lies around it.
type spread struct{ median, least, most float64 }

func spreadOf(rounds []Round, of func(Round) float64) spread {
	var all []float64
	for _, r := range rounds {
		all = append(all, of(r))
	}
	slices.Sort(all)
	n := len(all)
	return spread{median: (all[(n-1)/2] + all[n/2]) / 2, least: all[0], most: all[n-1]}
}

func ratioOf(r Round) float64 {
	if r.Bare.CPU == 0 {
		return 0 // too short for /proc's clock
	}
	return r.Ours.perDelivery() / r.Bare.perDelivery()
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.least, s.most) }

func (r Report) print(to io.Writer) error {
	p := &printer{to: to}
	p.line("machine: %d cores, %s, %s", r.Machine.Cores, r.Machine.Kernel, r.Machine.Go)
	for _, c := range r.CPU {
		c.print(p)
	}
	if r.Idle != nil {
		r.Idle.print(p)
	}
	return p.err
}

func (c CPU) print(p *printer) {
	deliveries := 0
	for _, r := range c.Rounds {
		deliveries += r.Ours.Deliveries
	}
	p.line("")
	p.line("CPU per delivery: %d sockets in one channel, %d in flight; %d rounds of %d messages, %d deliveries received",
		c.Sockets, c.InFlight, len(c.Rounds), c.Messages, deliveries)
	p.line("  %d in flight: the next message is sent when every socket has received all but %d of those sent before; %d senders take turns", c.InFlight, c.InFlight-1, c.Senders)
	micros := func(of func(Round) Sample) spread {
		return spreadOf(c.Rounds, func(r Round) float64 { return of(r).perDelivery() / 1000 })
	}
	perRead := func(of func(Round) Sample) float64 {
		return spreadOf(c.Rounds, func(r Round) float64 { return float64(of(r).Deliveries) / float64(of(r).Reads) }).median
	}
	ours, bare := func(r Round) Sample { return r.Ours }, func(r Round) Sample { return r.Bare }
	limit := limitOne
	if c.InFlight > oneInFlight {
		limit = limitMany
	}
	p.line("  ours   %s µs, median and extremes; %.1f frames a read at the clients", micros(ours), perRead(ours))
	p.line("  bare   %s µs; %.1f frames a read", micros(bare), perRead(bare))
	ratio := spreadOf(c.Rounds, ratioOf)
	p.line("  ratio  %s, limit %.2f: %s", ratio, limit, verdict(ratio.median <= limit))
}

func (i Idle) print(p *printer) {
	each := func(bytes int) int { return bytes / i.Sockets }
	p.line("")
	p.line("Bytes per idle connection: %d sockets, each of a person of its own in general and some more channels", i.Sockets)
	p.line("  ours   %d of resident memory, %d of them live on the heap", each(i.OursRSS), each(i.OursHeap))
	p.line("  bare   %d of resident memory", each(i.BareRSS))
	p.line("  beyond bare  %d; ratio %.2f", each(i.OursRSS-i.BareRSS), float64(i.OursRSS)/float64(max(1, i.BareRSS)))
	p.line("  limit  %d in total: %s; beyond bare: %s", limitIdle, verdict(each(i.OursRSS) <= limitIdle), verdict(each(i.OursRSS-i.BareRSS) <= limitIdle))
}

func verdict(kept bool) string {
	if kept {
		return "kept"
	}
	return "NOT KEPT"
}

// printer writes lines and remembers the first error.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", args...)
	}
}
