//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/canopychat/canopy/ops/bench/site"
	"github.com/canopychat/canopy/ops/bench/traffic"
)

// Crowd is how many came back, and how.
type Crowd struct {
	Sockets  int            `json:"sockets"`
	Back     int            `json:"back"`
	Resumed  int            `json:"resumed"`
	Lost     []string       `json:"lost,omitempty"` // why some did not come back, the first few
	Seconds  []second       `json:"seconds"`
	Tries    map[string]int `json:"refused_times"` // people, by how often they were refused
	Codes    map[string]int `json:"refusals"`      // refusals, by what was said
	Failed   int            `json:"no_answer"`     // connections that came to nothing without an answer
	Half     time.Duration  `json:"half_ns"`       // until half were back
	Longest  time.Duration  `json:"longest_ns"`    // wait of the one who came last
	CaughtUp time.Duration  `json:"caught_up_ns"`  // until everybody had what was said meanwhile
	CPU      time.Duration  `json:"cpu_ns"`        // of the server, from the first try until it stands still
	Counters map[string]int `json:"counters"`      // of the server's, by how much they rose
	First    map[string]int `json:"counters_first"`
}

// second is one second of a return.
type second struct {
	Admitted int `json:"admitted"`
	Refused  int `json:"refused"`
}

const (
	missed     = 20 // messages that are sent while the crowd is away
	comeBudget = 3 * time.Minute
	lostShown  = 3
)

// crowd measures and prints. Somebody who does not come back is an error.
func crowd(ctx context.Context, s *site.Site, o options) error {
	c, err := measureCrowd(ctx, s, o)
	if err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	if o.json {
		err = json.NewEncoder(os.Stdout).Encode(struct {
			Machine Machine `json:"machine"`
			Crowd   *Crowd  `json:"crowd"`
		}{machine(), c})
	} else {
		p := &printer{to: os.Stdout}
		c.print(p)
		err = p.err
	}
	if c.Back < c.Sockets {
		err = errors.Join(err, fmt.Errorf("crowd: %d of %d did not come back: %v", c.Sockets-c.Back, c.Sockets, c.Lost))
	}
	return err
}

// measureCrowd gathers the crowd, has it lose its sockets, and watches it come back.
func measureCrowd(ctx context.Context, s *site.Site, o options) (c *Crowd, err error) {
	s.Settings = slices.DeleteFunc(s.Settings, func(flag string) bool { return flag == "--no-limits" })
	sv, err := s.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sv.Stop()) }()
	at := traffic.Place{Address: sv.Address(), Workspace: s.Workspace}
	people := traffic.NewCrowd(at, s.Tokens[:o.crowd])
	defer people.Scatter()
	begin, err := sv.Counters(ctx)
	if err != nil {
		return nil, err
	}
	for i, r := range people.Come(ctx, 0) {
		if r.Err != nil {
			return nil, fmt.Errorf("socket %d of the first %d: %w", i+1, o.crowd, r.Err)
		}
	}
	gathered, err := sv.Counters(ctx)
	if err != nil {
		return nil, err
	}
	people.Scatter()
	before, err := sv.Emptied(ctx)
	if err != nil {
		return nil, err
	}
	if n := before[site.SocketsCounter]; n > 0 {
		return nil, fmt.Errorf("the server still counts %d sockets %v after all were cut", n, site.EmptyBudget)
	}
	last, err := traffic.Talk(ctx, at, s.Tokens[0], s.Channel, missed)
	if err != nil {
		return nil, fmt.Errorf("talk while the crowd is away: %w", err)
	}
	used, err := site.CPUOf(sv.PID())
	if err != nil {
		return nil, err
	}
	coming, cancel := context.WithTimeout(ctx, comeBudget)
	returns := people.Come(coming, last)
	cancel()
	if err := site.Pause(ctx, afterglow); err != nil {
		return nil, err
	}
	after, err := sv.Counters(ctx)
	if err != nil {
		return nil, err
	}
	c = sumUp(returns)
	c.Counters, c.First = risen(before, after), risen(begin, gathered)
	now, err := site.CPUOf(sv.PID())
	c.CPU = now - used
	return c, err
}

// sumUp makes figures of the returns of a crowd.
func sumUp(returns []traffic.Return) *Crowd {
	c := &Crowd{Sockets: len(returns), Tries: make(map[string]int), Codes: make(map[string]int)}
	var waits []time.Duration
	for _, r := range returns {
		c.Failed += r.Failed
		for i, at := range r.Refused {
			c.at(at).Refused++
			c.Codes[r.Codes[i]]++
		}
		if r.Err != nil {
			if len(c.Lost) < lostShown {
				c.Lost = append(c.Lost, r.Err.Error())
			}
			continue
		}
		c.Back++
		if r.Resumed {
			c.Resumed++
		}
		c.Tries[strconv.Itoa(len(r.Refused))]++
		c.at(r.Took).Admitted++
		waits = append(waits, r.Took)
		c.CaughtUp = max(c.CaughtUp, r.CaughtUp)
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		c.Half, c.Longest = waits[len(waits)/2], waits[len(waits)-1]
	}
	return c
}

// at is the second that a moment is in.
func (c *Crowd) at(moment time.Duration) *second {
	n := int(moment / time.Second)
	for len(c.Seconds) <= n {
		c.Seconds = append(c.Seconds, second{})
	}
	return &c.Seconds[n]
}

func (c *Crowd) print(p *printer) {
	m := machine()
	p.line("machine: %d cores, %s, %s", m.Cores, m.Kernel, m.Go)
	p.line("")
	p.line("crowd: %d sockets of one gateway cut at once; %d messages were sent while they were away; all come back at once", c.Sockets, missed)
	p.line("  %6s %9s %9s %9s", "second", "admitted", "refused", "back")
	back := 0
	for i, s := range c.Seconds {
		back += s.Admitted
		if s != (second{}) {
			p.line("  %6d %9d %9d %9d", i+1, s.Admitted, s.Refused, back)
		}
	}
	p.line("  back     %d of %d, %d of them at their cursor; %d connections came to nothing without an answer", c.Back, c.Sockets, c.Resumed, c.Failed)
	p.line("  refused  people by how often: %s; refusals: %s", list(c.Tries), list(c.Codes))
	p.line("  wait     half were back after %v, the last after %v; all had what they missed after %v (for information)",
		c.Half.Round(time.Millisecond), c.Longest.Round(time.Millisecond), c.CaughtUp.Round(time.Millisecond))
	p.line("  CPU      %.0f µs of the server a reconnect, its refusals and what was missed in it", float64(c.CPU.Microseconds())/float64(max(1, c.Back)))
	p.line("  counters of the server during the return, and when the sockets were first opened:")
	for _, name := range sortedNames(c.Counters, c.First) {
		p.line("    %-32s %9d %9d   %.3f a reconnect", name, c.Counters[name], c.First[name], float64(c.Counters[name])/float64(max(1, c.Back)))
	}
	for _, why := range c.Lost {
		p.line("  LOST     %s", why)
	}
}
