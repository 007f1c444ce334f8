package app

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/provision"
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
		s.Gateway, s.Feeds, s.FanDrops = a.gatewayFigures, a.feedFigures, a.leafConn.FanDrops
	}
	if a.consumers != nil {
		s.Persist, s.Persisted = a.persistFigures, a.persisted
	}
	if a.directory != nil {
		s.Outbox = a.owed
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
	if a.api != nil {
		all["api"] = a.api.publisher.InFlight()
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

func (a *App) gatewayFigures() obs.Gateway {
	g := a.gateway.Counters()
	return obs.Gateway{
		Sessions: a.gateway.Sockets(), Behind: int(g.BehindNow.Load()), Opened: g.Opened.Load(), Closed: g.Closed(), Refused: g.Refused.All(),
		Delivered: g.Delivered.Load(), FellBack: g.Behind.Load(), Pages: g.Pages.Load(), Resyncs: g.Resyncs.Load(), Sends: g.SendsTaken.Load(),
	}
}

func (a *App) feedFigures() obs.Feeds { return obs.Feeds(a.edge.feeds.Counts()) }

// heldFor is how long a consumer has been waiting for an outage to end.
func heldFor(s consume.State) time.Duration {
	if s.Since.IsZero() {
		return 0
	}
	return time.Since(s.Since)
}

func (a *App) persisted() obs.Persisted {
	c := a.persister.Counts()
	p := obs.Persisted{
		Batches: c.Batches, Events: c.Events, Last: make(map[int]uint64, len(c.Last)),
		Outcomes: map[string]uint64{"parked": c.Parked, "retried": c.Retried, "kept": c.Kept, "held": c.Held},
	}
	for shard, seq := range c.Last {
		p.Last[shard] = uint64(seq)
	}
	return p
}

func (a *App) persistFigures(ctx context.Context) ([]obs.PersistShard, error) {
	js, err := jetstream.NewWithDomain(a.hubConn.NATS(), streams.HubDomain)
	if err != nil {
		return nil, err
	}
	last, err := provision.LastSeqs(ctx, js)
	if err != nil {
		return nil, err
	}
	var all []obs.PersistShard
	for shard, state := range a.consumers.States() {
		floor, err := a.consumers.Floor(ctx, shard)
		if err != nil {
			return all, err
		}
		have, want := uint64(floor), last[streams.ChatStream(shard)]
		all = append(all, obs.PersistShard{Shard: shard, Lag: max(have, want) - have, Pulling: state.Pulling, Held: heldFor(state)})
	}
	return all, nil
}
