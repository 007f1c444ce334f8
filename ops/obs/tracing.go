package obs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/canopychat/canopy/schemas/fault"
)

// TracingConfig is what OpenTelemetry's own variables do not say.
type TracingConfig struct {
	Service string       // service.name, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one; default "canopy"
	Version string       // service.version; empty: not said
	Log     *slog.Logger // hears when spans cannot be exported, and when they can again
}

// Tracing makes the spans of a process. Components declare what they need of it, for example
//
//	type Tracer interface {
//		Start(ctx context.Context, name, parent string) (traceparent string, end func(err error))
//	}
//
// Without an OTLP endpoint in the environment it records nothing, and still every chain of work has a trace id.
type Tracing struct {
	// Immutable after OpenTracing; nil when nothing is recorded.
	provider *trace.TracerProvider
	tracer   oteltrace.Tracer
	export   *export
}

// OpenTracing reads OpenTelemetry's variables: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT make
// it record, over OTLP/HTTP; OTEL_SDK_DISABLED=true and OTEL_TRACES_EXPORTER=none make it not. The SDK reads the
// others: headers, timeouts, the sampler, the resource, the limits of the queue (OTEL_BSP_*), which is bounded and
// drops the newest. Whoever opens it calls Shutdown.
func OpenTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if !recording() {
		return &Tracing{}, nil
	}
	if p := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")); p != "" && p != "http/protobuf" {
		cfg.Log.Warn("traces are exported as http/protobuf, and no other way", "asked", p)
	}
	attributes := []attribute.KeyValue{attribute.String("service.name", cmp.Or(cfg.Service, "canopy"))}
	if cfg.Version != "" {
		attributes = append(attributes, attribute.String("service.version", cfg.Version))
	}
	// The later one wins, so the environment does.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(attributes...), resource.WithFromEnv())
	switch {
	case errors.Is(err, resource.ErrPartialResource):
		cfg.Log.Warn("a part of OTEL_RESOURCE_ATTRIBUTES cannot be read", "err", err)
	case err != nil:
		return nil, fmt.Errorf("the resource of traces: %w", err)
	}
	to, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("the OTLP exporter: %w", err)
	}
	t := &Tracing{export: &export{to: to, log: cfg.Log}}
	room := queueRoom()
	held := &queue{SpanProcessor: trace.NewBatchSpanProcessor(t.export, trace.WithMaxQueueSize(room)), room: int64(room), export: t.export}
	t.provider = trace.NewTracerProvider(trace.WithResource(about), trace.WithSpanProcessor(held))
	t.tracer = t.provider.Tracer("github.com/canopychat/canopy/ops/obs")
	return t, nil
}

// recording reports whether the environment asks for traces.
func recording() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// Recording reports whether spans are exported at all.
func (t *Tracing) Recording() bool { return t.tracer != nil }

// Lost is how many spans the collector did not take, or the queue before it had no room for.
func (t *Tracing) Lost() uint64 {
	if t.export == nil {
		return 0
	}
	return t.export.lost.Load()
}

func endNothing(error) {}

// Start begins a span and returns where it stands, to be handed on as the traceparent of what it causes; end, which
// is called once, ends it with the error or nil. parent is the traceparent of what caused it. One that is empty
// or wrong begins a new trace. Of an error only the kind is kept, for its text may quote people.
//
// Where nothing is recorded, a parent is handed on as it is: who records further on then finds a span that exists.
func (t *Tracing) Start(ctx context.Context, name, parent string) (traceparent string, end func(err error)) {
	from, err := ParseTraceParent(parent)
	if t.tracer == nil {
		return unrecorded(parent, err), endNothing
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithNewRoot()}
	if err == nil {
		options = nil
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
			TraceID: from.TraceID, SpanID: from.SpanID, TraceFlags: oteltrace.TraceFlags(from.Flags), Remote: true,
		}))
	}
	_, span := t.tracer.Start(ctx, name, options...)
	at := span.SpanContext()
	if !at.IsValid() { // after Shutdown
		return unrecorded(parent, err), endNothing
	}
	return TraceParent{TraceID: at.TraceID(), SpanID: at.SpanID(), Flags: byte(at.TraceFlags())}.String(), func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, string(fault.KindOf(err)))
		}
		span.End()
	}
}

func unrecorded(parent string, bad error) string {
	if bad == nil {
		return parent
	}
	return newTraceParent().String()
}

// Shutdown exports what is still held, until ctx ends, and ends what OpenTracing started. Start may be called
// afterwards: it records nothing.
func (t *Tracing) Shutdown(ctx context.Context) error {
	if t.provider == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// export says once that spans cannot be exported, and counts them. The SDK would write each failure to
// standard error, past the log.
type export struct {
	to      trace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
	lost    atomic.Uint64
	held    atomic.Int64 // spans that wait, or are being exported
}

// queue is the SDK's queue with a count before it: the SDK itself drops what it has no room for, and tells nobody.
type queue struct {
	trace.SpanProcessor
	room   int64
	export *export
}

// queueRoom is how many spans may wait: OTEL_BSP_MAX_QUEUE_SIZE, or the SDK's default.
func queueRoom() int {
	if n, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")); err == nil && n > 0 {
		return n
	}
	return trace.DefaultMaxQueueSize
}

// OnEnd implements trace.SpanProcessor. It never waits.
func (q *queue) OnEnd(s trace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.export.held.Add(1) > q.room {
		q.export.held.Add(-1)
		q.export.lost.Add(1)
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// ExportSpans implements trace.SpanExporter.
func (e *export) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := e.to.ExportSpans(ctx, spans)
	e.held.Add(-int64(len(spans)))
	if err == nil {
		if e.failing.Swap(false) {
			e.log.Info("traces are exported again")
		}
		return nil
	}
	e.lost.Add(uint64(len(spans)))
	if !e.failing.Swap(true) {
		e.log.Warn("traces cannot be exported", "err", err)
	}
	return nil // it is said
}

// Shutdown implements trace.SpanExporter.
func (e *export) Shutdown(ctx context.Context) error { return e.to.Shutdown(ctx) }
