package site

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/site/logs"
)

// leverBudget bounds each Begin and each End, on a machine that has much to do.
const leverBudget = 2 * time.Minute

// step is one half of a lever.
type step func(ctx context.Context) error

func nothing(context.Context) error { return nil }

// bounded is a step that ends in time.
func bounded(do step) step {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeoutCause(ctx, leverBudget, fmt.Errorf("it took longer than %v", leverBudget))
		defer cancel()
		return do(ctx)
	}
}

// offer adds a lever.
func (s *Site) offer(l lever.Lever) {
	l.Begin, l.End = bounded(l.Begin), bounded(l.End)
	s.levers = append(s.levers, l)
}

// breakable offers all levers of a deployment that is ours.
func (s *Site) breakable(ctx context.Context) {
	for _, tier := range []string{"gateway", "leaf", "hub", "api", "persist", "deliver"} {
		s.offerProcesses(tier)
	}
	s.offer(lever.Lever{Fault: "roll", Tier: "gateway", Target: "all", Of: 1, Most: 1, Begin: s.roll, End: s.startGateways})
	s.offerStores()
	s.offerWays()
	s.offerCrowd()
	for _, l := range logs.Levers(logs.Config{InHub: s.inHub, Spaces: s.settled}) {
		s.offer(l)
	}
	s.offerDisks(ctx, s.Dir)
	if s.engines != nil {
		for _, n := range s.engines.Cassandra {
			s.offerEngine("cassandra", n)
		}
		s.offerEngine("postgres", s.engines.Postgres)
	}
}

// tierOf is what kind of part a process is.
func tierOf(p *local.Process) string {
	if p.Role == "edge" {
		return "gateway"
	}
	return p.Role
}

// of are the processes of a tier.
func (s *Site) of(tier string) []*local.Process {
	return slices.DeleteFunc(slices.Clone(s.deployment.Processes()), func(p *local.Process) bool { return tierOf(p) != tier })
}

// offerProcesses offers what ends, stops and restarts the processes of a tier. All of a tier may be away at once: sends are refused
// meanwhile, and what was acknowledged is on the disk of two nodes of the hub. Orderly restarts are one after the other, as in
// production.
func (s *Site) offerProcesses(tier string) {
	all := s.of(tier)
	for _, p := range all {
		back := func(ctx context.Context) error { return s.back(ctx, p) }
		offer := func(fault string, most int, begin, end step) {
			s.offer(lever.Lever{Fault: fault, Tier: tier, Target: p.Name, Of: len(all), Most: most, Begin: begin, End: end})
		}
		offer("kill", len(all), func(context.Context) error { return p.Kill() }, back)
		offer("pause", len(all), func(context.Context) error { return p.Pause() }, func(ctx context.Context) error {
			if p.PID() != 0 {
				if err := p.Continue(); err != nil {
					return err
				}
			}
			return back(ctx)
		})
		offer("restart", 1, func(ctx context.Context) error { return p.Restart(ctx) }, back)
		if slices.Contains(haveClocks, tier) {
			offer("clock-ahead", 1, askew(p, "clock.ahead=1h"), right(p))
			offer("clock-behind", 1, askew(p, "clock.behind=1h"), right(p))
		}
		stutters := &repeated{}
		offer("stutter", 1, func(context.Context) error {
			stutters.begin(func(ctx context.Context) error { return stutter(ctx, p) })
			return nil
		},
			func(ctx context.Context) error {
				if err := stutters.end(); err != nil {
					return err
				}
				return back(ctx)
			})
	}
}

// haveClocks are the tiers whose processes decide by the time of day: what tokens are valid, what is due, what is too old. persist is none of
// them: the day that a message is filed under is that of its stream, and nothing of what it does by its own clock lasts longer than it runs.
var haveClocks = []string{"gateway", "api", "deliver"}

// askew has a process go on with a clock that is wrong.
func askew(p *local.Process, setting string) step {
	return func(ctx context.Context) error { p.Set(setting); return p.Restart(ctx) }
}

// right has it go on with the right one.
func right(p *local.Process) step {
	return func(ctx context.Context) error { p.Set(); return p.Restart(ctx) }
}

// back has a process that does not run start again, and waits until it is ready; a node of the hub has then what the others have.
func (s *Site) back(ctx context.Context, p *local.Process) error {
	var err error
	if p.PID() == 0 {
		err = p.Restart(ctx)
	} else {
		err = p.Ready(ctx)
	}
	if err == nil && p.Role == "hub" {
		err = s.level(ctx, s.HubNodes)
	}
	return err
}

// roll restarts all gateways, one after the other, as a new version comes.
func (s *Site) roll(ctx context.Context) error {
	for _, p := range s.of("gateway") {
		if err := p.Restart(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) startGateways(ctx context.Context) error {
	for _, p := range s.of("gateway") {
		if err := s.back(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// Of a process that stutters: it runs a fifth of the time.
const (
	stopFor = 400 * time.Millisecond
	runFor  = 100 * time.Millisecond
)

// stutter stops a process and lets it go on, again and again: what a disk that is much too slow, or a machine that has far too much to
// do, makes of it. It runs when stutter returns.
func stutter(ctx context.Context, p *local.Process) error {
	for ctx.Err() == nil {
		if err := p.Pause(); err != nil {
			return err
		}
		wait(ctx, stopFor)
		if err := p.Continue(); err != nil {
			return err
		}
		wait(ctx, runFor)
	}
	return nil
}

// wait is over after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// repeated is something that goes on from a Begin to the End of a lever, which are called in turn.
type repeated struct {
	cancel context.CancelFunc
	ended  chan error // takes one
}

func (r *repeated) begin(do step) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	r.cancel, r.ended = cancel, ended
	go func() { ended <- do(ctx) }() // end waits for it
}

// end waits until it has ended. Where nothing goes on it does nothing.
func (r *repeated) end() error {
	if r.cancel == nil {
		return nil
	}
	r.cancel()
	err := <-r.ended
	r.cancel = nil
	return err
}

// offerEngine offers what a database's operators see it do. It keeps what it has acknowledged, however it ends.
func (s *Site) offerEngine(tier string, n *engines.Node) {
	all := 1
	if tier == "cassandra" {
		all = len(s.engines.Cassandra)
	}
	for fault, begin := range map[string]step{
		"kill":  func(context.Context) error { n.Kill(); return nil },
		"pause": func(context.Context) error { n.Pause(); return nil },
		"restart": func(ctx context.Context) error {
			if err := n.Stop(); err != nil {
				return err
			}
			return n.Start(ctx)
		},
	} {
		s.offer(lever.Lever{Fault: fault, Tier: tier, Target: targetOf(n), Of: all, Most: all, Begin: begin, End: s.engineBack(n)})
	}
}

// targetOf is what a database's node is called as a target.
func targetOf(n *engines.Node) string { return strings.ReplaceAll(n.Name, " ", "-") }

// engineBack has a database's node run, and waits until those who use it are ready.
func (s *Site) engineBack(n *engines.Node) step {
	return func(ctx context.Context) error {
		n.Continue()
		// what a killed PostgreSQL leaves in shared memory goes a moment after it
		if err := lever.Again(ctx, func() error { return n.Start(ctx) }); err != nil {
			return err
		}
		return s.readyOf(ctx, s.services()...)
	}
}

// services are the names of the processes that use the stores.
func (s *Site) services() []string {
	var names []string
	for _, tier := range []string{"api", "persist", "deliver"} {
		for _, p := range s.of(tier) {
			names = append(names, p.Name)
		}
	}
	return names
}
