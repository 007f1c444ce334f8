package rpc_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

func TestARoleIsShownToWhoAsksTheServices(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, id := range []string{"g1", "g2"} {
		running.Go(func() {
			role := rpc.Role{Service: streams.ServiceGateway, ID: id, Region: "eu1"}
			if err := rpc.Register(ctx, c.LeafConn, role, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	inbox := c.LeafConn.NewInbox()
	answers, err := c.LeafConn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for end := time.Now().Add(streamstest.Wait); len(seen) < 2 && time.Now().Before(end); {
		if err := c.LeafConn.PublishRequest("$SRV.INFO.gateway", inbox, nil); err != nil {
			t.Fatal(err)
		}
		m, err := answers.NextMsg(100 * time.Millisecond)
		if err != nil || len(m.Data) == 0 {
			continue // not registered yet
		}
		var info micro.Info
		if err := json.Unmarshal(m.Data, &info); err != nil {
			t.Fatal(err)
		}
		if info.Name != "gateway" || info.Version != streams.RoleVersion || info.Metadata["region"] != "eu1" || len(info.Endpoints) != 0 {
			t.Fatalf("%+v", info)
		}
		seen[info.Metadata["id"]] = true
	}
	if !seen["g1"] || !seen["g2"] {
		t.Errorf("%v answered", seen)
	}
}
