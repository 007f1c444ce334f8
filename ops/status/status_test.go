package status_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/status"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/streamstest"
)

var update = flag.Bool("update", false, "write the golden screens anew")

var at = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestRender(t *testing.T) {
	for name, r := range map[string]status.Report{
		"nothing": {At: at},
		"busy": {
			At: at,
			Streams: []status.Stream{
				{Name: "CHAT_0", Messages: 1_234_567, Bytes: 3 << 30, MaxBytes: 8 << 30, First: 1, Last: 1_234_567, LastAt: at.Add(-3 * time.Second), Leader: "hub-2", Replicas: 3, Behind: 1},
				{Name: "PROBE", MaxBytes: -1, Replicas: 1},
			},
			Consumers: []status.Consumer{{Stream: "CHAT_0", Name: "persist", Lag: 12_345, Pending: 12_000, AckPending: 345, Redelivered: 2, Floor: 1_222_222}},
			Processes: []rpc.Process{
				{Role: "api", ID: "a1", Region: "eu", StartedAt: at.Add(-90 * time.Second), Healthy: true},
				{Role: "gateway", ID: "g1", Region: "eu", StartedAt: at.Add(-3 * time.Hour), Sockets: 12_000, MaxSockets: 100_000, Healthy: true},
				{Role: "gateway", ID: "g2", Region: "us", StartedAt: at.Add(-72 * time.Hour), Sockets: 3, Draining: true, Healthy: true},
				{Role: "persist", ID: "p1", Region: "eu", StartedAt: at, Detail: "the message store does not answer"},
			},
			Problems: []string{"stream CHAT_0: 1 of 3 replicas are behind"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := status.Render(&got, r, false); err != nil {
				t.Fatal(err)
			}
			file := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got.String() != string(want) {
				t.Errorf("%v\n%s\nwant\n%s", err, got.String(), want)
			}
		})
	}
}

func TestCollect(t *testing.T) {
	c := streamstest.Start(t)
	conn, err := bus.Dial(bus.DialConfig{URL: c.LeafURL(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(c.Context()); err != nil {
		t.Fatal(err)
	}
	bucket, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, p rpc.Process) {
		t.Helper()
		value, err := json.Marshal(p)
		if err == nil {
			_, err = bucket.Put(c.Context(), key, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("gateway.g1", rpc.Process{Region: "eu", Sockets: 7, Healthy: true})
	put("persist.p1", rpc.Process{Region: "eu", Detail: "the store is away"})
	if _, err := bucket.Put(c.Context(), "x", []byte("{")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HubJS.Publish(c.Context(), "chat.1.w.c", []byte(`{}`)); err != nil {
		t.Fatal(err)
	}

	r, err := status.Collect(c.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(r.Streams))
	for i, s := range r.Streams {
		names[i] = s.Name
	}
	if !slices.Equal(names, streams.Streams()) {
		t.Errorf("streams %v", names)
	}
	var lag uint64
	for _, of := range r.Consumers {
		lag += of.Lag
	}
	if lag != 2 || len(r.Consumers) != 2*streams.Shards+3 { // who persists and who delivers; push, due and deadletter
		t.Errorf("one event is not done yet, and the consumers say %+v", r.Consumers)
	}
	if len(r.Processes) != 2 || r.Processes[0].ID != "g1" || r.Processes[0].Sockets != 7 || r.Processes[1].Role != "persist" {
		t.Errorf("processes %+v", r.Processes)
	}
	want := []string{"no process with the role api", "no process with the role deliver", "persist p1: not ready. the store is away"}
	if !slices.Equal(r.Problems, want) {
		t.Errorf("problems %q, want %q", r.Problems, want)
	}

	c.StopHub()
	if r, err := status.Collect(c.Context(), conn); err == nil || !strings.Contains(err.Error(), "hub") {
		t.Errorf("without a hub: %+v, %v", r, err)
	}
}
