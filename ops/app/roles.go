package app

import (
	"context"

	"github.com/canopychat/canopy/ops/app/deliveries"
	"github.com/canopychat/canopy/ops/app/rules"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/rpc"
)

func (a *App) startPersist(context.Context) error {
	a.consumers = persist.NewConsumers(a.hubConn, func(ctx context.Context) error {
		_, err := a.messages.Progress(ctx, 0)
		return err
	})
	a.persister = persist.New(persist.Config{
		Store: a.tracer.Persisting(a.messages), Source: a.consumers, Log: bus.NewLog(a.hubConn), Behind: a.metrics.PersistBehind,
		Logger: a.log.With("component", "persist"),
	})
	a.life.Start("persist", a.persister.Run, nil)
	return nil
}

// startRules wires the rules, and runs what brings the directory's changes into the log.
func (a *App) startRules(context.Context) error {
	a.publisher = a.startPublisher("publisher", a.hubConn)
	var err error
	if a.rules, err = rules.Open(rules.Config{
		Conn: a.hubConn, Directory: a.directory, Messages: a.messages, Publisher: a.publisher, Window: a.dedupWindow(),
		Submitter: func(s event.Submitter) event.Submitter { return obs.NewSubmitter(s, a.metrics, a.tracer) },
		Among:     streams.ShardsFor(a.cfg.Region, ctl.Placement(a.cfg)), Now: a.cfg.Clock.Now, Logger: a.log,
	}); err != nil {
		return err
	}
	if a.late, err = deliveries.Open(deliveries.Config{
		Conn: a.hubConn, Directory: a.directory, Messages: a.messages, Rules: a.rules, Settings: a.cfg, Logger: a.log,
	}); err != nil {
		return err
	}
	a.life.Closes("targets", func() error { a.late.Targets.Close(); return nil })
	a.life.Start("outbox relay", a.rules.Relay.Run, nil)
	return nil
}

// startDeliver runs what reaches people who were not there, keeps dead letters and sends what is due, and answers operators about it.
func (a *App) startDeliver(context.Context) error {
	a.deliver = deliveries.NewRole(a.late)
	a.serveRPC(rpc.Service{Name: streams.ServiceDead, Version: streams.DeadVersion, Methods: map[streams.Method]rpc.Handler{
		streams.DeadRetry: rpc.Answer(a.deliver.Dead().Retry),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceLedger, Version: streams.LedgerVersion, Methods: map[streams.Method]rpc.Handler{
		streams.LedgerShow: rpc.Answer(a.late.Ledger.Show),
	}})
	for _, part := range a.deliver.Parts() {
		a.life.Start(part.Name, part.Run, nil)
	}
	return nil
}

// startPublisher starts a publisher on a connection.
func (a *App) startPublisher(name string, conn *bus.Conn) *publish.Publisher {
	p := publish.New(conn, publish.Config{Budget: a.cfg.Streams.SendTimeout})
	a.life.Start(name, p.Run, nil)
	return p
}

func (a *App) serveRPC(s rpc.Service) {
	a.life.Start("service "+string(s.Name), func(ctx context.Context) error {
		return rpc.Serve(ctx, a.hubConn.NATS(), s, a.log)
	}, nil)
}

// limitSends makes the buckets that a process has once, however people reach it.
func (a *App) limitSends(context.Context) (err error) {
	l := a.cfg.Limits
	a.sends, err = gate.New(gate.Rates{Address: l.AddressConnects, User: l.UserSends, Channel: l.ChannelSends})
	return err
}
