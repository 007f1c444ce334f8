package app_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// collector takes spans over OTLP/HTTP.
type collector struct {
	url string

	mu    sync.Mutex // guards spans
	spans []*tracepb.Span
}

func startCollector(t *testing.T) *collector {
	c := &collector{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, asked *http.Request) {
		var export collect.ExportTraceServiceRequest
		raw, err := io.ReadAll(asked.Body)
		if err == nil {
			err = proto.Unmarshal(raw, &export)
		}
		if err != nil {
			t.Errorf("an export cannot be read: %v", err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, of := range export.ResourceSpans {
			for _, scope := range of.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// of is the spans of a trace.
func (c *collector) of(trace string) []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []*tracepb.Span
	for _, span := range c.spans {
		if hex.EncodeToString(span.TraceId) == trace {
			found = append(found, span)
		}
	}
	return found
}

// chain is the names of a trace's spans from its root on, each the child of the one before, with " < " between; what is no
// chain has another text.
func (c *collector) chain(trace string) string {
	spans, at, names := c.of(trace), []byte{}, []string{}
	for range spans {
		i := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return bytes.Equal(s.ParentSpanId, at) })
		if i < 0 {
			break
		}
		at, names = spans[i].SpanId, append(names, spans[i].Name)
	}
	if len(names) != len(spans) {
		return fmt.Sprint(spans)
	}
	return strings.Join(names, " < ")
}

// traces makes the processes of this test export to a collector, or, with "", not.
func traces(t *testing.T, to string) {
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", to)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
}

var traceParent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]$`)

// traceOf is the traceparent in the header of a stored event, as its trace and its span.
func (o *byHand) traceOf(seq uint64) (trace, span string) {
	o.t.Helper()
	s, err := o.js.Stream(o.t.Context(), o.stream)
	if err != nil {
		o.t.Fatal(err)
	}
	m, err := s.GetMsg(o.t.Context(), seq)
	if err != nil {
		o.t.Fatal(err)
	}
	found := traceParent.FindStringSubmatch(m.Header.Get("traceparent"))
	if found == nil {
		o.t.Fatalf("the traceparent of %d is %q", seq, m.Header.Get("traceparent"))
	}
	return found[1], found[2]
}

// A send is one trace: from the socket or the request over the log's header into the store.
func TestASendIsOneTrace(t *testing.T) {
	c := startCollector(t)
	traces(t, c.url)
	d := up(t, testConfig(t))
	alice := d.signIn("alice")
	general := alice.channel("general")
	log := operator(t, d, general)
	s := alice.open()
	const given = "4bf92f3577b34da6a3ce929d0e0e4736"
	for _, send := range []struct{ name, want, trace string }{
		{"over a socket", "send message.posted < publish < persist", ""},
		{"over REST", "POST /channels/:channel/messages < publish < persist", ""},
		{"over REST in the client's trace", "", given},
	} {
		t.Run(send.name, func(t *testing.T) {
			var seq uint64
			switch {
			case strings.Contains(send.name, "socket"):
				seq = s.say(general, send.name)
			case send.trace == "":
				seq = alice.post(general, map[string]any{"body": send.name}).Seq
			default:
				seq = alice.with("Traceparent", "00-"+send.trace+"-00f067aa0ba902b7-01").post(general, map[string]any{"body": send.name}).Seq
			}
			trace, span := log.traceOf(seq)
			if send.trace != "" && trace != send.trace {
				t.Errorf("the trace is %s", trace)
			}
			awaits(t, "three spans", func() bool { return len(c.of(trace)) == 3 })
			if got := c.chain(trace); send.want != "" && got != send.want {
				t.Errorf("the trace is %s", got)
			}
			for _, found := range c.of(trace) {
				if found.Name == "publish" && hex.EncodeToString(found.SpanId) != span {
					t.Errorf("the header is of the span %s, publish is %x", span, found.SpanId)
				}
				if strings.Contains(found.String(), "over a socket") || strings.Contains(found.String(), alice.id) {
					t.Errorf("a span says %v", found)
				}
			}
		})
	}
}

// A collector that refuses, or takes connections and says nothing, costs spans, which are counted, and nothing else: who
// sends waits for nothing. So do those for which the queue has no room.
func TestACollectorThatIsAway(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"refuses":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) },
		"says nothing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			if answer == nil {
				answer = func(http.ResponseWriter, *http.Request) { <-ended }
			}
			server := httptest.NewServer(answer)
			t.Cleanup(server.Close)
			traces(t, server.URL)
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
			t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
			d := up(t, testConfig(t))
			t.Cleanup(func() { close(ended) }) // before what is still held is exported
			alice := d.signIn("alice")
			general := alice.channel("general")
			s := alice.open()
			const sends, spans = 50, 3
			for i := range sends {
				s.say(general, fmt.Sprint(i))
			}
			d.settled()
			awaits(t, "what is lost is counted", func() bool {
				return d.scrape().sum("canopy_drops_total", "reason", "traces") >= sends*spans-8-4
			})
			if messages, _ := alice.history(general); messages[len(messages)-1].Body != "49" {
				t.Errorf("history ends with %+v", messages[len(messages)-1])
			}
		})
	}
}

// lines is a log at debug, as JSON.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// logLine is what is looked at of a line.
type logLine struct {
	Message   string `json:"msg"`
	Component string `json:"component"`
	TraceID   string `json:"trace_id"`
	Seq       uint64 `json:"seq"`
}

// with are the lines of a trace.
func (l *lines) with(t *testing.T, trace string) (found []logLine) {
	t.Helper()
	for text := range strings.Lines(l.all()) {
		if !strings.Contains(text, trace) {
			continue
		}
		var line logLine
		mustJSON(t, text, &line)
		found = append(found, line)
	}
	return found
}

// logged is a whole deployment whose log is kept.
func logged(t *testing.T, cfg config.Config) (*deployment, *lines) {
	t.Helper()
	log := &lines{}
	d := &deployment{t: t, cfg: cfg}
	d.run, d.stop = runWith(t, cfg, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	return d, log
}

// Without a collector a send has a trace all the same: it is in the log's header, and in one debug line of each part that
// the send went through.
func TestTheLinesOfASendShareATrace(t *testing.T) {
	traces(t, "")
	d, log := logged(t, testConfig(t))
	alice := d.signIn("alice")
	general := alice.channel("general")
	hand := operator(t, d, general)
	s := alice.open()
	for name, send := range map[string]struct {
		seq  uint64
		want []string
	}{
		"over a socket": {s.say(general, "one"), []string{"gateway send", "ingest ingest", "persist persist"}},
		"over REST":     {alice.post(general, map[string]any{"body": "two"}).Seq, []string{"api request", "ingest ingest", "persist persist"}},
	} {
		t.Run(name, func(t *testing.T) {
			trace, _ := hand.traceOf(send.seq)
			var got []string
			awaits(t, "a line of each part", func() bool {
				got = nil
				for _, line := range log.with(t, trace) {
					got = append(got, line.Component+" "+line.Message)
					if line.Message != "request" && line.Seq != send.seq {
						t.Errorf("of %d: %+v", send.seq, line)
					}
				}
				slices.Sort(got)
				return len(got) >= len(send.want)
			})
			if !slices.Equal(got, send.want) {
				t.Errorf("the lines are %q, want %q", got, send.want)
			}
		})
	}
}

// runWith runs everything with a log, until the test ends.
func runWith(t *testing.T, cfg config.Config, log *slog.Logger) (app.Running, func()) {
	t.Helper()
	l := launchWith(t, cfg, log, app.AllRoles...)
	select {
	case r := <-l.ready:
		return r, l.stop
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	return app.Running{}, nil
}

// What people write and what lets them in is in no line of the log, at no level.
func TestTheLogKeepsSecrets(t *testing.T) {
	traces(t, "")
	cfg := testConfig(t)
	cfg.Empty = true
	d, log := logged(t, cfg)
	ada, first := d.found("ada")
	bob, second := ada.invite("bob", "member")
	general := ada.channel("general")
	secrets := map[string]string{
		"a token": ada.token, "another token": bob.token, "a refresh token": first.RefreshToken, "another refresh token": second.RefreshToken,
		"a password": "correct horse", "another password": "battery staple", "the setup code": d.run.Setup.Code, "a new password": "another staple",
		"a text over a socket": "the eagle has landed", "a text over REST": "the owl is awake", "an edit": "the hawk is asleep", "a status": "at the dentist",
		"a wrong password": "wrong zebra", "a text that is too large": "giraffe", "a text without a place": "the heron is lost", "garbage": "the badger",
	}
	a, b := ada.open(), bob.open()
	const times = 100
	for range times {
		a.post(general, secrets["a text over a socket"])
	}
	for range times {
		a.want("message.ack")
	}
	m := bob.post(general, map[string]any{"body": secrets["a text over REST"]})
	bob.store(http.StatusOK, "PATCH", pathOf(general, m.Seq), map[string]any{"body": secrets["an edit"]})
	b.send(map[string]any{"type": "presence.set", "status": "away", "text": secrets["a status"]})
	a.sees(bob.id, "away", secrets["a status"])
	a.refused(map[string]any{"type": "message.send", "channel_id": "nowhere", "body": secrets["a text without a place"], "client_msg_id": newMsgID()})
	a.refused(map[string]any{"type": "message.send", "channel_id": general, "body": strings.Repeat(secrets["a text that is too large"], 4000), "client_msg_id": newMsgID()})
	if err := a.c.Write([]byte(`{"type": "message.send", "body": "the badger`)); err != nil {
		t.Fatal(err)
	}
	hand := operator(t, d, general)
	hand.store(hand.subject(hand.shard, hand.ws, general), `{"kind": "the badger"`)
	d.nobody().refused(http.StatusUnauthorized, "POST", "/login", map[string]any{"login": "bob", "password": secrets["a wrong password"]})
	var ticket struct{ Ticket string }
	bob.must(http.StatusCreated, "POST", "/socket/ticket", nil, &ticket)
	secrets["a ticket"] = ticket.Ticket
	if c, err := (&user{d: d}).dial("&ticket=" + ticket.Ticket); err != nil {
		t.Error(err)
	} else {
		_ = c.Close() // enough was seen
	}
	if _, err := (&user{d: d, token: bob.token + "x"}).dial(""); err == nil {
		t.Error("a wrong token opens a socket")
	}
	var in session
	d.nobody().must(http.StatusOK, "POST", "/token/refresh", map[string]any{"refresh_token": second.RefreshToken}, &in)
	secrets["a new token"], secrets["a new refresh token"] = in.Token, in.RefreshToken
	var invite struct{ Code string }
	ada.must(http.StatusCreated, "POST", ada.workspace("/invites"), map[string]any{"email": "carl@example.com"}, &invite)
	secrets["an invite"] = invite.Code
	d.nobody().call("GET", "/invites/"+invite.Code, nil)
	bob.must(http.StatusNoContent, "PUT", "/me/password", map[string]any{"old": "battery staple", "new": secrets["a new password"]}, nil)
	d.settled()
	a.cut() // nobody waits for those who are gone
	b.cut()
	d.stop()
	for name, secret := range serversSecrets(t, cfg.Data) {
		secrets[name] = secret
	}
	text := log.all()
	for name, secret := range secrets {
		if secret == "" {
			t.Errorf("%s is empty", name)
		} else if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s is in the log: …%.200s", name, text[max(0, at-200):])
		}
	}
	if n := strings.Count(text, `"msg":"send"`); n < times {
		t.Errorf("the log has %d lines of sends: it is not at debug", n)
	}
}

// serversSecrets are the texts of secrets.json that are long enough to be passwords.
func serversSecrets(t *testing.T, data string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for name, value := range all {
		if text, ok := value.(string); ok && len(text) >= 12 {
			found[name+" of secrets.json"] = text
		}
	}
	if len(found) < 3 {
		t.Errorf("secrets.json has %d secrets", len(found))
	}
	return found
}
