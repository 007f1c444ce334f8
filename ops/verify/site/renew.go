package site

import (
	"context"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site/renewal"
)

// offerRenewal offers to lose all logs, and to have them begin anew. It takes as long as many others: everything stops and starts.
func (s *Site) offerRenewal(o LocalOptions) {
	s.renewal = renewal.New(renewal.Config{
		Canopy: o.Canopy, Settings: s.deployment.Persisters[0].Config,
		Said: s.stoppable("gateway", "api"), Woken: s.stoppable("deliver"), Stored: s.stoppable("persist"),
		Rec: o.Rec, Spaces: s.settled, InHub: s.inHub, Say: s.say,
	})
	s.offer(lever.Lever{
		Fault: "renew", Tier: "hub", Target: "all logs", Of: 1, Most: 1, Alone: true, Last: true, Begin: s.renewal.Begin,
		End: func(ctx context.Context) error {
			if err := s.renewal.End(ctx); err != nil {
				return err
			}
			return s.level(ctx, s.HubNodes)
		},
	})
}

// stoppable are the processes of some tiers, as a renewal wants them.
func (s *Site) stoppable(tiers ...string) (all []renewal.Process) {
	for _, tier := range tiers {
		for _, p := range s.of(tier) {
			all = append(all, renewal.Process{PID: p.PID, Stop: p.Stop, Back: func(ctx context.Context) error { return s.back(ctx, p) }})
		}
	}
	return all
}

// settled are the workspaces that Settle has made.
func (s *Site) settled() []record.Workspace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spaces
}

// Lost is what the streams of logs held that were lost, as it is in the record (audit.Config).
func (s *Site) Lost() []record.Event {
	if s.renewal == nil {
		return nil
	}
	return s.renewal.Lost()
}
