package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/status"
)

// get asks an address for a path.
func get(t *testing.T, base, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// awaits waits until something is so.
func awaits(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// series is one line of /metrics.
type series struct {
	name   string
	labels map[string]string
	value  float64
}

// figures is what a scrape answered.
type figures []series

var (
	seriesLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"`)
)

func (d *deployment) scrape() figures {
	d.t.Helper()
	status, text := get(d.t, d.run.Admin, "/metrics")
	if status != http.StatusOK {
		d.t.Fatalf("/metrics: %d %s", status, text)
	}
	var all figures
	for line := range strings.Lines(text) {
		found := seriesLine.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			d.t.Fatalf("%s: %v", line, err)
		}
		s := series{found[1], map[string]string{}, value}
		for _, pair := range labelPair.FindAllStringSubmatch(found[2], -1) {
			s.labels[pair[1]] = pair[2]
		}
		all = append(all, s)
	}
	return all
}

// sum adds up the series of a name whose labels are those given, as name, value pairs; -1: there is none.
func (f figures) sum(name string, labels ...string) float64 {
	sum, found := 0.0, false
	for _, s := range f {
		fits := s.name == name
		for i := 0; i < len(labels); i += 2 {
			fits = fits && s.labels[labels[i]] == labels[i+1]
		}
		if fits {
			sum, found = sum+s.value, true
		}
	}
	if !found {
		return -1
	}
	return sum
}

// wants fails unless the sum lies between two values.
func (f figures) wants(t *testing.T, from, to float64, name string, labels ...string) {
	t.Helper()
	if got := f.sum(name, labels...); got < from || got > to {
		t.Errorf("%s%v is %v, want %v to %v", name, labels, got, from, to)
	}
}

const many = 1e12

// What an operator sees of a deployment that works: health, figures, services, processes.
func TestWhatAnOperatorSees(t *testing.T) {
	d := empty(t)
	ada, session := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	general := ada.channel("general")
	a, b := ada.open(), bob.open()
	for i := range 20 {
		a.say(general, fmt.Sprint("over the socket ", i))
	}
	b.until(bob.post(general, map[string]any{"body": "over REST"}).Seq)
	a.refused(map[string]any{"type": "message.send", "channel_id": "nowhere", "body": "hi", "client_msg_id": newMsgID()})
	d.nobody().refused(http.StatusUnauthorized, "POST", "/login", map[string]any{"login": "bob", "password": "wrong"})
	d.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "bob", "password": "battery staple"}, nil)
	ada.call("GET", "/no/such/place/"+ada.id, nil)
	bob.open().cut()
	operator(t, d, general).forge(general)
	d.settled()
	awaits(t, "the feed looks after what was forged", func() bool { return d.scrape().sum("canopy_feed_repairs_total") >= 1 })
	awaits(t, "the socket that was cut is noticed", func() bool { return d.scrape().sum("canopy_sockets_closed_total") == 1 })
	awaits(t, "every check has passed", func() bool {
		status, _ := get(t, d.run.Admin, "/readyz")
		return status == http.StatusOK && d.scrape().sum("canopy_ready") == float64(len(checks))
	})
	awaits(t, "the persisters are done", func() bool { return d.scrape().sum("canopy_persist_lag_events") == 0 })

	t.Run("own figures", func(t *testing.T) { checkOwnFigures(t, d.scrape()) })
	t.Run("the exporter's figures", func(t *testing.T) { checkExporter(t, d.scrape()) })
	t.Run("what dashboards and alerts ask for", func(t *testing.T) { checkDashboards(t, d.scrape()) })
	t.Run("labels name nobody", func(t *testing.T) {
		for _, s := range d.scrape() {
			for label, value := range s.labels {
				for _, private := range []string{ada.id, bob.id, general, d.run.Workspace.ID, ada.token, session.SessionID, "battery", "correct horse"} {
					if strings.Contains(value, private) {
						t.Errorf("%s has %s=%q", s.name, label, value)
					}
				}
			}
		}
	})
	t.Run("health", func(t *testing.T) { checkHealth(t, d) })
	t.Run("who may ask", func(t *testing.T) { checkListeners(t, d) })
	t.Run("$SRV", func(t *testing.T) { checkServices(t, d) })
	t.Run("canopy status", func(t *testing.T) { checkStatus(t, d) })
}

// forge puts messages on the fan subjects that no stream has sent.
func (o *byHand) forge(channel string) {
	o.t.Helper()
	for _, headers := range []map[string]string{nil, {"Nats-Sequence": "100000", "Nats-Last-Sequence": "99999"}} {
		m := nats.NewMsg(fmt.Sprintf("fan.%d.%s.%s", o.shard, o.ws, channel))
		m.Data = []byte(`{}`)
		for k, v := range headers {
			m.Header.Set(k, v)
			m.Header.Set("Nats-Stream", o.stream)
			m.Header.Set("Nats-Subject", o.subject(o.shard, o.ws, channel))
			m.Header.Set("Nats-Time-Stamp", time.Now().UTC().Format(time.RFC3339Nano))
		}
		if err := o.nc.PublishMsg(m); err != nil {
			o.t.Fatal(err)
		}
	}
	if err := o.nc.Flush(); err != nil {
		o.t.Fatal(err)
	}
}

func checkOwnFigures(t *testing.T, f figures) {
	f.wants(t, 21, 21, "canopy_publish_ack_seconds_count")
	f.wants(t, 1, 100, "canopy_publish_deliver_seconds_count")
	f.wants(t, 2, 2, "canopy_sessions")
	f.wants(t, 0, 0, "canopy_sessions_behind")
	f.wants(t, 0, 0, "canopy_outbox_owed")
	f.wants(t, 3, 3, "canopy_sockets_opened_total")
	f.wants(t, 21, 21, "canopy_sends_total") // one of them was refused
	f.wants(t, 42, 100, "canopy_frames_delivered_total")
	f.wants(t, 21, 200, "canopy_feed_events_total")
	f.wants(t, 1, many, "canopy_fan_drops_total")
	f.wants(t, 0, 0, "canopy_publishes_in_flight", "publisher", "edge")
	f.wants(t, 0, 0, "canopy_publishes_in_flight", "publisher", "api")
	f.wants(t, 1, 1, "canopy_sockets_closed_total", "reason", "client")
	f.wants(t, 1, 1, "canopy_refusals_total", "surface", "socket", "code", "not_found")
	f.wants(t, 1, 1, "canopy_refusals_total", "surface", "rest", "code", "unauthenticated")
	f.wants(t, 1, 1, "canopy_login_attempts_total", "outcome", "ok")
	f.wants(t, 1, 1, "canopy_login_attempts_total", "outcome", "unauthenticated")
	f.wants(t, 1, 1, "canopy_rest_requests_total", "route", "/channels/:channel/messages", "method", "POST", "status", "201")
	f.wants(t, 1, 1, "canopy_rest_request_seconds_count", "route", "/channels/:channel/messages", "method", "POST")
	f.wants(t, 1, 1, "canopy_rest_requests_total", "route", "/login", "method", "POST", "status", "401")
	for shard := range 4 {
		f.wants(t, 1, 1, "canopy_persist_pulling", "shard", fmt.Sprint(shard))
		f.wants(t, 0, 0, "canopy_persist_lag_events", "shard", fmt.Sprint(shard))
	}
	for _, check := range checks {
		f.wants(t, 1, 1, "canopy_ready", "check", check)
	}
}

// The names that the exporter's public dashboards ask for, of the streams and consumers of Canopy.
func checkExporter(t *testing.T, f figures) {
	for _, server := range []string{"canopy-hub", "canopy-leaf-local"} {
		for _, name := range []string{
			"gnatsd_varz_connections", "gnatsd_varz_cpu", "gnatsd_varz_mem", "gnatsd_varz_in_msgs", "gnatsd_varz_out_bytes",
			"gnatsd_varz_slow_consumers", "gnatsd_varz_jetstream_stats_storage", "jetstream_server_total_streams", "jetstream_server_total_messages",
		} {
			f.wants(t, 0, many, name, "server_id", server)
		}
		f.wants(t, 1, 1, "gnatsd_healthz_status_value", "server_id", server, "value", "ok")
	}
	f.wants(t, 1, 1, "gnatsd_leafz_conn_nodes_total", "server_id", "canopy-hub")
	var stored float64
	for shard := range 4 {
		stream := []string{"server_id", "canopy-hub", "stream_name", fmt.Sprint("CHAT_", shard), "is_stream_leader", "true", "domain", "hub", "account", "CANOPY"}
		for _, name := range []string{"jetstream_stream_total_messages", "jetstream_stream_total_bytes", "jetstream_stream_last_seq", "jetstream_stream_first_seq", "jetstream_stream_consumer_count"} {
			f.wants(t, 0, many, name, stream...)
		}
		stored += f.sum("jetstream_stream_total_messages", stream...)
		consumer := append(stream, "consumer_name", "persist", "is_consumer_leader", "true")
		f.wants(t, 0, 0, "jetstream_consumer_num_pending", consumer...)
		f.wants(t, 0, 0, "jetstream_consumer_num_ack_pending", consumer...)
		f.wants(t, 0, many, "jetstream_consumer_num_redelivered", consumer...)
		f.wants(t, 0, many, "jetstream_consumer_ack_floor_stream_seq", consumer...)
	}
	if stored < 21 {
		t.Errorf("the CHAT streams have %v messages", stored)
	}
}

var figureName = regexp.MustCompile(`\b(canopy|gnatsd|jetstream)_[a-z0-9_]+`)

// Each figure that a dashboard or an alert of ops/deploy asks for is there.
func checkDashboards(t *testing.T, f figures) {
	named := 0
	for _, pattern := range []string{"../deploy/grafana/*.json", "../deploy/prometheus/*.yml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has %d files: %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			names := figureName.FindAllString(string(text), -1)
			slices.Sort(names)
			for _, name := range slices.Compact(names) {
				if named++; f.sum(name) < 0 {
					t.Errorf("%s asks for %s, which is not there", filepath.Base(file), name)
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("they name %d figures", named)
	}
}

// checks are those of a whole deployment.
var checks = []string{"deliver", "directory", "draining", "hub", "leaf", "link", "log", "messages", "persist", "quorum"}

func checkHealth(t *testing.T, d *deployment) {
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if status, text := get(t, d.run.Admin, path); status != http.StatusOK || text != "ok\n" {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	probes := func() uint64 {
		s, err := d.jetStream().Stream(t.Context(), "PROBE")
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.LastSeq
	}
	before := probes()
	var want string
	for _, check := range checks {
		want += "[+]" + check + " ok\n"
	}
	for _, path := range []string{"/readyz?verbose", "/healthz?verbose"} {
		if status, text := get(t, d.run.Admin, path); status != http.StatusOK || text != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if after := probes(); after < before+2 {
		t.Errorf("PROBE stood at %d, and after two looks at %d", before, after)
	}
}

// What shows the inside is on the admin listener alone, which is for this machine.
func checkListeners(t *testing.T, d *deployment) {
	inside := []string{"/metrics", "/livez", "/readyz", "/healthz", "/debug/vars", "/debug/counters", "/debug/pprof/", "/debug/pprof/goroutine", "/debug/pprof/cmdline"}
	for _, path := range inside {
		if status, _ := get(t, d.run.HTTP, path); status != http.StatusNotFound {
			t.Errorf("the public listener answers %s with %d", path, status)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/vars", "/debug/counters"} {
		if status, text := get(t, d.run.Admin, path); status != http.StatusOK || strings.Contains(text, "battery staple") {
			t.Errorf("the admin listener answers %s with %d", path, status)
		}
	}
	for _, layout := range []config.Layout{config.Together, config.Apart} {
		host, _, err := net.SplitHostPort(config.Default(layout).Admin)
		if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
			t.Errorf("by default admin is at %s", config.Default(layout).Admin)
		}
	}
	if u, err := url.Parse(d.run.Admin); err != nil || u.Hostname() != "127.0.0.1" {
		t.Errorf("admin is at %s", d.run.Admin)
	}
}

// asked is what `nats service ls`, info and stats do: everybody answers a question for a moment.
func asked[Reply any](t *testing.T, nc *nats.Conn, verb string) []Reply {
	t.Helper()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // the connection ends with the test
	if err := nc.PublishRequest("$SRV."+verb, inbox, nil); err != nil {
		t.Fatal(err)
	}
	var all []Reply
	for {
		m, err := sub.NextMsg(time.Second / 2)
		if err != nil {
			return all
		}
		var r Reply
		mustJSON(t, string(m.Data), &r)
		all = append(all, r)
	}
}

// pinged are the names of the services that answer, sorted.
func pinged(t *testing.T, nc *nats.Conn) (names []string) {
	t.Helper()
	for _, p := range asked[micro.Ping](t, nc, "PING") {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

var services = []string{"admin", "api", "cursors", "deadletter", "deliver", "directory", "gateway", "history", "hub", "leaf", "ledger", "persist"}

func checkServices(t *testing.T, d *deployment) {
	nc := d.hub()
	leaf, err := nats.Connect(d.run.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	defer leaf.Close()
	for from, nc := range map[string]*nats.Conn{"hub": nc, "leaf": leaf} {
		if names := pinged(t, nc); !slices.Equal(names, services) {
			t.Errorf("at the %s PING finds %v", from, names)
		}
	}
	endpoints := map[string]int{}
	for _, i := range asked[micro.Info](t, nc, "INFO") {
		endpoints[i.Name] = len(i.Endpoints)
		role := !slices.Contains([]string{"admin", "cursors", "deadletter", "directory", "history", "ledger"}, i.Name)
		if role && (i.Metadata["region"] != "local" || len(i.Metadata["id"]) < 20) {
			t.Errorf("%s says %v", i.Name, i.Metadata)
		}
	}
	if len(endpoints) != len(services) || endpoints["directory"] != 4 || endpoints["history"] != 2 || endpoints["admin"] != 8 || endpoints["cursors"] != 2 || endpoints["deadletter"] != 1 || endpoints["ledger"] != 1 || endpoints["gateway"] != 0 {
		t.Errorf("INFO finds %v", endpoints)
	}
	requests := map[string]int{}
	for _, s := range asked[micro.Stats](t, nc, "STATS") {
		for _, e := range s.Endpoints {
			requests[s.Name+"."+e.Name] += e.NumRequests
		}
	}
	if requests["directory.session"] < 2 || requests["directory.keys"] < 1 {
		t.Errorf("STATS finds %v", requests)
	}
}

// statusOf is canopy status --json.
func statusOf(t *testing.T, data string) (int, status.Report) {
	t.Helper()
	var out, problems bytes.Buffer
	code := cli.Main([]string{"status", "--data", data, "--json"}, cli.System{Stdout: &out, Stderr: &problems})
	var r status.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("canopy status: %d %v %s", code, err, problems.String())
	}
	return code, r
}

// rolesOf are the roles of the processes that live, sorted.
func rolesOf(r status.Report) (roles []string) {
	for _, p := range r.Processes {
		roles = append(roles, p.Role)
	}
	return roles
}

func checkStatus(t *testing.T, d *deployment) {
	var code int
	var r status.Report
	awaits(t, "every role is in the registry, and healthy", func() bool {
		code, r = statusOf(t, d.cfg.Data)
		return code == 0
	})
	if got := rolesOf(r); !slices.Equal(got, []string{"api", "deliver", "gateway", "hub", "leaf", "persist"}) || len(r.Problems) > 0 {
		t.Errorf("status has the processes %v and the problems %v", got, r.Problems)
	}
	for _, p := range r.Processes {
		if p.Role == "gateway" && (p.MaxSockets == 0 || p.URL == "" || !p.Healthy || p.StartedAt.IsZero() || p.Version == "") {
			t.Errorf("the gateway says %+v", p)
		}
	}
	var streams []string
	for _, s := range r.Streams {
		streams = append(streams, s.Name)
	}
	want := []string{"ADVISORIES", "CHAT_0", "CHAT_1", "CHAT_2", "CHAT_3", "DELIVERY", "DLQ", "KV_deadletters", "KV_registry", "KV_revocations", "PROBE", "SCHED"}
	if slices.Sort(streams); !slices.Equal(streams, want) {
		t.Errorf("status has the streams %v", streams)
	}
	consumers := map[string]int{}
	for _, c := range r.Consumers {
		consumers[c.Name]++
		if c.Lag != 0 && c.Name != "deliver" || c.Pending != 0 { // the router holds what is new for a while
			t.Errorf("%+v", c)
		}
	}
	if !maps.Equal(consumers, map[string]int{"persist": 4, "deliver": 4, "push": 1, "due": 1, "deadletter": 1}) {
		t.Errorf("status has the consumers %+v", r.Consumers)
	}
	var screen, problems bytes.Buffer
	if code := cli.Main([]string{"status", "--data", d.cfg.Data}, cli.System{Stdout: &screen, Stderr: &problems}); code != 0 || !strings.Contains(screen.String(), "nothing to look at") {
		t.Errorf("canopy status: %d %s%s", code, screen.String(), problems.String())
	}
}
