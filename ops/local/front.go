package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/ops/httpd"
	"github.com/canopychat/canopy/schemas/fault"
)

// headBudget is how long who stands behind a front may take to begin an answer: one that is paused takes for ever.
const headBudget = 15 * time.Second

// front is the load balancer of a region: sockets go to its gateways in turn, REST to its api, or to that of another
// region. One that refuses the connection is passed over.
type front struct {
	listener httpd.Listener
	sockets  *httputil.ReverseProxy
	rest     *httputil.ReverseProxy
	log      *slog.Logger

	serving sync.WaitGroup // requests, and sockets, which the HTTP server does not wait for
}

// newFront takes the address. Nothing is served before Run.
func newFront(address string, gateways, apis *turn, log *slog.Logger) (*front, error) {
	l, err := httpd.Listen(address, "", "")
	if err != nil {
		return nil, err
	}
	return &front{listener: l, sockets: reverse(gateways, log), rest: reverse(apis, log), log: log}, nil
}

// Run serves until ctx ends, and then waits for what it serves, which has ended then.
func (f *front) Run(ctx context.Context) error {
	err := f.listener.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.serving.Add(1)
		defer f.serving.Done()
		asked, cancel := context.WithCancel(r.Context())
		defer cancel()
		stop := context.AfterFunc(ctx, cancel)
		defer stop()
		to := f.rest
		if r.Method == http.MethodGet && r.URL.Path == "/socket" {
			to = f.sockets
		}
		to.ServeHTTP(w, r.WithContext(asked))
	}), f.log)
	f.serving.Wait()
	for _, p := range []*httputil.ReverseProxy{f.sockets, f.rest} {
		p.Transport.(*http.Transport).CloseIdleConnections()
	}
	return err
}

// reverse passes requests on to whom t connects.
func reverse(t *turn, log *slog.Logger) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "behind"}) // who that is, the transport decides
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport: &http.Transport{DialContext: t.dial, DisableKeepAlives: true, ResponseHeaderTimeout: headBudget},
		ErrorLog:  slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(fault.Unavailable.Status())
		},
	}
}

// turn is processes of which one after the other is connected to; when all of them refuse, the others are tried.
type turn struct {
	of, otherwise []*Process
	last          atomic.Uint64
}

func (t *turn) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var dialer net.Dialer
	var errs []error
	first := int(t.last.Add(1) % uint64(len(t.of)))
	for _, p := range slices.Concat(t.of[first:], t.of[:first], t.otherwise) {
		conn, err := dialer.DialContext(ctx, network, p.Address)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
	}
	return nil, errors.Join(errs...)
}
