package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

const (
	healthEvery  = 5 * time.Second // between two looks that nobody asked for
	healthSoon   = 1 * time.Second // instead, while something is wrong: so that others hear soon that it is mended
	checkTimeout = 3 * time.Second // of all checks of one look together
)

// health is what this process needs to do its work, and how that was at the last look.
type health struct {
	checks map[string]func(context.Context) error // immutable once it runs

	mu      sync.Mutex // guards what follows
	results map[string]error
}

var (
	errStarting = errors.New("starting") // not every part serves yet
	errStopping = errors.New("stopping") // not every part serves any more
)

// healthChecks are the checks of this process's roles.
func (a *App) healthChecks() map[string]func(context.Context) error {
	checks := make(map[string]func(context.Context) error)
	add := func(name string, needed bool, check func(context.Context) error) {
		if needed {
			checks[name] = check
		}
	}
	add("hub", a.hubConn != nil, func(context.Context) error { return unless(a.hubConn.Connected(), "the hub does not answer") })
	add("leaf", a.leafConn != nil, func(context.Context) error { return unless(a.leafConn.Connected(), "the leaf does not answer") })
	add("link", a.leaf != nil, func(context.Context) error { return unless(a.leaf.Linked(), "the leaf has no link to the hub") })
	add("draining", a.gateway != nil, func(context.Context) error { return unless(!a.gateway.Draining(), "draining") })
	add("persist", a.consumers != nil, func(context.Context) error { return a.pulling() })
	add("messages", a.messages != nil, func(ctx context.Context) error {
		_, err := a.messages.Progress(ctx, 0)
		return answers(err, "the message store")
	})
	add("directory", a.directory != nil, func(ctx context.Context) error {
		_, err := a.directory.Owed(ctx, "ready")
		return answers(err, "the directory's store")
	})
	add("log", a.has(RoleEdge, RoleAPI, RolePersist), func(ctx context.Context) error {
		return answers(a.conn().Probe(ctx, a.id), "the log, which was asked to store a probe and to give it back,")
	})
	return checks
}

func unless(fine bool, problem string) error {
	if fine {
		return nil
	}
	return errors.New(problem)
}

// answers says which part failed, and not how: that may hold addresses.
func answers(err error, part string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s does not answer", part)
}

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
	a.health.checks = a.healthChecks()
	a.life.Start("health", func(ctx context.Context) error {
		again := time.NewTimer(healthEvery)
		defer again.Stop()
		for {
			before := a.health.last()
			a.health.look(ctx)
			if a.health.last() != before {
				a.changed()
			}
			pause := healthEvery
			if a.health.last() != "" {
				pause = healthSoon
			}
			again.Reset(pause)
			select {
			case <-ctx.Done():
				return nil
			case <-again.C:
			}
		}
	}, nil)
	return nil
}

// look makes all checks at once, and keeps their results.
func (h *health) look(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var work sync.WaitGroup
	var mu sync.Mutex
	results := make(map[string]error, len(h.checks))
	for name, check := range h.checks {
		work.Go(func() {
			err := check(ctx)
			mu.Lock()
			defer mu.Unlock()
			results[name] = err
		})
	}
	work.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.results = results
	return maps.Clone(results)
}

// seen is the results of the last look.
func (h *health) seen() map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.results)
}

// last is what was wrong at the last look, in one line; empty: nothing.
func (h *health) last() string { return strings.Join(problems(h.seen()), "; ") }

// problems are the failures of results, by the names of their checks.
func problems(results map[string]error) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if err := results[name]; err != nil {
			all = append(all, err.Error())
		}
	}
	return all
}

// readyz says whether this process can do its work now: 200, or 503 with what is missing. With ?verbose it lists every check.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	results := map[string]error{"start": errStarting}
	if a.serving.Load() {
		results = a.health.look(r.Context())
	}
	if a.stopping.Load() {
		results["stop"] = errStopping
	}
	status, text := http.StatusOK, "ok"
	if failed := problems(results); len(failed) > 0 {
		status, text = fault.Unavailable.Status(), strings.Join(failed, "\n")
	}
	if r.URL.Query().Has("verbose") {
		text = verbose(results)
	}
	say(w, status, text)
}

// verbose is a line for each check, as Kubernetes' own health endpoints write them.
func verbose(results map[string]error) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		if err := results[name]; err != nil {
			lines = append(lines, fmt.Sprintf("[-]%s failed: %v", name, err))
			continue
		}
		lines = append(lines, "[+]"+name+" ok")
	}
	return strings.Join(lines, "\n")
}
