package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/ops/app/deliveries"
	"github.com/canopychat/canopy/ops/app/rules"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/ops/health"
	"github.com/canopychat/canopy/ops/httpd"
	"github.com/canopychat/canopy/ops/lifecycle"
	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/registry"
)

// Role is a part that can run in a process of its own.
type Role string

// The roles.
const (
	RoleHub     Role = "hub"     // the NATS server that holds the streams
	RoleLeaf    Role = "leaf"    // the NATS server of a region's edge
	RoleEdge    Role = "edge"    // people's sockets
	RoleAPI     Role = "api"     // REST, the directory, history
	RolePersist Role = "persist" // the log into the Messages store
	RoleDeliver Role = "deliver" // offline recipients, dead letters, what waits for its time
)

// AllRoles is what `canopy up` runs.
var AllRoles = []Role{RoleHub, RoleLeaf, RoleEdge, RoleAPI, RolePersist, RoleDeliver}

// Running says how to reach what runs. URLs of NATS have credentials in them.
type Running struct {
	Roles     []Role
	HTTP      string // REST and sockets; empty when no role of this process has them
	Admin     string
	Hub       string
	HubSystem string // as the NATS server's own account
	Leaf      string
	Data      string // absolute
	Workspace Workspace
	Logins    []Login
	Setup     Setup // of the first visitor; zero: there are accounts
}

// Setup is how the first visitor makes the first account: POST to URL with Code.
type Setup struct{ URL, Code string }

// Workspace is the demo's.
type Workspace struct{ ID, Name string }

// Login is of one of the demo's people.
type Login struct{ Login, Password string }

// App is a process with some roles.
type App struct {
	// Immutable after New.
	cfg       config.Config
	roles     []Role
	log       *slog.Logger
	id        string // of this process, new at each start
	startedAt time.Time
	metrics   *obs.Metrics

	// Set by Run, part by part, in the order of starting.
	life        *lifecycle.Lifecycle
	folder      *datadir.Folder
	tracer      *obs.Tracing
	revocations *auth.Revocations
	sends       *gate.Gate // of sockets that are opened, and of what is sent over them and over REST
	announces   []*registry.Announce
	health      health.Health
	hub         *natsd.Hub
	leaf        *natsd.Leaf
	messages    store.Messages
	directory   store.Directory
	hubConn     *bus.Conn // api, persist, provisioning
	leafConn    *bus.Conn // edge
	rules       *rules.Rules
	publisher   *publish.Publisher // of what this process puts into the log beside its sockets
	api         *apiRole
	late        *deliveries.Shared
	deliver     *deliveries.Role
	gateway     *gateway.Gateway
	edge        *edgeRole
	consumers   *persist.Consumers
	persister   *persist.Persister
	public      httpd.Listener
	running     Running
	serving     atomic.Bool // everything serves; what is set above is not written to any more

	stopping atomic.Bool // it was told to stop, or a part has failed: nobody is to be sent here any more
}

// New makes a process. It starts and opens nothing.
func New(cfg config.Config, roles []Role, log *slog.Logger) (*App, error) {
	if len(roles) == 0 {
		return nil, errors.New("a process needs a role")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("an id for this process: %w", err)
	}
	return &App{
		cfg: cfg, roles: roles, log: log, life: lifecycle.New(log, natsd.ErrNotStarted), id: chat.IDFromBytes(id), startedAt: time.Now().UTC(),
		metrics: obs.New(obs.Config{Log: log.With("component", "metrics")}),
	}, nil
}

func (a *App) has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(a.roles, r) })
}

// whole reports whether this process is the whole deployment.
func (a *App) whole() bool { return len(a.roles) == len(AllRoles) }

// Run serves until ctx ends, then drains and stops; it returns when everything has ended. ready is called once,
// when everything serves. What the user can mend is a *config.Problem.
func (a *App) Run(ctx context.Context, ready func(Running)) (err error) {
	a.folder, err = datadir.Open(a.cfg.Data, roleNames(a.roles), a.whole())
	if err != nil {
		return err
	}
	a.life.Closes("data folder", a.folder.Close)
	defer a.life.Stop()
	if a.whole() { // one that was killed has left its run.json, with addresses that are nobody's
		if err := config.RemoveRunFile(a.folder.Path); err != nil {
			return config.Problemf("the data folder %s cannot be written: %v", a.folder.Path, err)
		}
	}
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	started := make(chan error, 1)
	go func() { started <- a.start(starting) }()
	select {
	case err := <-started:
		if err != nil {
			return a.startFailed(ctx, err)
		}
	case err := <-a.life.Failed():
		cancel()
		<-started
		return problemOf(err)
	}
	a.metrics.Watch(a.sources())
	a.serving.Store(true)
	ready(a.running)
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case err = <-a.life.Failed():
	}
	a.stopping.Store(true)
	a.changed()
	return err
}

// startFailed is why a start failed: a part that ended by itself says more than who waited for it.
func (a *App) startFailed(ctx context.Context, err error) error {
	select {
	case failed := <-a.life.Failed():
		return problemOf(failed)
	default:
	}
	if ctx.Err() != nil {
		return nil // it was told to stop while it started
	}
	return problemOf(err)
}

// problemOf makes what the user can mend a *config.Problem.
func problemOf(err error) error {
	var newer *sqlite.NewerSchemaError
	switch {
	case errors.Is(err, natsd.ErrNotStarted), errors.As(err, &newer):
		return config.Problemf("%v", err)
	}
	return err
}

// start brings up the roles in the order of their needs.
func (a *App) start(ctx context.Context) error {
	steps := []struct {
		name  string
		needs bool
		do    func(context.Context) error
	}{
		{"listen", a.has(RoleEdge, RoleAPI), a.listen},
		{"tracing", true, a.startTracing},
		{"admin", true, a.startAdmin},
		{"hub", a.has(RoleHub), a.startHub},
		{"leaf", a.has(RoleLeaf), a.startLeaf},
		{"messages store", a.has(RoleAPI, RolePersist, RoleDeliver), a.openMessages},
		{"directory store", a.has(RoleAPI, RoleDeliver), a.openDirectory},
		{"hub connection", a.has(RoleHub, RoleAPI, RolePersist, RoleDeliver), a.dialHub},
		{"streams", a.has(RoleHub, RoleAPI, RolePersist, RoleDeliver), a.provision},
		{"leaf connection", a.has(RoleEdge, RoleLeaf), a.dialLeaf},
		{"revocations", a.has(RoleEdge, RoleAPI), a.startRevocations},
		{"limits", a.has(RoleEdge, RoleAPI), a.limitSends},
		{"persist", a.has(RolePersist), a.startPersist},
		{"rules", a.has(RoleAPI, RoleDeliver), a.startRules},
		{"api", a.has(RoleAPI), a.startAPI},
		{"deliver", a.has(RoleDeliver), a.startDeliver},
		{"edge", a.has(RoleEdge), a.startEdge},
		{"first content", a.has(RoleAPI), a.makeFirst},
		{"registry", true, a.startRegistry},
		{"health", true, a.startHealth},
		{"http", a.has(RoleEdge, RoleAPI), a.serveHTTP},
		{"run.json", a.whole(), a.writeRunFile},
	}
	for _, step := range steps {
		if !step.needs {
			continue
		}
		a.log.Debug("starting", "part", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	a.running.Roles, a.running.Data = a.roles, a.folder.Path
	return nil
}

func roleNames(roles []Role) []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return names
}
