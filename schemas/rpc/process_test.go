package rpc_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/rpc"
)

func TestGoldenBytesOfAProcess(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, p := range map[string]rpc.Process{
		`{"id":"p1","role":"persist","region":"eu1","version":"1.2.3","started_at":"2026-01-02T03:04:05Z","sockets":0,"healthy":false,"detail":"the store does not answer"}`: {
			ID: "p1", Role: "persist", Region: "eu1", Version: "1.2.3", StartedAt: at, Detail: "the store does not answer",
		},
		`{"id":"g1","role":"gateway","region":"eu1","url":"wss://g1.example.org/socket","admin":"10.0.0.1:9090","version":"1.2.3","started_at":"2026-01-02T03:04:05Z","sockets":7,"max_sockets":9,"workspaces_served":3,"draining":true,"healthy":true}`: {
			ID: "g1", Role: "gateway", Region: "eu1", URL: "wss://g1.example.org/socket", Admin: "10.0.0.1:9090", Version: "1.2.3",
			StartedAt: at, Sockets: 7, MaxSockets: 9, Workspaces: 3, Draining: true, Healthy: true,
		},
	} {
		got, err := json.Marshal(p)
		if err != nil || string(got) != text {
			t.Errorf("%s, %v; want %s", got, err, text)
		}
		var back rpc.Process
		if err := json.Unmarshal([]byte(text), &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, back); d != "" {
			t.Error(d)
		}
	}
}

func TestAProcessWithoutALimitIsNeverFull(t *testing.T) {
	for _, tt := range []struct {
		sockets, most int
		full          bool
	}{{0, 0, false}, {1000, 0, false}, {8, 9, false}, {9, 9, true}, {10, 9, true}} {
		if p := (rpc.Process{Sockets: tt.sockets, MaxSockets: tt.most}); p.Full() != tt.full {
			t.Errorf("%d of %d: full is %v", tt.sockets, tt.most, p.Full())
		}
	}
}
