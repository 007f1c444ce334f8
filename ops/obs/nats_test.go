package obs_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

const patience = 20 * time.Second

// site is a hub with the streams of Canopy, and a leaf, both with monitors.
type site struct {
	hub  *natsd.Hub
	leaf *natsd.Leaf
	stop map[string]func() // by name; the test's end calls what is left
}

type server interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

func startSite(t *testing.T) *site {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	common := func(name string) natsd.Common {
		return natsd.Common{
			Name: name, Monitor: "127.0.0.1:0", StoreDir: t.TempDir(), Logger: quiet,
			App: natsd.Login{User: "canopy", Password: "app-secret"}, System: natsd.Login{User: "sys", Password: "sys-secret"},
		}
	}
	s := &site{stop: map[string]func(){}}
	s.hub = natsd.NewHub(natsd.HubConfig{Common: common("hub"), Leaf: natsd.Login{User: "leaf", Password: "leaf-secret"}})
	s.start(t, "hub", s.hub)
	s.leaf = natsd.NewLeaf(natsd.LeafConfig{Common: common("leaf"), Region: "eu", HubURLs: []string{s.hub.LeafURL()}})
	s.start(t, "leaf", s.leaf)

	nc, err := nats.Connect(s.hub.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := provision.Load(streams.Files(), provision.Options{Replicas: 1, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := wanted.Ensure(ctx, js, nil); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := js.Publish(ctx, "chat.0.acme.general", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) start(t *testing.T, name string, what server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- what.Run(ctx) }()
	s.stop[name] = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the %s ended with: %v", name, err)
		}
	})
	t.Cleanup(s.stop[name])
	waiting, done := context.WithTimeout(ctx, patience)
	defer done()
	if err := what.Ready(waiting); err != nil {
		t.Fatal(err)
	}
}

func (s *site) servers() []obs.Server {
	return []obs.Server{{URL: s.hub.MonitorURL()}, {URL: s.leaf.MonitorURL()}}
}

func watching(servers func() []obs.Server) *obs.Metrics {
	m := obs.New(obs.Config{})
	m.Watch(obs.Sources{NATS: servers, FanDrops: func() uint64 { return 7 }})
	return m
}

// The names and labels that the exporter's public dashboards ask for: walkthrough/grafana-jetstream-dash.json (14725)
// and walkthrough/grafana-nats-dash.json (2279) of nats-io/prometheus-nats-exporter.
func TestPublicDashboardsFindTheirNames(t *testing.T) {
	s := startSite(t)
	p := scrape(t, watching(s.servers))
	hub := []string{"server_id", s.hub.MonitorURL()}
	for _, name := range []string{
		"gnatsd_varz_connections", "gnatsd_varz_cpu", "gnatsd_varz_in_bytes", "gnatsd_varz_in_msgs", "gnatsd_varz_mem", "gnatsd_varz_out_bytes",
		"gnatsd_varz_out_msgs", "gnatsd_varz_slow_consumers", "gnatsd_varz_subscriptions",
		"gnatsd_varz_jetstream_config_max_memory", "gnatsd_varz_jetstream_config_max_storage",
		"gnatsd_varz_jetstream_stats_memory", "gnatsd_varz_jetstream_stats_storage",
		"jetstream_server_total_streams", "jetstream_server_total_consumers", "jetstream_server_total_messages",
	} {
		for _, url := range []string{s.hub.MonitorURL(), s.leaf.MonitorURL()} {
			if found := p.find(name, "server_id", url); len(found) != 1 {
				t.Errorf("%s of %s has %d series, want one", name, url, len(found))
			}
		}
	}
	stream := append(hub, "stream_name", "CHAT_0", "is_stream_leader", "true", "domain", streams.HubDomain, "account", streams.AccountApp, "server_name", "hub")
	for name, value := range map[string]float64{
		"jetstream_stream_total_messages": 3, "jetstream_stream_last_seq": 3, "jetstream_stream_first_seq": 1,
		"jetstream_stream_limit_bytes": 64 << 20, "jetstream_stream_subject_count": 1,
	} {
		p.wants(t, value, name, stream...)
	}
	consumer := append(stream, "consumer_name", "persist", "is_consumer_leader", "true")
	for name, value := range map[string]float64{
		"jetstream_consumer_num_pending": 3, "jetstream_consumer_num_ack_pending": 0, "jetstream_consumer_num_redelivered": 0,
		"jetstream_consumer_delivered_consumer_seq": 0, "jetstream_consumer_ack_floor_stream_seq": 0, "jetstream_consumer_num_waiting": 0,
	} {
		p.wants(t, value, name, consumer...)
	}
	if found := p.find("jetstream_stream_total_bytes", stream...); len(found) != 1 || found[0].value <= 0 {
		t.Errorf("jetstream_stream_total_bytes is %v", found)
	}
	p.wants(t, 1, "gnatsd_leafz_conn_nodes_total", hub...)
	p.wants(t, 0, "gnatsd_healthz_status", hub...)
	p.wants(t, 1, "gnatsd_healthz_status_value", append(hub, "value", "ok")...)
	for _, name := range []string{"gnatsd_accstatz_current_connections", "gnatsd_subsz_num_subscriptions", "gnatsd_connz_num_connections", "gnatsd_routez_num_routes"} {
		if len(p.find(name, hub...)) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
	// Of several servers, the texts of each.
	p.wants(t, 1, "gnatsd_varz_server_name", append(hub, "value", "hub")...)
	p.wants(t, 1, "gnatsd_varz_server_name", "server_id", s.leaf.MonitorURL(), "value", "leaf")
}

func TestAServerThatDiedShowsNoOldFigures(t *testing.T) {
	s := startSite(t)
	servers := s.servers() // the URL stays known
	m := watching(func() []obs.Server { return servers })
	if found := scrape(t, m).find("gnatsd_varz_connections", "server_id", servers[1].URL); len(found) != 1 {
		t.Fatalf("the leaf has %d series before it dies", len(found))
	}
	s.stop["leaf"]()
	p := scrape(t, m)
	p.wants(t, 0, "gnatsd_healthz_status_value", "server_id", servers[1].URL, "value", "unreachable")
	for _, name := range []string{"gnatsd_varz_connections", "gnatsd_varz_server_name", "jetstream_server_total_streams"} {
		if found := p.find(name, "server_id", servers[1].URL); len(found) != 0 {
			t.Errorf("%s of a dead server is %v", name, found)
		}
		if found := p.find(name, "server_id", servers[0].URL); len(found) != 1 {
			t.Errorf("%s of the server that lives has %d series", name, len(found))
		}
	}
}

// A server that takes connections and does not answer costs the scrape its budget, and no figure of others. That
// the test ends is the proof.
func TestAMonitorThatHangs(t *testing.T) {
	s := startSite(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	hanging := "http://name:secret@" + silent.Addr().String()
	m := obs.New(obs.Config{Budget: 500 * time.Millisecond})
	m.Watch(obs.Sources{FanDrops: func() uint64 { return 7 }, NATS: func() []obs.Server {
		return []obs.Server{{URL: hanging}, {ID: "hub", URL: s.hub.MonitorURL()}, {ID: "not up yet"}}
	}})
	p := scrape(t, m)
	p.wants(t, 7, "canopy_fan_drops_total")
	p.wants(t, 3, "jetstream_stream_total_messages", "server_id", "hub", "stream_name", "CHAT_0")
	p.wants(t, 0, "gnatsd_healthz_status_value", "server_id", "http://"+silent.Addr().String(), "value", "unreachable")
	for name, all := range p {
		for _, one := range all {
			if one.labels["server_id"] == "not up yet" {
				t.Errorf("%s is shown of a server that is not there", name)
			}
			for label, value := range one.labels {
				if strings.Contains(value, "secret") {
					t.Errorf("%s has a password in its label %s", name, label)
				}
			}
		}
	}
}

// Anything may answer where a monitor was.
func TestAMonitorThatIsNone(t *testing.T) {
	var asked atomic.Int64
	for name, answer := range map[string]func() string{
		"a page":  func() string { return "<html>hello</html>" },
		"a list":  func() string { return "[1, 2]" },
		"nothing": func() string { return "" },
		"fields that change their types": func() string {
			if asked.Add(1)%2 == 0 {
				return `{"version": 1}`
			}
			return `{"version": "one"}`
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if _, err := io.WriteString(w, answer()); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			p := scrape(t, watching(func() []obs.Server { return []obs.Server{{ID: "none", URL: server.URL + "/"}} }))
			p.wants(t, 7, "canopy_fan_drops_total")
			if found := p.find("gnatsd_healthz_status_value", "server_id", "none"); len(found) != 1 || found[0].value != 0 {
				t.Errorf("its health is %v", found)
			}
		})
	}
}

func TestAScrapeLeavesNothingBehind(t *testing.T) {
	monitor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := io.WriteString(w, `{"connections": 1}`); err != nil {
			t.Error(err)
		}
	}))
	defer monitor.Close()
	m := watching(func() []obs.Server { return []obs.Server{{URL: monitor.URL}} })
	before := goleak.IgnoreCurrent()
	for range 3 {
		scrape(t, m)
	}
	goleak.VerifyNone(t, before)
}

// Two Prometheus servers may scrape at the same moment, while components push.
func TestScrapesAtTheSameTime(t *testing.T) {
	s := startSite(t)
	m := watching(s.servers)
	handler := m.Handler()
	var scrapes sync.WaitGroup
	for range 3 {
		scrapes.Go(func() {
			m.Watch(obs.Sources{NATS: s.servers})
			pushOne(m)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `stream_name="CHAT_0"`) {
				t.Errorf("a scrape was answered with %d and %d bytes", w.Code, w.Body.Len())
			}
		})
	}
	scrapes.Wait()
}
