package site

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/lever"
)

// lostWrites is how long before its end a node of the hub loses what it has written.
const lostWrites = 3 * time.Second

// levelEvery is between two looks at who has what in the hub.
const levelEvery = 200 * time.Millisecond

// offerStores offers what becomes of a node's disk. What three copies promise is that any one of them may be lost while the others are
// whole: so one node at a time, nothing else beside it, and the node comes back only when the other two have elected leaders among
// themselves and both have everything. Were it started before, with a store that has forgotten what it has acknowledged, it and the
// slower one of the others could elect a leader that lacks what was promised (nats-server issue 7567): operators wait, too.
func (s *Site) offerStores() {
	all := s.of("hub")
	for _, p := range all {
		store := filepath.Join(p.Data, datadir.Hub)
		kept := filepath.Join(p.Data, "as-it-was")
		end := func(ctx context.Context) error {
			defer s.storing.Unlock()
			return errors.Join(s.backLate(ctx, p), os.RemoveAll(kept))
		}
		offer := func(fault string, begin step) {
			held := false
			s.offer(lever.Lever{
				Fault: fault, Tier: "hub", Target: p.Name, Of: len(all), Most: 1, Alone: true,
				Begin: func(ctx context.Context) error { s.storing.Lock(); held = true; return begin(ctx) },
				End: func(ctx context.Context) error {
					if !held {
						return nil
					}
					held = false
					return end(ctx)
				},
			})
		}
		offer("unsynced", func(ctx context.Context) error { return forget(ctx, p, store, kept) })
		offer("wipe", func(context.Context) error {
			if err := p.Kill(); err != nil {
				return err
			}
			return os.RemoveAll(store)
		})
	}
}

// forget ends a node and has its disk be as it was some seconds before: everything that it has written since is lost, also what it had
// said to be on the disk, which is more than a crash of a machine takes from a node that syncs always.
func forget(ctx context.Context, p *local.Process, store, kept string) error {
	if err := os.RemoveAll(kept); err != nil {
		return err
	}
	if err := p.Pause(); err != nil { // so that the copy is of one moment
		return err
	}
	err := os.CopyFS(kept, os.DirFS(store))
	if err := errors.Join(err, p.Continue()); err != nil {
		return err
	}
	wait(ctx, lostWrites)
	if err := p.Kill(); err != nil {
		return err
	}
	if err := os.RemoveAll(store); err != nil {
		return err
	}
	return os.Rename(kept, store)
}

// backLate starts a node again when the others are level, and waits until it is level with them.
func (s *Site) backLate(ctx context.Context, p *local.Process) error {
	if p.PID() == 0 {
		others := slices.DeleteFunc(slices.Clone(s.HubNodes), func(name string) bool { return name == p.Name })
		if err := s.level(ctx, others); err != nil {
			return err
		}
	}
	return s.back(ctx, p)
}

// level waits until every stream and consumer of three copies is led by one of these nodes, and the others of them were seen to have
// all that it has.
func (s *Site) level(ctx context.Context, nodes []string) error {
	return s.inHub(func(js jetstream.JetStream) error {
		seen := make(map[string]bool)
		for {
			missing, err := behind(ctx, js, look{nodes, seen})
			if err == nil && missing == "" {
				return nil
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %s is not level on %v (%w)", context.Cause(ctx), missing, nodes, err)
			}
			wait(ctx, levelEvery)
		}
	})
}

// look is what is looked for: these nodes, and what was seen to be level on them before.
type look struct {
	nodes []string
	seen  map[string]bool
}

// lookBudget is how long one question may take: while there is no leader nobody answers.
const lookBudget = 5 * time.Second

// behind names one of those that are not level, or nothing.
func behind(ctx context.Context, js jetstream.JetStream, l look) (missing string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*lookBudget)
	defer cancel()
	all := js.ListStreams(ctx)
	for info := range all.Info() {
		name := info.Config.Name
		if !l.level(name, info.Cluster) {
			missing = name
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return name, err
		}
		consumers := stream.ListConsumers(ctx)
		for c := range consumers.Info() {
			if !l.level(name+" "+c.Name, c.Cluster) {
				missing = name + " " + c.Name
			}
		}
		if err := consumers.Err(); err != nil {
			return name, err
		}
	}
	return missing, all.Err()
}

// level notes and tells whether something is, or was, level on the nodes. What has one copy has no more to lose by one node's absence
// than what that node has, and is none of our streams.
func (l look) level(name string, c *jetstream.ClusterInfo) bool {
	if c == nil || l.seen[name] {
		return true
	}
	if len(c.Replicas) == 0 {
		return true
	}
	good := slices.Contains(l.nodes, c.Leader)
	for _, peer := range c.Replicas {
		if slices.Contains(l.nodes, peer.Name) && (!peer.Current || peer.Offline || peer.Lag != 0) {
			good = false
		}
	}
	l.seen[name] = good
	return good
}
