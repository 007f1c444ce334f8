package deliveries

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/services/deadletter"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/target"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// Role is the parts of the role deliver.
type Role struct {
	shared *Shared
	clock  *later.Clock
	router *deliver.Router
	worker *deliver.Worker
	dead   *deadletter.Service
	jobs   *deliver.Consumers
}

// Part is one that runs.
type Part struct {
	Name string
	Run  func(context.Context) error
}

// NewRole makes the parts of the role. It starts nothing.
func NewRole(s *Shared) *Role {
	c := s.cfg
	r := &Role{shared: s, jobs: deliver.NewWorkerSource(c.Conn, s.ready), clock: later.NewClock(c.Conn, streams.StreamDelivery, c.Settings.Clock.Now)}
	r.router = deliver.NewRouter(deliver.RouterConfig{
		Source: s.routed, Recipients: c.Directory, Wishes: c.Directory, Threads: c.Messages, Cursors: c.Messages, States: c.Messages, Jobs: s.later,
		Grace: c.Settings.Deliver.Grace, Now: r.clock.Now, Logger: c.Logger.With("component", "router"),
	})
	r.worker = deliver.NewWorker(deliver.WorkerConfig{
		Source: r.jobs, Cursors: c.Messages, States: c.Messages, Messages: c.Rules.Reader, Members: c.Directory, Preferences: c.Directory, Names: c.Directory,
		Targets: s.Targets, Jobs: s.later, Skipped: target.Skipped,
		Policy: due.Policy{Attempts: c.Settings.Deliver.Attempts, FirstRetry: c.Settings.Deliver.FirstRetry, MaxRetry: c.Settings.Deliver.MaxRetry, MaxAge: c.Settings.Deliver.MaxAge},
		Now:    r.clock.Now, Logger: c.Logger.With("component", "worker"),
	})
	// Nobody runs this persister: it knows how an event comes into the store, for events that one of those who run gave up.
	stored := persist.New(persist.Config{Store: c.Messages, Shown: c.Messages, Source: persist.NewConsumers(c.Conn, nil), Log: bus.NewLog(c.Conn), Logger: c.Logger.With("component", "redrive")})
	r.dead = deadletter.New(deadletter.Config{
		Conn: c.Conn,
		Redrive: map[string]deadletter.Redriver{
			streams.ConsumerPersist: stored, streams.ConsumerDeliver: r.router, streams.ConsumerPush: r.worker, streams.ConsumerDue: s.Schedule,
		},
		Evidence: map[string]deadletter.Evidence{
			streams.ConsumerPersist: stored, streams.ConsumerDeliver: r.router, streams.ConsumerPush: r.worker, streams.ConsumerDue: s.Schedule,
		},
		Logger: c.Logger.With("component", "deadletter"),
	})
	return r
}

// Parts are those to run, in the order of starting.
func (r *Role) Parts() []Part {
	return []Part{
		{"hub's clock", r.clock.Run}, {"dead letters", r.dead.Run}, {"schedule", r.shared.Schedule.Run},
		{"router", r.byTheHub(r.router.Run)}, {"deliveries", r.byTheHub(r.worker.Run)},
		{"forgetting", func(ctx context.Context) error {
			return forgetting(ctx, r.shared.cfg.Messages, r.shared.cfg.Logger.With("component", "forgetting"))
		}},
	}
}

// byTheHub has a part begin when the hub has told the time: what is decided about a message follows from when the hub stored it, and from when the hub
// will give it out again.
func (r *Role) byTheHub(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if r.clock.Known(ctx) != nil {
			return nil // ctx ended, which is no error of a part
		}
		return run(ctx)
	}
}

// Dead is what tries dead letters again.
func (r *Role) Dead() *deadletter.Service { return r.dead }

// Pulling says which consumer does not take what there is; nil: none.
func (r *Role) Pulling() error {
	for _, consumers := range []*deliver.Consumers{r.shared.routed, r.jobs} {
		states := consumers.States()
		for _, stream := range slices.Sorted(maps.Keys(states)) {
			if !states[stream].Pulling {
				return fmt.Errorf("deliveries of %s are not pulled", stream)
			}
		}
	}
	if !r.dead.State().Pulling {
		return fmt.Errorf("dead letters of %s are not pulled", streams.StreamAdvisories)
	}
	return nil
}

// Figures is what the role did so far.
func (r *Role) Figures() obs.Delivering {
	routed, worked, sent := r.router.Counts(), r.worker.Counts(), r.shared.Targets.Counts()
	waits, dead := r.shared.Schedule.Counts(), r.dead.Counts()
	d := obs.Delivering{
		Messages: routed.Messages, Owed: texts(routed.Owed), Passed: map[string]uint64{"covered": routed.Covered, "muted": routed.Muted},
		Decisions: texts(worked.Decisions), Attempts: map[obs.TargetEnd]uint64{}, Open: sent.Open,
		Scheduled: map[string]uint64{
			"scheduled": waits.Scheduled, "cancelled": waits.Cancelled, "sent": waits.Sent, "repeated": waits.Repeated, "dropped": waits.Dropped,
			"parked": waits.Parked, "retried": waits.Retried,
		},
		Held: map[string]uint64{"router": routed.Held, "worker": worked.Held, "schedule": waits.Held},
		Dead: map[obs.LetterFrom]uint64{}, Retries: map[string]uint64{},
		Checks: map[string]uint64{"passes": dead.Passes, "suspicions": sum(dead.Suspicions), "checked": sum(dead.Checked), "unproven": sum(dead.Unproven), "garbage": dead.Garbage, "deleted": dead.Deleted},
	}
	for s, n := range sent.Sent {
		d.Attempts[obs.TargetEnd{Target: s.Way, Outcome: s.Outcome}] = n
	}
	for from, n := range dead.Letters {
		d.Dead[obs.LetterFrom{Consumer: from.Consumer, Found: from.Found}] = n
	}
	for again, n := range dead.Retries {
		d.Retries[again.Outcome] += n
	}
	return d
}

func texts[K ~string](counts map[K]uint64) map[string]uint64 {
	all := make(map[string]uint64, len(counts))
	for k, n := range counts {
		all[string(k)] = n
	}
	return all
}

func sum(counts map[string]uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}
