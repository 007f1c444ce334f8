package site

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/lever"
)

// A link that is slow: each direction takes so long, and up to so much longer.
const (
	slowLatency = 100 * time.Millisecond
	slowJitter  = 300 * time.Millisecond
)

// resetEvery is how often a link that is reset again and again is.
const resetEvery = 300 * time.Millisecond

// pair is what lies between two processes. Between two nodes of the hub there are two ways, and the second goes the other way round.
type pair struct {
	tier, target string
	there, back  []*faultproxy.Proxy
	ends         []string // names of the processes
}

// pairs puts the ways in order.
func (s *Site) pairs() []*pair {
	var all []*pair
	for _, w := range s.ways {
		p := &pair{tier: s.kindOf(w.From) + "-" + s.kindOf(w.To), target: w.From + " " + w.To, there: []*faultproxy.Proxy{w.Proxy}, ends: []string{w.From, w.To}}
		if p.tier == "client-front" {
			p.tier = "client-gateway"
		}
		i := slices.IndexFunc(all, func(other *pair) bool { return other.tier == p.tier && other.target == w.To+" "+w.From })
		if i < 0 {
			all = append(all, p)
		} else {
			all[i].back = append(all[i].back, w.Proxy)
		}
	}
	return all
}

// kindOf is what an end of a way is.
func (s *Site) kindOf(name string) string {
	if s.deployment != nil {
		if p := s.deployment.Process(name); p != nil {
			return tierOf(p)
		}
	}
	kind, _, _ := strings.Cut(name, "-") // cassandra-1, front-eu
	return kind
}

// offerWays offers what can be the matter with a network, for every pair of processes that talk.
func (s *Site) offerWays() {
	all := s.pairs()
	for _, p := range all {
		of := 0
		for _, other := range all {
			if other.tier == p.tier {
				of++
			}
		}
		for fault, begin := range p.faults() {
			s.offer(lever.Lever{Fault: fault, Tier: p.tier, Target: p.target, Of: of, Most: of, Begin: begin, End: s.healed(p)})
		}
		resets := &repeated{}
		s.offer(lever.Lever{
			Fault: "reset", Tier: p.tier, Target: p.target, Of: of, Most: of,
			Begin: func(context.Context) error { resets.begin(p.reset); return nil },
			End: func(ctx context.Context) error {
				if err := resets.end(); err != nil {
					return err
				}
				return s.healed(p)(ctx)
			},
		})
	}
}

// faults are all but reset.
func (p *pair) faults() map[string]step {
	do := func(what func(p *faultproxy.Proxy, back bool)) step {
		return func(context.Context) error {
			for _, proxy := range p.there {
				what(proxy, false)
			}
			for _, proxy := range p.back {
				what(proxy, true)
			}
			return nil
		}
	}
	hold := func(there, back faultproxy.Direction) step {
		return do(func(p *faultproxy.Proxy, isBack bool) {
			if isBack {
				p.Hold(back)
			} else {
				p.Hold(there)
			}
		})
	}
	return map[string]step{
		"cut":       do(func(p *faultproxy.Proxy, _ bool) { p.Cut() }),
		"hold":      do(func(p *faultproxy.Proxy, _ bool) { p.Hold() }),
		"hold-up":   hold(faultproxy.Up, faultproxy.Down),
		"hold-down": hold(faultproxy.Down, faultproxy.Up),
		"slow":      do(func(p *faultproxy.Proxy, _ bool) { p.Delay(slowLatency, slowJitter) }),
	}
}

// reset breaks every connection again and again until ctx ends: what was on its way is lost each time, and what is published once only,
// such as the news of an event, may never come.
func (p *pair) reset(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, proxy := range slices.Concat(p.there, p.back) {
			proxy.Reset()
		}
		wait(ctx, resetEvery)
	}
	return nil
}

// healed ends every fault of a pair, and waits until both of its ends can do their work.
func (s *Site) healed(p *pair) step {
	return func(ctx context.Context) error {
		for _, proxy := range slices.Concat(p.there, p.back) {
			proxy.Heal()
		}
		if s.deployment == nil {
			return nil
		}
		if err := s.readyOf(ctx, p.ends...); err != nil {
			return err
		}
		if p.tier == "hub-hub" {
			return s.level(ctx, s.HubNodes)
		}
		return nil
	}
}

// offerCrowd offers to break every connection of people at once.
func (s *Site) offerCrowd() {
	s.offer(lever.Lever{Fault: "crowd", Tier: "client", Target: "all", Of: 1, Most: 1, End: nothing, Begin: func(context.Context) error {
		for _, w := range s.ways {
			if w.From == local.Client {
				w.Reset()
			}
		}
		return nil
	}})
}
