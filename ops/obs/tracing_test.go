package obs_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collect "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// Tracer is what a component declares.
type Tracer interface {
	Start(ctx context.Context, name, parent string) (traceparent string, end func(err error))
}

var _ Tracer = (*obs.Tracing)(nil)

// receiver takes OTLP over HTTP, as a collector does.
type receiver struct {
	url string

	mu       sync.Mutex
	answer   int
	exported int
	spans    map[string]*tracepb.Span // by name, the last one
	resource map[string]string
}

func startReceiver(t *testing.T) *receiver {
	r := &receiver{answer: http.StatusOK, spans: map[string]*tracepb.Span{}, resource: map[string]string{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, asked *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if asked.URL.Path != "/v1/traces" {
			t.Errorf("the exporter asks for %s", asked.URL.Path)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		w.WriteHeader(r.answer)
		if r.answer == http.StatusOK {
			r.take(t, asked.Body)
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// take decodes an export, under mu.
func (r *receiver) take(t *testing.T, body io.Reader) {
	var export collect.ExportTraceServiceRequest
	raw, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(raw, &export)
	}
	if err != nil {
		t.Errorf("an export cannot be read: %v", err)
		return
	}
	for _, of := range export.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			r.resource[a.Key] = a.Value.GetStringValue()
		}
		for _, scope := range of.ScopeSpans {
			for _, span := range scope.Spans {
				r.spans[span.Name] = span
				r.exported++
			}
		}
	}
}

// clean takes away what the machine's own environment says.
func clean(t *testing.T) {
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, "")
	}
}

func open(t *testing.T, cfg obs.TracingConfig) *obs.Tracing {
	t.Helper()
	tracing, err := obs.OpenTracing(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, tracing) })
	return tracing
}

func shutdown(t *testing.T, tracing *obs.Tracing) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := tracing.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// One trace from the socket through the log's header to the store, as its viewer shows it.
func TestSpansOfAMessage(t *testing.T) {
	clean(t)
	r := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	tracing := open(t, obs.TracingConfig{Service: "canopy-edge", Version: "1.2.3"})
	if !tracing.Recording() {
		t.Fatal("it records nothing")
	}
	ctx := t.Context()
	socket, endSocket := tracing.Start(ctx, "socket message.send", "")
	publish, endPublish := tracing.Start(ctx, "publish", socket)
	endPublish(nil)
	endSocket(nil)
	_, endPersist := tracing.Start(ctx, "persist", publish)
	endPersist(fault.New(fault.Unavailable, "alice wrote: hello"))
	shutdown(t, tracing)

	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.spans) != 3 {
		t.Fatalf("the collector has %d spans, want 3", len(r.spans))
	}
	for name, parent := range map[string]string{"socket message.send": "", "publish": "socket message.send", "persist": "publish"} {
		span := r.spans[name]
		if span == nil {
			t.Fatalf("there is no span %s", name)
		}
		if hex.EncodeToString(span.TraceId) != event.TraceID(socket) {
			t.Errorf("%s is of the trace %x, want %s", name, span.TraceId, event.TraceID(socket))
		}
		var want []byte
		if parent != "" {
			want = r.spans[parent].SpanId
		}
		if !bytes.Equal(span.ParentSpanId, want) {
			t.Errorf("the parent of %s is %x, want %q: %x", name, span.ParentSpanId, parent, want)
		}
	}
	if at, _ := obs.ParseTraceParent(publish); !bytes.Equal(at.SpanID[:], r.spans["publish"].SpanId) || !at.Sampled() {
		t.Errorf("the traceparent %s is not of the span %x", publish, r.spans["publish"].SpanId)
	}
	persist := r.spans["persist"]
	if persist.Status.Code != tracepb.Status_STATUS_CODE_ERROR || persist.Status.Message != "unavailable" || strings.Contains(persist.String(), "hello") {
		t.Errorf("the span that failed says %v, want the kind and not the text", persist)
	}
	if ok := r.spans["publish"].Status; ok.GetCode() == tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("the span that went well says %v", ok)
	}
	for name, want := range map[string]string{"service.name": "canopy-edge", "service.version": "1.2.3", "deployment.environment": "test"} {
		if r.resource[name] != want {
			t.Errorf("%s is %q, want %q", name, r.resource[name], want)
		}
	}
}

func TestTheEnvironmentDecides(t *testing.T) {
	t.Run("the service's name", func(t *testing.T) {
		clean(t)
		r := startReceiver(t)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", r.url+"/v1/traces")
		t.Setenv("OTEL_SERVICE_NAME", "chat")
		tracing := open(t, obs.TracingConfig{Service: "canopy-edge"})
		_, end := tracing.Start(t.Context(), "socket", "")
		end(nil)
		shutdown(t, tracing)
		if r.resource["service.name"] != "chat" {
			t.Errorf("the service is %q", r.resource["service.name"])
		}
	})
	t.Run("the sampler", func(t *testing.T) {
		clean(t)
		r := startReceiver(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
		t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
		tracing := open(t, obs.TracingConfig{})
		own, end := tracing.Start(t.Context(), "ours", "")
		end(nil)
		if at, err := obs.ParseTraceParent(own); err != nil || at.Sampled() {
			t.Errorf("a trace that is not sampled is %s, %v", own, err)
		}
		_, end = tracing.Start(t.Context(), "of who samples", example)
		end(nil)
		shutdown(t, tracing)
		if r.spans["ours"] != nil || r.spans["of who samples"] == nil {
			t.Errorf("the collector has %v", r.spans)
		}
	})
	for _, off := range []struct{ name, value string }{{"OTEL_SDK_DISABLED", "true"}, {"OTEL_TRACES_EXPORTER", "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", ""}} {
		t.Run(off.name+"="+off.value, func(t *testing.T) {
			clean(t)
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(off.name, off.value)
			if tracing := open(t, obs.TracingConfig{}); tracing.Recording() {
				t.Error("it records")
			}
		})
	}
}

func TestWithoutACollectorEveryChainHasATrace(t *testing.T) {
	clean(t)
	tracing := open(t, obs.TracingConfig{})
	first, end := tracing.Start(t.Context(), "socket", "")
	end(errors.New("whatever"))
	at, err := obs.ParseTraceParent(first)
	if err != nil || at.Sampled() {
		t.Errorf("a new trace is %q, %v; want one that is not recorded", first, err)
	}
	second, _ := tracing.Start(t.Context(), "socket", "not a traceparent")
	if _, err := obs.ParseTraceParent(second); err != nil || event.TraceID(first) == event.TraceID(second) {
		t.Errorf("two traces are %s and %s", first, second)
	}
	// Who records further on finds the span that exists.
	if handed, _ := tracing.Start(t.Context(), "publish", example); handed != example {
		t.Errorf("%s was handed on as %s", example, handed)
	}
}

// It is paid for each message, whether anybody looks or not.
func TestATraceThatNobodyRecordsIsCheap(t *testing.T) {
	clean(t)
	tracing, ctx := open(t, obs.TracingConfig{}), t.Context()
	if n := testing.AllocsPerRun(100, func() { _, end := tracing.Start(ctx, "socket", ""); end(nil) }); n > 1 {
		t.Errorf("a new trace costs %v allocations, want one: its text", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, end := tracing.Start(ctx, "publish", example); end(nil) }); n > 0 {
		t.Errorf("handing a trace on costs %v allocations", n)
	}
}

func TestACollectorThatIsAwayIsSaidOnce(t *testing.T) {
	clean(t)
	r := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	var lines lockedBuffer
	tracing := open(t, obs.TracingConfig{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	_, end := tracing.Start(t.Context(), "before", "")
	end(nil)
	await(t, "a span is taken", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return r.spans["before"] != nil })
	r.mu.Lock()
	r.answer = http.StatusBadRequest // the exporter does not try that again
	r.mu.Unlock()
	for range 3 {
		_, end := tracing.Start(t.Context(), "lost", "")
		end(nil)
	}
	await(t, "all three are lost", func() bool { return tracing.Lost() == 3 })
	r.mu.Lock()
	r.answer = http.StatusOK
	r.mu.Unlock()
	_, end = tracing.Start(t.Context(), "taken", "")
	end(nil)
	shutdown(t, tracing)
	if n := strings.Count(lines.String(), "cannot be exported"); n != 1 {
		t.Errorf("the log says %d times that spans are lost: %s", n, lines.String())
	}
	if strings.Count(lines.String(), "exported again") != 1 || r.spans["taken"] == nil || tracing.Lost() != 3 {
		t.Errorf("after the outage: %s, %v, %d lost", lines.String(), r.spans, tracing.Lost())
	}
	late, end := tracing.Start(t.Context(), "late", "")
	end(nil)
	if event.TraceID(late) == "" {
		t.Errorf("after Shutdown a trace is %q", late)
	}
}

// A collector that takes the connection and says nothing holds up nobody: what the queue has no room for is lost, and counted.
func TestACollectorThatSaysNothing(t *testing.T) {
	clean(t)
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	t.Cleanup(server.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
	tracing := open(t, obs.TracingConfig{})
	t.Cleanup(func() { close(ended) }) // before what is still held is exported
	for range 100 {
		_, end := tracing.Start(t.Context(), "socket", "")
		end(nil)
	}
	if lost := tracing.Lost(); lost != 92 {
		t.Errorf("of 100 spans, of which 8 may wait, %d are lost", lost)
	}
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func BenchmarkStart(b *testing.B) {
	b.Setenv("OTEL_SDK_DISABLED", "true")
	tracing, err := obs.OpenTracing(b.Context(), obs.TracingConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, end := tracing.Start(b.Context(), "socket", "")
		end(nil)
	}
}
