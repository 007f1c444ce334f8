package app

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/canopychat/canopy/ops/app/figures"
	"github.com/canopychat/canopy/ops/obs"
)

// tracesBudget is for the spans that are held when the process stops.
const tracesBudget = 3 * time.Second

func (a *App) startTracing(ctx context.Context) (err error) {
	a.tracer, err = obs.OpenTracing(ctx, obs.TracingConfig{Service: a.name(), Version: Version(), Log: a.log.With("component", "tracing")})
	if err != nil {
		return err
	}
	a.life.Closes("tracing", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), tracesBudget)
		defer cancel()
		return a.tracer.Shutdown(ctx)
	})
	return nil
}

// Version is that of the program, as far as its build says.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// sources is what this process's roles show. It is called when everything has started.
func (a *App) sources() obs.Sources {
	s := obs.Sources{
		NATS:      a.monitors,
		Readiness: func(context.Context) map[string]error { return a.health.Seen() },
		Drops:     a.drops,
		InFlight:  a.inFlight,
	}
	if a.gateway != nil {
		s.Gateway = func() obs.Gateway { return figures.Gateway(a.gateway) }
		s.Feeds = func() obs.Feeds { return obs.Feeds(a.edge.feeds.Counts()) }
		s.FanDrops = a.leafConn.FanDrops
	}
	if a.consumers != nil {
		s.Persist = func(ctx context.Context) ([]obs.PersistShard, error) {
			return figures.PersistShards(ctx, a.hubConn.NATS(), a.consumers)
		}
		s.Persisted = func() obs.Persisted { return figures.Persisted(a.persister) }
	}
	if a.directory != nil {
		s.Outbox = a.owed
	}
	if a.deliver != nil {
		s.Delivers = a.deliver.Figures
	}
	return s
}

// drops is what was thrown away, by reason.
func (a *App) drops() map[string]uint64 {
	drops := map[string]uint64{"traces": a.tracer.Lost()}
	if a.gateway != nil {
		for reason, n := range a.gateway.Counters().Dropped.All() {
			drops[reason] = n
		}
		drops["presence_told"] = a.edge.presence.Lost()
	}
	return drops
}

// inFlight is what is on its way to the log, by who sends it.
func (a *App) inFlight() map[string]int {
	all := make(map[string]int)
	if a.publisher != nil {
		all["api"] = a.publisher.InFlight()
	}
	if a.edge != nil {
		all["edge"] = a.edge.publisher.InFlight()
	}
	return all
}

func (a *App) monitors() (all []obs.Server) {
	if a.hub != nil && a.hub.MonitorURL() != "" {
		all = append(all, obs.Server{ID: "canopy-hub", URL: a.hub.MonitorURL()})
	}
	if a.leaf != nil && a.leaf.MonitorURL() != "" {
		all = append(all, obs.Server{ID: "canopy-leaf-" + a.cfg.Region, URL: a.leaf.MonitorURL()})
	}
	return all
}

// maxOwed is how many changes that the Directory owes the log are counted: in an outage more say nothing new.
const maxOwed = 1000

func (a *App) owed(ctx context.Context) (int, error) {
	rows, err := a.directory.Unpublished(ctx, maxOwed)
	return len(rows), err
}
