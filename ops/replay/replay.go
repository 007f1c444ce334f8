package replay

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
)

// Start is where in a log something begins: at its first event, at a seq, or at a time.
type Start struct {
	Seq  chat.Seq  // 0: see Time
	Time time.Time // zero, and no Seq: the log's first event
}

// ParseStart reads first, a seq, a time in the form of RFC 3339, or a duration before now. The error is a *config.Problem.
func ParseStart(text string, now time.Time) (Start, error) {
	if text == "first" {
		return Start{}, nil
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		if n == 0 || chat.Seq(n) > chat.MaxSeq {
			return Start{}, config.Problemf("%s is not a seq: they begin at 1", text)
		}
		return Start{Seq: chat.Seq(n)}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return Start{Time: at}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return Start{Time: now.Add(-d)}, nil
	}
	return Start{}, config.Problemf("%.60q is not first, a seq, a time such as 2026-03-01T08:00:00Z, or a duration such as 72h", text)
}

// Query says which events of which logs to write into which store again.
type Query struct {
	Log       persist.ReplayLog
	Store     persist.Store
	Start     Start
	Shards    []streams.Shard
	To        chat.Seq // 0: the end of each log
	LeaveHole bool
	Progress  ctl.Progress
}

// Shard is what a replay did to one shard.
type Shard struct {
	Shard streams.Shard
	persist.Replayed
}

// All writes history again, one shard after the other, and nothing when one of them is refused. The answer has every
// shard, with what is left to do when there is an error. The error is a *config.Problem when the log does not hold what
// was asked for, or the store would be left with a hole.
func All(ctx context.Context, q Query) ([]Shard, error) {
	replays := make([]persist.ReplayConfig, len(q.Shards))
	all := make([]Shard, len(q.Shards))
	for i, shard := range q.Shards {
		cfg := persist.ReplayConfig{Log: q.Log, Store: q.Store, Shard: shard, From: q.Start.Seq, To: q.To, LeaveHole: q.LeaveHole}
		var err error
		if !q.Start.Time.IsZero() {
			cfg.From, err = persist.SeekTime(ctx, q.Log, shard, q.Start.Time)
		}
		if err == nil {
			all[i].Replayed, err = persist.PlanReplay(ctx, cfg)
		}
		if err != nil {
			return nil, refused(err)
		}
		all[i].Shard, replays[i] = shard, cfg
	}
	for i, cfg := range replays {
		cfg.Begin = func(total int) { q.Progress.Begin(fmt.Sprintf("shard %d", cfg.Shard), total) }
		cfg.Step = q.Progress.Add
		done, err := persist.Replay(ctx, cfg)
		q.Progress.End()
		if done.From != 0 { // else it did not come as far as its plan
			all[i].Replayed = done
		}
		if err != nil {
			return all, refused(err)
		}
	}
	return all, nil
}

// refused says what can be done when a replay is refused.
func refused(err error) error {
	switch {
	case errors.Is(err, persist.ErrGone):
		return config.Problemf("%w. --from first takes what there is", err)
	case errors.Is(err, persist.ErrHole):
		return config.Problemf("%w. Begin no later than what the store lacks, or say --leave-hole", err)
	case errors.Is(err, persist.ErrNotYet):
		return config.Problemf("%w", err)
	}
	return err
}
