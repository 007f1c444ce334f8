package obs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/prometheus-nats-exporter/collector"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/canopychat/canopy/schemas/fault"
)

// Server is a NATS server with monitoring endpoints.
type Server struct {
	ID  string // the label server_id; empty: scheme://host of the URL, as the exporter's own command line has it
	URL string // the root of the endpoints; a server whose URL is empty is left out
}

func (s Server) id() string {
	if s.ID != "" {
		return s.ID
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return other // it will not answer either
	}
	return u.Scheme + "://" + u.Host // without credentials
}

// endpoints are those of a server alone that the public dashboards use, as the exporter's command line has them:
// -healthz -varz -subz -connz -routez -leafz -accstatz -jsz=all, and no -prefix. jsz comes last, for it is the longest.
var endpoints = []struct{ system, endpoint string }{
	{collector.CoreSystem, "healthz"},
	{collector.CoreSystem, "varz"},
	{collector.CoreSystem, "subsz"},
	{collector.CoreSystem, "connz"},
	{collector.CoreSystem, "routez"},
	{collector.CoreSystem, "leafz"},
	{collector.CoreSystem, "accstatz"},
	{collector.JetStreamSystem, "all"},
}

// exporter is the NATS Prometheus exporter for the servers of this process, under its own names.
//
// Its collectors are made anew for each scrape. One that is kept shows the last values of a server that has died
// for ever, and of several servers the texts (version, name) of the last one only.
type exporter struct{ m *Metrics }

var exporterDesc = prometheus.NewDesc("canopy_nats_scrape", "Never shown: what is said when the monitors of NATS cannot be asked.", nil, nil)

// Describe implements prometheus.Collector. The exporter's names come out of what a server answers.
func (exporter) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector. Servers are asked at the same time, so that a dead one takes nothing
// from the others.
func (e exporter) Collect(ch chan<- prometheus.Metric) {
	s := e.m.watched()
	if s.NATS == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.m.budget)
	defer cancel()
	var servers []Server
	for _, server := range s.NATS() {
		if server.URL != "" {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return
	}
	r, err := openRelay(ctx, servers)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(exporterDesc, err)
		return
	}
	var asking sync.WaitGroup
	for i, server := range servers {
		at := []*collector.CollectedServer{{ID: server.id(), URL: r.url(i)}}
		asking.Go(func() { ask(at, ch) })
	}
	asking.Wait()
	if err := r.close(); err != nil {
		ch <- prometheus.NewInvalidMetric(exporterDesc, err)
	}
}

// ask runs the exporter's collectors against one server. They panic on an answer whose fields change their types,
// and a stranger's answer must not end a process that carries messages.
func ask(server []*collector.CollectedServer, ch chan<- prometheus.Metric) {
	defer func() {
		if p := recover(); p != nil {
			ch <- prometheus.NewInvalidMetric(exporterDesc, fmt.Errorf("the monitor of %s answers what the exporter cannot read: %v", server[0].ID, p))
		}
	}()
	for _, e := range endpoints {
		collector.NewCollector(e.system, e.endpoint, "", server).Collect(ch)
	}
}

// relay stands between the exporter's collectors and the servers for one scrape. The collectors' HTTP clients wait
// without an end, and cannot be given one; the relay answers them for a server that does not. It listens on the
// loopback interface and hands on nothing but reads of the monitors.
type relay struct {
	listener net.Listener
	server   *http.Server
	client   *http.Client
	served   chan error
}

func openRelay(ctx context.Context, servers []Server) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, client: &http.Client{Transport: &http.Transport{}}, served: make(chan error, 1)}
	mux := http.NewServeMux()
	for i, s := range servers {
		prefix := "/" + strconv.Itoa(i)
		mux.Handle("GET "+prefix+"/", http.StripPrefix(prefix, handOn(ctx, r.client, strings.TrimSuffix(s.URL, "/"))))
	}
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: DefaultBudget}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

func (r *relay) url(i int) string {
	return "http://" + r.listener.Addr().String() + "/" + strconv.Itoa(i)
}

// close ends the relay and every connection of the collectors to it, which they would keep; nobody asks any more.
func (r *relay) close() error {
	err := r.server.Close()
	if ended := <-r.served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	r.client.CloseIdleConnections()
	return err
}

// handOn asks a server until ctx ends. What is no answer is no JSON either, so a collector leaves it out.
func handOn(ctx context.Context, client *http.Client, root string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, root+asked.URL.RequestURI(), nil)
		if err != nil {
			w.WriteHeader(fault.Unavailable.Status())
			return
		}
		answer, err := client.Do(r)
		if err != nil {
			w.WriteHeader(fault.Unavailable.Status())
			return
		}
		defer answer.Body.Close()
		// Without the status: an unhealthy server says so in the body, and the collectors read that alone.
		_, _ = io.Copy(w, answer.Body) // half of an answer is no JSON
	})
}
