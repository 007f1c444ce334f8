package app

import (
	"context"
	"crypto/tls"
	"errors"
	"expvar"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/fault"
)

// Bounds of a request's head, for REST and for the upgrade of sockets alike.
const (
	headTimeout  = 10 * time.Second // until it has come whole: silent connections cost a goroutine for so long
	headBytes    = 16 << 10
	bodyTimeout  = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	closeTimeout = 3 * time.Second // for requests that are being answered when the process stops
)

// listener is an address that was taken before anything else started, and is served when everything has.
type listener struct {
	net.Listener
	tls *tls.Config
}

// listen takes the public address first: a port that is taken is known before a server starts.
func (a *App) listen(context.Context) error {
	address := a.cfg.Listen
	if !a.has(RoleAPI) {
		address = a.cfg.Edge.Listen
	}
	l, err := bind(address)
	if err != nil {
		return err
	}
	a.public = listener{Listener: l}
	scheme := "http"
	if a.cfg.Edge.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(a.cfg.Edge.TLSCert, a.cfg.Edge.TLSKey)
		if err != nil {
			_ = l.Close() // nothing was served
			return config.Problemf("the TLS certificate: %v", err)
		}
		a.public.tls, scheme = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, "https"
	}
	a.life.Closes("listener", func() error { return unlessClosed(l.Close()) })
	a.running.HTTP = scheme + "://" + l.Addr().String()
	return nil
}

func bind(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		var sys *os.SyscallError
		if errors.As(err, &sys) {
			err = sys.Err
		}
		return nil, config.Problemf("cannot listen on %s: %v", address, err)
	}
	return l, nil
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

// serve answers requests until the part is stopped; sockets that were taken over are the gateway's.
func (a *App) serve(name string, on listener, handler http.Handler) {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headBytes,
		TLSConfig: on.tls, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/2 has no upgrade
		ErrorLog: quiet(a.log.With("component", name)),
	}
	a.life.Start(name, func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() {
			if on.tls != nil {
				served <- server.ServeTLS(on, "", "")
				return
			}
			served <- server.Serve(on)
		}()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		closing, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		err := server.Shutdown(closing)
		if err != nil {
			err = server.Close()
		}
		<-served
		return unlessClosed(err)
	}, nil)
}

// startAdmin serves what operators ask a process. It is for this machine unless the config says otherwise.
func (a *App) startAdmin(context.Context) error {
	l, err := bind(a.cfg.Admin)
	if err != nil {
		return err
	}
	a.running.Admin = "http://" + l.Addr().String()
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
	a.serve("admin", listener{Listener: l}, mux)
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

// unlessClosed is err, unless it says that something was closed already.
func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
