package app

import (
	"cmp"
	"context"

	"github.com/canopychat/canopy/ops/httpd"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/registry"
	"github.com/canopychat/canopy/streams/rpc"
)

// liveRoles is what each role is called in the registry, and among NATS's services.
var liveRoles = map[Role]streams.Service{
	RoleHub: streams.ServiceHub, RoleLeaf: streams.ServiceLeaf, RoleEdge: streams.ServiceGateway,
	RoleAPI: streams.ServiceAPI, RolePersist: streams.ServicePersist, RoleDeliver: streams.ServiceDeliver,
}

// startRegistry says in the registry and among NATS's services which roles live here.
func (a *App) startRegistry(context.Context) error {
	bucket, err := hubBucket(a.conn(), streams.BucketRegistry)
	if err != nil {
		return err
	}
	for _, role := range a.roles { // all of them before one runs: whoever has something to tell finds them whole
		announce, err := registry.NewAnnounce(registry.AnnounceConfig{
			Store: bucket, Role: string(liveRoles[role]), ID: a.id, Entry: func() schema.Process { return a.process(role) }, Logger: a.log.With("component", "registry"),
		})
		if err != nil {
			return err
		}
		a.announces = append(a.announces, announce)
	}
	for i, role := range a.roles {
		name := liveRoles[role]
		var last func()
		if role == RoleEdge { // while the registry still says that it drains
			last = a.drainGateway
		}
		a.life.Start("registry "+string(role), a.announces[i].Run, last)
		a.life.Start("service "+string(name), func(ctx context.Context) error {
			return rpc.Register(ctx, a.conn().NATS(), rpc.Role{Service: name, ID: a.id, Region: a.cfg.Region}, a.log)
		}, nil)
	}
	return nil
}

// process is what the registry says of a role of this process now.
func (a *App) process(role Role) schema.Process {
	p := schema.Process{Region: a.cfg.Region, Admin: a.running.Admin, Version: Version(), StartedAt: a.startedAt}
	failed := a.health.Last()
	p.Healthy, p.Detail = failed == "", failed
	if role == RoleEdge {
		p.URL, p.Sockets, p.MaxSockets, p.Draining = a.socketURL(), a.gateway.Sockets(), a.cfg.Edge.MaxSockets, a.stopping.Load() || a.gateway.Draining()
	}
	return p
}

// changed has the registry told at once.
func (a *App) changed() {
	for _, announce := range a.announces {
		announce.Changed()
	}
}

// socketURL is where people open sockets of this process.
func (a *App) socketURL() string {
	return httpd.SocketURL(cmp.Or(a.cfg.Edge.PublicURL, httpd.Reachable(a.running.HTTP)))
}

// publicURL is where people reach REST: what links lead to.
func (a *App) publicURL() string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	return httpd.Reachable(a.running.HTTP)
}

// startGatewayView keeps a copy of which gateways live.
func (a *App) startGatewayView(conn *bus.Conn) (registry.Gateways, error) {
	bucket, err := hubBucket(conn, streams.BucketRegistry)
	if err != nil {
		return registry.Gateways{}, err
	}
	view, err := registry.NewView(registry.ViewConfig{Source: bucket, Role: string(streams.ServiceGateway), Logger: a.log.With("component", "registry")})
	if err != nil {
		return registry.Gateways{}, err
	}
	a.life.Start("registry view", view.Run, nil)
	return registry.Gateways{View: view, Region: a.cfg.Region}, nil
}
