package renewal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site/renewal"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/streamstest"
)

// town is a hub in which a workspace has a log.
type town struct {
	*streamstest.Cluster
	t    *testing.T
	text strings.Builder // the record
	rec  *record.Recorder
	args string // file: what the command was called with
	*renewal.Renewal
}

func newTown(t *testing.T) *town {
	w := &town{Cluster: streamstest.Start(t), t: t, args: filepath.Join(t.TempDir(), "args")}
	w.rec = record.NewRecorder(&w.text)
	w.rec.Add(record.Line{Run: &record.Run{}})
	canopy := filepath.Join(t.TempDir(), "canopy")
	script := "#!/bin/sh\nif [ -e '" + w.args + "' ]; then echo \"$@\" >>'" + w.args + "'; exit 0; fi\n: >'" + w.args + "'; echo somebody lives; exit 2\n"
	if err := os.WriteFile(canopy, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Renewal = renewal.New(renewal.Config{
		Canopy: canopy, Settings: "canopy.conf",
		Rec:    func() *record.Recorder { return w.rec },
		Spaces: func() []record.Workspace { return []record.Workspace{{ID: "w1"}, {ID: "w2"}} },
		InHub:  func(do func(jetstream.JetStream) error) error { return do(w.HubJS) },
		Say:    t.Logf,
	})
	for range 3 {
		w.says("hello")
	}
	return w
}

func (w *town) says(body string) {
	w.t.Helper()
	subject, err := streams.ChatSubject(1, "w1", "c1")
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := event.Encode(event.Event{
		Kind: event.MessagePosted, Epoch: 1, ChannelID: "c1", SenderID: "ann", Body: body, ClientMsgID: "01890a5d-ac96-774b-bcce-b302099a8057",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.HubJS.Publish(w.Context(), subject, data); err != nil {
		w.t.Fatal(err)
	}
}

// stores takes what waits for a consumer.
func (w *town) stores(name string) {
	w.t.Helper()
	c, err := w.HubJS.Consumer(w.Context(), streams.ChatStream(1), name)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := c.Fetch(3)
	if err != nil {
		w.t.Fatal(err)
	}
	for m := range got.Messages() {
		if err := m.DoubleAck(w.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lost reports whether the logs have no stream.
func (w *town) lost() bool {
	w.t.Helper()
	gone := 0
	for _, name := range streams.ChatStreams() {
		if _, err := w.HubJS.Stream(w.Context(), name); errors.Is(err, jetstream.ErrStreamNotFound) {
			gone++
		} else if err != nil {
			w.t.Fatal(err)
		}
	}
	return gone == streams.Shards
}

// Nothing is lost before the stores have it, and before it is written down; and then the logs begin anew.
func TestWhatIsLostIsStoredAndWrittenDown(t *testing.T) {
	w := newTown(t)
	w.stores(streams.ConsumerPersist)
	began := make(chan error, 1)
	go func() { began <- w.Begin(w.Context()) }()
	w.stores(streams.ConsumerDeliver)
	if err := <-began; err != nil {
		t.Fatal(err)
	}
	if !w.lost() {
		t.Error("the streams are there")
	}
	if err := w.rec.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := record.Read(strings.NewReader(w.text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range r.Events {
		if e.Source != "stream" && e.Source != "hub" || e.Look != 1 || e.Space != "w1" || e.Epoch != 1 || e.Seq != int64(i%3+1) || e.Body != "hello" {
			t.Errorf("it wrote down %+v", e)
		}
	}
	if held := w.Lost(); len(r.Events) < 3 || len(held) != 3 || held[2] != r.Events[2] {
		t.Errorf("%d lines, and %+v", len(r.Events), held)
	}
	for range 2 { // the second finds nothing to renew
		if err := w.End(w.Context()); err != nil {
			t.Fatal(err)
		}
	}
	args, err := os.ReadFile(w.args)
	if err != nil || string(args) != "hub renew --yes --config canopy.conf\n" {
		t.Errorf("after one that failed the command was called with %q, %v", args, err)
	}
}

// While something is not stored the streams stay; then there is nothing to renew.
func TestNothingIsLostThatIsNotStored(t *testing.T) {
	w := newTown(t)
	ctx, cancel := context.WithCancelCause(w.Context())
	began := make(chan error, 1)
	go func() { began <- w.Begin(ctx) }()
	w.stores(streams.ConsumerDeliver)
	cancel(errors.New("enough"))
	if err := <-began; err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("it says %v", err)
	}
	if w.lost() || len(w.Lost()) > 0 {
		t.Error("the streams are lost")
	}
	if err := w.End(w.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.args); err == nil {
		t.Error("the command was called")
	}
}
