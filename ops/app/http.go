package app

import (
	"context"
	"expvar"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"

	"github.com/canopychat/canopy/ops/httpd"
	"github.com/canopychat/canopy/schemas/fault"
)

// listen takes the public address first: a port that is taken is known before a server starts.
func (a *App) listen(context.Context) (err error) {
	address := a.cfg.Listen
	if !a.has(RoleAPI) {
		address = a.cfg.Edge.Listen
	}
	if a.public, err = httpd.Listen(address, a.cfg.Edge.TLSCert, a.cfg.Edge.TLSKey); err != nil {
		return err
	}
	a.life.Closes("listener", a.public.Close)
	a.running.HTTP = a.public.URL()
	return nil
}

// serveHTTP serves REST and sockets on one address.
func (a *App) serveHTTP(context.Context) error {
	rest := http.NotFoundHandler()
	if a.api != nil {
		rest = a.api.rest.Handler()
	}
	a.serve("http", a.public, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No http.ServeMux: it sends who deletes /a/b/.. to /a, and a client that follows deletes something else.
		if a.gateway != nil && r.Method == http.MethodGet && r.URL.Path == "/socket" {
			a.gateway.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	}))
	return nil
}

func (a *App) serve(name string, on httpd.Listener, handler http.Handler) {
	a.life.Start(name, func(ctx context.Context) error {
		return on.Serve(ctx, handler, a.log.With("component", name))
	}, nil)
}

// startAdmin serves what operators ask a process. It is for this machine unless the config says otherwise.
func (a *App) startAdmin(context.Context) error {
	l, err := httpd.Listen(a.cfg.Admin, "", "")
	if err != nil {
		return err
	}
	a.running.Admin = l.URL()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.Handle("GET /metrics", a.metrics.Handler())
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /healthz", a.readyz)
	mux.Handle("GET /debug/vars", expvar.Handler())
	mux.HandleFunc("GET /debug/counters", a.counters)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a.serve("admin", l, mux)
	return nil
}

// counters shows what the edge has done, a line a figure.
func (a *App) counters(w http.ResponseWriter, _ *http.Request) {
	if a.gateway == nil || !a.serving.Load() {
		say(w, fault.NotFound.Status(), "this process has no edge, or is starting")
		return
	}
	g, f, door := a.gateway.Counters(), a.edge.feeds.Counts(), a.gateway.Door()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, figure := range []struct {
		name  string
		value uint64
	}{
		{"sockets", uint64(a.gateway.Sockets())}, {"opened", g.Opened.Load()}, {"delivered", g.Delivered.Load()},
		{"behind", g.Behind.Load()}, {"pages", g.Pages.Load()}, {"resyncs", g.Resyncs.Load()}, {"sends", g.SendsTaken.Load()},
		{"resumed", g.Resumed.Load()}, {"ephemeral", g.Ephemeral.Load()},
		{"directory_asked", door.Asked.Load()}, {"remembered", door.Remembered.Load()}, {"turned_away", door.TurnedAway.Load()},
		{"feed_taken", f.Taken}, {"feed_repairs", f.Repairs}, {"feed_holes", f.Holes}, {"feed_garbage", f.Garbage}, {"feed_repeated", f.Repeated},
	} {
		fmt.Fprintf(w, "%s %d\n", figure.name, figure.value)
	}
	for reason, n := range g.Closed() {
		fmt.Fprintf(w, "closed{reason=%q} %d\n", reason, n)
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // who asked has gone
}
