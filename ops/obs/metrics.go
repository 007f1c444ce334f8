package obs

import (
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/canopychat/canopy/schemas/fault"
)

// DefaultBudget is how long a scrape may wait for what it asks: well under Prometheus' own default of 10 s.
const DefaultBudget = 3 * time.Second

// maxScrapes is how many scrapes are answered at once; one more is told to come back.
const maxScrapes = 4

// seconds are the buckets of durations: from a quick ack on one machine to the budget of a publish, which
// is 15 s, for an election takes up to 9.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30}

// lags are the buckets of how far a store is behind the log: from at once to an outage of hours.
var lags = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400}

// Config is what the operator says about metrics. Zero values mean the defaults.
type Config struct {
	Budget time.Duration // of one scrape; default DefaultBudget
	Log    *slog.Logger  // hears what a scrape could not read
}

// Surface is where a refusal was said.
type Surface string

// The surfaces.
const (
	Socket Surface = "socket"
	REST   Surface = "rest"
)

// Metrics are the figures of a process. It takes what is pushed from the moment it is made, from any goroutine;
// what it reads, it reads from Sources, at each scrape. It starts nothing.
type Metrics struct {
	// Immutable after New.
	registry *prometheus.Registry
	log      *slog.Logger
	budget   time.Duration
	ack      prometheus.Histogram
	deliver  prometheus.Histogram
	behind   prometheus.Histogram
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	logins   *prometheus.CounterVec
	refused  refusals

	sources atomic.Pointer[Sources] // nil: nothing is watched yet
}

// New makes the metrics of a process, with a registry of their own.
func New(cfg Config) *Metrics {
	if cfg.Budget <= 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), log: cfg.Log, budget: cfg.Budget,
		ack:     histogram("canopy_publish_ack_seconds", "From the publish of an event to the log's word that it is stored."),
		deliver: histogram("canopy_publish_deliver_seconds", "From the stream's timestamp of an event to its write to a socket, sampled."),
		behind: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "canopy_persist_behind_seconds", Help: "From the stream's timestamp of an event to its being in the message store.", Buckets: lags,
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "canopy_rest_requests_total", Help: "REST requests that were answered."}, []string{"route", "method", "status"}),
		took:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "canopy_rest_request_seconds", Help: "How long REST requests took.", Buckets: seconds}, []string{"route", "method"}),
		logins:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "canopy_login_attempts_total", Help: "Attempts to sign in with a password: ok, or the code of the refusal."}, []string{"outcome"}),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector(),
		m.ack, m.deliver, m.behind, m.requests, m.took, m.logins,
		own{m}, exporter{m},
	)
	return m
}

func histogram(name, help string) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: seconds})
}

// Watch says where to read from now on, instead of what was said before. Before the first call a scrape has what
// was pushed, and the figures of the Go runtime and the process.
func (m *Metrics) Watch(s Sources) { m.sources.Store(&s) }

// watched is never nil.
func (m *Metrics) watched() *Sources {
	if s := m.sources.Load(); s != nil {
		return s
	}
	return &Sources{}
}

// Handler answers GET /metrics in Prometheus' formats. It has no authentication: it belongs on the admin listener.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling:       promhttp.ContinueOnError, // what cannot be read is left out
		ErrorLog:            scrapeLog{m.log},
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
	})
}

// scrapeLog is how promhttp says what it left out.
type scrapeLog struct{ to *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(v ...any) {
	for _, said := range v {
		if err, ok := said.(error); ok {
			l.to.Warn("a scrape is not complete", "err", err)
		}
	}
}

// PublishAck takes how long the log took to acknowledge an event.
func (m *Metrics) PublishAck(d time.Duration) { m.ack.Observe(d.Seconds()) }

// PublishDeliver takes how long after the stream's timestamp an event was written to a socket. Two machines' clocks
// may disagree, so what seems to come from the future counts as at once. The caller samples: one socket of many
// says as much as all.
func (m *Metrics) PublishDeliver(d time.Duration) { m.deliver.Observe(max(d, 0).Seconds()) }

// PersistBehind takes how long after the stream's timestamp an event was in the message store. What seems to come from
// the future counts as at once.
func (m *Metrics) PersistBehind(d time.Duration) { m.behind.Observe(max(d, 0).Seconds()) }

// Refused counts a refusal. A kind that is not in the error table counts as internal.
func (m *Metrics) Refused(on Surface, kind fault.Kind) { m.refused.note(on, kind) }

// Refusals is Refused for the one surface of a component.
func (m *Metrics) Refusals(on Surface) func(fault.Kind) {
	return func(kind fault.Kind) { m.refused.note(on, kind) }
}

// LoginAttempt counts an attempt to sign in, by the error that it was answered with.
func (m *Metrics) LoginAttempt(err error) {
	outcome := string(fault.KindOf(err))
	if err == nil {
		outcome = "ok"
	}
	m.logins.WithLabelValues(outcome).Inc()
}

// other stands for what is in no list: anybody can send it, so it must not become a label.
const other = "other"

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// Request takes an answered REST request. The route is the router's pattern, never the path that was asked for;
// empty when there is none.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	if route == "" {
		route = other
	}
	if !slices.Contains(methods, method) {
		method = other
	}
	code := other
	if http.StatusText(status) != "" {
		code = strconv.Itoa(status)
	}
	m.requests.WithLabelValues(route, method, code).Inc()
	m.took.WithLabelValues(route, method).Observe(took.Seconds())
}
