package obs_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// log is a Submitter that takes its time.
type log struct {
	takes  time.Duration
	err    error
	traces []string
}

func (l *log) Submit(_ context.Context, c event.Change) (event.Receipt, error) {
	time.Sleep(l.takes)
	l.traces = append(l.traces, c.TraceParent)
	return event.Receipt{Seq: 7}, l.err
}

// shelf is a store.
type shelf struct {
	err     error
	applied int
	noted   chat.Seq
}

func (s *shelf) Apply(_ context.Context, events []event.Stored) error {
	s.applied += len(events)
	return s.err
}

func (s *shelf) Progress(context.Context, int) (chat.Seq, error) { return s.noted, s.err }

func (s *shelf) NoteProgress(_ context.Context, _ int, seq chat.Seq) error {
	s.noted = seq
	return s.err
}

func TestSubmitterMeasuresWhatWasStored(t *testing.T) {
	clean(t)
	synctest.Test(t, func(t *testing.T) {
		m, to := obs.New(obs.Config{}), &log{takes: 2 * time.Second}
		s := obs.NewSubmitter(to, m, open(t, obs.TracingConfig{}))
		if r, err := s.Submit(t.Context(), event.Change{}); err != nil || r.Seq != 7 {
			t.Errorf("%v, %v", r, err)
		}
		to.takes, to.err = time.Millisecond, fault.New(fault.RateLimited, "no")
		if _, err := s.Submit(t.Context(), event.Change{TraceParent: example}); !fault.Is(err, fault.RateLimited) {
			t.Error(err)
		}
		p := scrape(t, m)
		p.wants(t, 1, "canopy_publish_ack_seconds_count")
		p.wants(t, 2, "canopy_publish_ack_seconds_sum")
		if event.TraceID(to.traces[0]) == "" || to.traces[1] != example {
			t.Errorf("into the log went %q", to.traces)
		}
	})
}

func TestOneTraceFromTheSocketToTheStore(t *testing.T) {
	clean(t)
	r := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	tracing := open(t, obs.TracingConfig{})
	to, kept := &log{}, &shelf{}

	socket, end := tracing.Start(t.Context(), "socket", "")
	if _, err := obs.NewSubmitter(to, obs.New(obs.Config{}), tracing).Submit(t.Context(), event.Change{TraceParent: socket}); err != nil {
		t.Fatal(err)
	}
	end(nil)
	store := tracing.Persisting(kept)
	batch := []event.Stored{{TraceParent: to.traces[0]}, {TraceParent: ""}, {TraceParent: example[:53] + "00"}}
	if err := store.Apply(t.Context(), batch); err != nil || kept.applied != 3 {
		t.Errorf("%d events were applied: %v", kept.applied, err)
	}
	if err := store.NoteProgress(t.Context(), 0, 9); err != nil || kept.noted != 9 {
		t.Errorf("noted was %d: %v", kept.noted, err)
	}
	shutdown(t, tracing)
	if r.exported != 3 { // one of the socket, one of the publish, one of the event whose trace is recorded
		t.Errorf("%d spans were exported", r.exported)
	}
	publish, persist := r.spans["publish"], r.spans["persist"]
	if publish == nil || persist == nil {
		t.Fatalf("the spans are %v", r.spans)
	}
	if hex.EncodeToString(persist.TraceId) != event.TraceID(socket) || !bytes.Equal(publish.ParentSpanId, r.spans["socket"].SpanId) || !bytes.Equal(persist.ParentSpanId, publish.SpanId) {
		t.Errorf("of the trace %s: %v, %v", socket, publish, persist)
	}
}

func TestAStoreThatFailsFailsTheSpan(t *testing.T) {
	clean(t)
	r := startReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.url)
	tracing := open(t, obs.TracingConfig{})
	away := errors.New("the database is away")
	if err := tracing.Persisting(&shelf{err: away}).Apply(t.Context(), []event.Stored{{TraceParent: example}}); !errors.Is(err, away) {
		t.Error(err)
	}
	shutdown(t, tracing)
	if span := r.spans["persist"]; span == nil || span.Status.GetMessage() != "internal" {
		t.Errorf("the span is %v", span)
	}
}

func TestAStoreIsItselfWhenNothingIsRecorded(t *testing.T) {
	clean(t)
	kept := &shelf{}
	if open(t, obs.TracingConfig{}).Persisting(kept) != obs.Store(kept) {
		t.Error("there is something between")
	}
}
