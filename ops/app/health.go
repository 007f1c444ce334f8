package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/canopychat/canopy/ops/health"
)

var (
	errStarting = errors.New("starting") // not every part serves yet
	errStopping = errors.New("stopping") // not every part serves any more
)

// healthChecks are the checks of this process's roles.
func (a *App) healthChecks() map[string]health.Check {
	checks := make(map[string]health.Check)
	add := func(name string, needed bool, check health.Check) {
		if needed {
			checks[name] = check
		}
	}
	add("hub", a.hubConn != nil, func(context.Context) error { return health.Unless(a.hubConn.Connected(), "the hub does not answer") })
	add("leaf", a.leafConn != nil, func(context.Context) error { return health.Unless(a.leafConn.Connected(), "the leaf does not answer") })
	add("link", a.leaf != nil, func(context.Context) error { return health.Unless(a.leaf.Linked(), "the leaf has no link to the hub") })
	add("quorum", a.hub != nil, health.Patient(func(context.Context) error { return a.hub.Led() }, electionTime))
	add("draining", a.gateway != nil, func(context.Context) error { return health.Unless(!a.gateway.Draining(), "draining") })
	add("persist", a.consumers != nil, func(context.Context) error { return a.pulling() })
	add("deliver", a.deliver != nil, func(context.Context) error { return a.deliver.Pulling() })
	add("messages", a.messages != nil, func(ctx context.Context) error {
		_, err := a.messages.Progress(ctx, 0)
		return health.Answers(err, "the message store")
	})
	add("directory", a.directory != nil, func(ctx context.Context) error {
		_, err := a.directory.Owed(ctx, "ready")
		return health.Answers(err, "the directory's store")
	})
	add("log", a.has(RoleEdge, RoleAPI, RolePersist, RoleDeliver), health.Patient(func(ctx context.Context) error {
		return health.Answers(a.conn().Probe(ctx, a.id), "the log, which was asked to store a probe and to give it back,")
	}, electionTime))
	return checks
}

// electionTime is how long the log, or a hub's cluster, may be without a leader before nobody is to be sent here: the election of one takes 4 to
// 9 s, and all processes would be unready at once, for a moment in which sends only wait.
const electionTime = 15 * time.Second

func (a *App) pulling() error {
	for shard, state := range a.consumers.States() {
		if !state.Pulling {
			return fmt.Errorf("the persister of shard %d does not pull", shard)
		}
	}
	return nil
}

// startHealth looks again and again, so that the registry and the metrics know without asking.
func (a *App) startHealth(context.Context) error {
	a.health.Watch(a.healthChecks())
	a.life.Start("health", func(ctx context.Context) error { return a.health.Run(ctx, a.changed) }, nil)
	return nil
}

// readyz says whether this process can do its work now.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	results := map[string]error{"start": errStarting}
	if a.serving.Load() {
		results = a.health.Look(r.Context())
	}
	if a.stopping.Load() {
		results["stop"] = errStopping
	}
	health.Answer(w, r, results)
}
