package app

import (
	"context"

	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/services/persist"
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

// publisher starts a publisher on a connection.
func (a *App) publisher(name string, conn *bus.Conn) *publish.Publisher {
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
