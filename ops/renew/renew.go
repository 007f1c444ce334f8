package renew

import (
	"context"
	"errors"
	"fmt"

	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/provision"
)

// Do does what a plan says, shard by shard, and writes into the plan what came of it. The doc of the package says why it may
// die anywhere; then another plan has what is left.
func Do(ctx context.Context, cfg Config, plan []Shard) error {
	for i := range plan {
		var err error
		switch s := &plan[i]; s.Work {
		case Renew:
			err = cfg.renew(ctx, s)
		case Finish:
			err = cfg.finish(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("shard %d: %w", plan[i].Shard, err)
		}
	}
	return nil
}

// Certain waits until it is known that the hub is what it looks like, and plans again: what a cluster says while it elects is
// no reason to delete anything.
func Certain(ctx context.Context, cfg Config, plan []Shard) ([]Shard, error) {
	seen := map[string]uint64{}
	for _, s := range plan {
		if s.Work == Renew && s.Ends < s.Known {
			seen[streams.ChatStream(s.Shard)] = uint64(s.Known)
		}
	}
	if len(seen) == 0 {
		return plan, nil
	}
	if err := cfg.Wanted.Confirm(ctx, cfg.JS, seen); err != nil && !errors.Is(err, provision.ErrEmptied) {
		return nil, err
	}
	return Plan(ctx, cfg)
}

// renew does all steps.
func (cfg Config) renew(ctx context.Context, s *Shard) error {
	if err := cfg.rescue(ctx, s); err != nil {
		return fmt.Errorf("write what the old log holds into the message store: %w", err)
	}
	homes, err := cfg.Directory.BeginEpoch(ctx, s.Shard, s.First)
	if err != nil {
		return fmt.Errorf("begin the epoch: %w", err)
	}
	for i := range homes { // nobody makes any meanwhile, so these are those of the plan
		if i < len(s.Workspaces) && s.Workspaces[i].ID == homes[i].ID {
			s.Workspaces[i].NewEpoch = homes[i].Epoch
		}
	}
	if err := cfg.Wanted.Renew(ctx, cfg.JS, streams.ChatStream(s.Shard), uint64(s.First)); err != nil {
		return err
	}
	return cfg.finish(ctx, s)
}

// rescue writes what the old log holds beyond the store's progress into the store. Most often that is nothing: a log that ends
// before the progress has nothing that the store lacks.
func (cfg Config) rescue(ctx context.Context, s *Shard) error {
	from := max(s.Through+1, s.holds)
	if s.Missing || s.Ends < from {
		return nil
	}
	done, err := persist.Replay(ctx, persist.ReplayConfig{
		Log: cfg.Log, Store: cfg.Messages, Shard: s.Shard, From: from, To: s.Ends, LeaveHole: true,
	})
	s.Unstorable = done.Skipped
	if err == nil {
		s.Through = s.Ends
	}
	return err
}

// finish moves the store's progress to just before the new log.
func (cfg Config) finish(ctx context.Context, s *Shard) error {
	if err := cfg.Messages.NoteProgress(ctx, s.Shard, s.First-1); err != nil {
		return fmt.Errorf("note the progress: %w", err)
	}
	return nil
}
