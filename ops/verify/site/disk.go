package site

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/site/disk"
)

// ableBudget bounds the look whether disks can be broken here.
const ableBudget = time.Minute

// ailing is the disk of a part. Begin and End of its lever are called in turn; Close of the site may come at any time.
type ailing struct {
	mu  sync.Mutex
	now *disk.Broken // guarded by mu; nil: nothing is the matter with it
}

func (a *ailing) begin(ctx context.Context, o disk.Options) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, err := disk.Break(ctx, o)
	if err == nil {
		a.now = b
	}
	return err
}

// end mends it. Where nothing is the matter it does nothing.
func (a *ailing) end() (calls int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.now == nil {
		return 0, nil
	}
	b := a.now
	a.now = nil
	return b.Mend()
}

// offerDisks offers disks that are slow, or full, where the system lets us have processes find them so. A full disk is offered of the hub
// alone: what is promised while a store is away is looked at by ending it, and a database that was out of room ends.
func (s *Site) offerDisks(ctx context.Context, dir string) {
	ctx, cancel := context.WithTimeoutCause(ctx, ableBudget, fmt.Errorf("it took longer than %v", ableBudget))
	defer cancel()
	if err := disk.Able(ctx, dir); err != nil {
		s.say("no disk is made slow or full here: %v", err)
		return
	}
	hubs := s.of("hub")
	for _, p := range hubs {
		pids := func() []int { return []int{p.PID()} }
		l := lever.Lever{Tier: "hub", Target: p.Name, Of: len(hubs), Most: len(hubs)}
		slow := l
		slow.Fault, slow.End = "disk-slow", func(ctx context.Context) error { return s.back(ctx, p) }
		s.offerDisk(slow, disk.Options{Trouble: disk.Slow(), Dir: dir}, pids)
		full := l
		full.Fault, full.End = "disk-full", func(ctx context.Context) error { return s.emptied(ctx, p) }
		s.offerDisk(full, disk.Options{Trouble: disk.Full(), Dir: dir}, pids)
	}
	if s.engines == nil {
		return
	}
	slow := func(tier string, of int, n *engines.Node) {
		s.offerDisk(lever.Lever{Fault: "disk-slow", Tier: tier, Target: targetOf(n), Of: of, Most: of, End: s.engineBack(n)}, disk.Options{Trouble: disk.Slow(), Dir: dir}, n.Family)
	}
	for _, n := range s.engines.Cassandra {
		slow("cassandra", len(s.engines.Cassandra), n)
	}
	slow("postgres", 1, s.engines.Postgres)
}

// offerDisk offers a lever whose Begin breaks the disk of some processes, and whose End mends it and then does what End of l does.
func (s *Site) offerDisk(l lever.Lever, o disk.Options, pids func() []int) {
	of, back := &ailing{}, l.End
	s.ailing = append(s.ailing, of)
	l.Begin = func(ctx context.Context) error {
		o := o
		if o.PIDs = pids(); len(o.PIDs) == 0 || o.PIDs[0] == 0 {
			return fmt.Errorf("%s does not run", l.Target)
		}
		return of.begin(ctx, o)
	}
	l.End = func(ctx context.Context) error {
		calls, err := of.end()
		if calls > 0 {
			s.say("%s %s %s: %d calls", l.Tier, l.Fault, l.Target, calls)
		}
		return errors.Join(err, back(ctx))
	}
	s.offer(l)
}

// emptied does what operators do after they have made room on the disk of a node of the hub, which has stopped its streams: they start
// it again.
func (s *Site) emptied(ctx context.Context, p *local.Process) error {
	var err error
	if p.PID() != 0 {
		err = p.Stop(ctx)
	}
	return errors.Join(err, s.back(ctx, p))
}

// healDisks mends what no lever has.
func (s *Site) healDisks() error {
	var errs []error
	for _, a := range s.ailing {
		_, err := a.end()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
