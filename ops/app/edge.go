package app

import (
	"context"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/interrupt"
	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/ops/remote"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/publish"
)

// edgeRole is the parts of the edge role that the admin listener shows.
type edgeRole struct {
	feeds     *fanout.Feeds
	presence  *presence.Service
	publisher *publish.Publisher
}

// startEdge wires the edge role. It knows no database: what it needs of one, it asks over NATS.
func (a *App) startEdge(ctx context.Context) error {
	log := bus.NewLog(a.leafConn)
	link := interrupt.Watch(a.leafConn)
	feeds := fanout.New(link, log, fanout.Config{
		RingEntries: a.cfg.Edge.RingEntries, RingBytes: int(a.cfg.Edge.RingBytes), Log: a.log.With("component", "fanout"),
	})
	others := remote.New(a.leafConn)
	who := remote.Verifier{
		Tokens:      auth.NewVerifier(auth.VerifierConfig{Source: others, Revocations: a.revocations, Now: a.cfg.Clock.Now}),
		Revocations: a.revocations, Roles: others,
	}
	publisher := a.startPublisher("edge publisher", a.leafConn)
	into := ingest.New(ingest.Config{
		Publisher: publisher, Log: log, History: others, Window: a.dedupWindow(), Logger: a.log.With("component", "ingest"),
		Stamps: remote.Stamps{Feeds: feeds, Log: ingest.NewLogStamps(log)},
	})
	people, err := a.newPresence(ctx)
	if err != nil {
		return err
	}
	to := gateway.Neighbours{
		Verifier: who, Directory: others, Feeds: feeds, Submitter: obs.NewSubmitter(into, a.metrics, a.tracer),
		Presence: people, Cursors: others, Tracer: a.tracer, Delivered: a.metrics.PublishDeliver,
	}
	cfg, err := a.gatewayConfig()
	if err != nil {
		return err
	}
	if !a.cfg.NoLimits {
		to.Gate = a.sends
	}
	gw, err := gateway.New(cfg, to)
	if err != nil {
		return err
	}
	people.DeliverTo(gw)
	link.OnOver(func() { gw.DeliverStale("") })
	a.revocations.OnRevoked(gw.SignOut)
	if a.has(RoleAPI) { // else it comes when it comes: until then sockets are refused as unavailable
		if err := others.Answers(ctx); err != nil {
			return err
		}
	}
	a.edge, a.gateway = &edgeRole{feeds: feeds, presence: people, publisher: publisher}, gw
	a.life.Start("fanout", feeds.Run, nil)
	a.life.Start("presence", people.Run, nil)
	a.life.Start("gateway", gw.Run, nil) // it is drained while the registry can still say so
	return nil
}

// presenceTime is how long the start waits for the leaf to make the bucket of who is online.
const presenceTime = 3 * time.Second

// newPresence knows who can be reached, by the bucket in the leaf's own domain.
func (a *App) newPresence(ctx context.Context) (*presence.Service, error) {
	ensure := func(ctx context.Context) error {
		_, err := provision.EnsureLeaf(ctx, a.leafConn.NATS(), a.cfg.Region)
		return err
	}
	bucket, err := kv.Open(kv.Config{Conn: a.leafConn, Domain: a.cfg.Region, Name: streams.BucketPresence, Make: ensure})
	if err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, presenceTime)
	defer cancel()
	if err := ensure(first); err != nil { // the watch makes it when the leaf answers
		a.log.Warn("presence of the region is not there yet", "err", err)
	}
	return presence.New(presence.Config{
		Region: a.cfg.Region, Gateway: a.id, Bucket: bucket, Carrier: eph.New(a.leafConn), Log: a.log.With("component", "presence"),
	}), nil
}

func (a *App) gatewayConfig() (gateway.Config, error) {
	e := a.cfg.Edge
	c := gateway.Config{
		Heartbeat: e.Heartbeat, StallTimeout: e.StallTimeout, DrainSpread: e.DrainSpread,
		MaxSockets: e.MaxSockets, Remembered: e.MaxSockets, MaxBytes: e.MaxBytes, AllowedOrigins: e.AllowedOrigins, Log: a.log.With("component", "gateway"),
	}
	if a.cfg.NoLimits {
		none := session.Pace{PerSecond: -1}
		c.MaxSockets, c.MaxOpening, c.MaxSending, c.MaxSendingBytes, c.MaxBytes = -1, -1, -1, -1, -1
		c.Admit, c.Frames, c.Bytes = none, none, none
		return c, nil
	}
	var err error
	if c.TrustedProxies, err = a.cfg.Proxies(); err != nil {
		return c, err
	}
	for _, p := range []struct {
		into *session.Pace
		text string
	}{{&c.Admit, e.Admit}, {&c.Frames, a.cfg.Limits.ConnFrames}, {&c.Bytes, a.cfg.Limits.ConnBytes}} {
		if *p.into, err = gate.Pace(p.text); err != nil {
			return c, err
		}
	}
	return c, nil
}

// drainBudget is how long clients have to leave when the process stops.
const drainBudget = 5 * time.Second

func (a *App) drainGateway() {
	ctx, cancel := context.WithTimeout(context.Background(), drainBudget)
	defer cancel()
	a.gateway.Drain(ctx)
}
