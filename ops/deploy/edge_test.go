package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/rpc"
)

// connect is a connection as a process of ours makes it.
func connect(t *testing.T, address string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: address, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(timeout(t)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	return ctx
}

// background runs something until the test ends.
func background(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); ended.Wait() })
}

func within[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(wait):
		t.Fatalf("not within %v: %s", wait, what)
		panic("not reached")
	}
}

func bucket(t *testing.T, conn *bus.Conn, domain string, name streams.Bucket) *kv.Bucket {
	t.Helper()
	b, err := kv.Open(kv.Config{Conn: conn, Domain: domain, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// watched are the keys that a watch tells, from Complete on.
func watched(t *testing.T, b *kv.Bucket) <-chan string {
	t.Helper()
	keys, complete := make(chan string, 100), make(chan struct{}, 100)
	background(t, func(ctx context.Context) error {
		return b.Watch(ctx, nil, func(e kv.Entry) {
			switch e.Op {
			case kv.Complete:
				complete <- struct{}{}
			case kv.Put:
				keys <- e.Key
			case kv.Start, kv.Delete:
			}
		})
	})
	within(t, "the watch is complete", complete)
	return keys
}

// testEdge does everything that an edge does, through the leaf, with the packages that it does it with.
func (s *site) testEdge(t *testing.T, eu, us *natsd.Leaf) {
	hub, here, there := connect(t, s.hubs[1].ClientURL()), connect(t, eu.ClientURL()), connect(t, us.ClientURL())
	t.Run("send and see", func(t *testing.T) { testSend(t, here, there) })
	t.Run("probe", func(t *testing.T) {
		if err := here.Probe(timeout(t), "p1"); err != nil {
			t.Error(err)
		}
	})
	t.Run("registry", func(t *testing.T) {
		keys := watched(t, bucket(t, hub, streams.HubDomain, streams.BucketRegistry))
		if _, err := bucket(t, here, streams.HubDomain, streams.BucketRegistry).Put(timeout(t), "gateway.g7", []byte("{}")); err != nil {
			t.Error(err)
		}
		for within(t, "the hub sees gateway.g7", keys) != "gateway.g7" { //nolint:revive // others may be there
		}
		if _, err := bucket(t, here, streams.HubDomain, streams.BucketRegistry).Put(timeout(t), "api.a7", []byte("{}")); err == nil {
			t.Error("a gateway is taken for an api")
		}
	})
	t.Run("revocations", func(t *testing.T) {
		keys := watched(t, bucket(t, here, streams.HubDomain, streams.BucketRevocations))
		if _, err := bucket(t, hub, streams.HubDomain, streams.BucketRevocations).PutTTL(timeout(t), "s7", []byte("{}"), time.Minute); err != nil {
			t.Error(err)
		}
		for within(t, "the edge sees s7", keys) != "s7" { //nolint:revive // others may be there
		}
	})
	t.Run("presence", func(t *testing.T) {
		if _, err := provision.EnsureLeaf(timeout(t), here.NATS(), "eu"); err != nil {
			t.Fatal(err)
		}
		b := bucket(t, here, "eu", streams.BucketPresence)
		keys := watched(t, b)
		if _, err := b.PutTTL(timeout(t), "eu.g7", []byte("{}"), time.Minute); err != nil {
			t.Error(err)
		}
		within(t, "the lease", keys)
		if _, err := b.Get(timeout(t), "eu.g7"); err != nil {
			t.Error(err)
		}
		if all, err := b.List(timeout(t)); err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
		if err := b.Delete(timeout(t), "eu.g7"); err != nil {
			t.Error(err)
		}
	})
	t.Run("between regions", func(t *testing.T) { testRegions(t, here, there) })
	t.Run("services", func(t *testing.T) { testServices(t, hub, here) })
}

// testSend stores an event in one region and sees it in both.
func testSend(t *testing.T, here, there *bus.Conn) {
	place := streams.Place{Shard: 2, WorkspaceID: "w7", ChannelID: "c7"}
	both := make([]chan chat.Seq, 0, 2)
	for _, conn := range []*bus.Conn{here, there} {
		seen := make(chan chat.Seq, 100)
		both = append(both, seen)
		stop, err := conn.SubscribeFan(bus.FanSubscription{
			Shard: place.Shard, WorkspaceID: place.WorkspaceID,
			Deliver: func(r bus.Republished) { seen <- r.Seq }, Broken: func(bus.SignalReason) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
	p := publish.New(here, publish.Config{})
	background(t, p.Run)
	var first bus.Ack
	n := 0
	eventually(t, "an event is seen in both regions", func() error { // interest has a way to go between the hub's servers
		n++
		ack, err := p.PublishSync(timeout(t), bus.Message{Place: place, MsgID: fmt.Sprint("u7.m", n), Payload: []byte(`{"n":1}`)})
		if err != nil {
			return err
		}
		if first.Seq == 0 {
			first = ack
		}
		for _, seen := range both {
			for got := chat.Seq(0); got != ack.Seq; {
				select {
				case got = <-seen:
				case <-time.After(500 * time.Millisecond):
					return fmt.Errorf("event %d was not seen in one of them", ack.Seq)
				}
			}
		}
		return nil
	})
	log := bus.NewLog(here)
	eventually(t, "it is read again", func() error { // any replica answers, and may be a moment behind
		e, err := log.Get(timeout(t), place.Shard, first.Seq)
		if err == nil && e.Place != place {
			err = fmt.Errorf("it is in %+v", e.Place)
		}
		return err
	})
	filter, err := streams.ChatWorkspaceFilter(place.Shard, place.WorkspaceID)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is the head", func() error {
		head, err := log.Head(timeout(t), place.Shard, filter)
		if err == nil && head < first.Seq {
			err = fmt.Errorf("that is %d", head)
		}
		return err
	})
	subject, err := streams.ChatSubject(place.Shard, place.WorkspaceID, place.ChannelID)
	if err != nil {
		t.Fatal(err)
	}
	if last, err := log.LeaderLast(timeout(t), place.Shard, subject); err != nil || last < first.Seq {
		t.Errorf("last of the leader %d, %v", last, err)
	}
}

// testRegions asks from one region and is answered by the other.
func testRegions(t *testing.T, here, there *bus.Conn) {
	answers := eph.New(there)
	stop, err := answers.FollowWorkspace("w7", func(m eph.Message) {
		if m.Reply != "" {
			if err := answers.Publish(m.Reply, []byte("us")); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() }) // the connection may have ended it
	question, err := streams.EphAskSubject("w7", "eu")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other region answers", func() error {
		answered := make(chan string, 10)
		end, err := eph.New(here).Ask(question, func(m eph.Message) { answered <- string(m.Data) })
		if err != nil {
			return err
		}
		defer func() { _ = end() }() // as above
		select {
		case <-answered:
			return nil
		case <-time.After(500 * time.Millisecond):
			return errors.New("no answer")
		}
	})
}

// testServices asks a service at the hub from the edge, and finds the edge from the hub.
func testServices(t *testing.T, hub, here *bus.Conn) {
	log := slog.New(slog.DiscardHandler)
	background(t, func(ctx context.Context) error {
		return rpc.Serve(ctx, hub.NATS(), rpc.Service{
			Name: streams.ServiceDirectory, Version: streams.DirectoryVersion,
			Methods: map[streams.Method]rpc.Handler{streams.DirectoryKeys: rpc.Answer(func(context.Context, schema.KeysRequest) (schema.KeysReply, error) {
				return schema.KeysReply{}, nil
			})},
		}, log)
	})
	background(t, func(ctx context.Context) error {
		return rpc.Register(ctx, here.NATS(), rpc.Role{Service: streams.ServiceGateway, ID: "g7", Region: "eu"}, log)
	})
	eventually(t, "the service answers the edge", func() error {
		asking, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := rpc.Call[schema.KeysReply](asking, here.NATS(), rpc.Method{Service: streams.ServiceDirectory, Method: streams.DirectoryKeys}, schema.KeysRequest{})
		return err
	})
	eventually(t, "the hub finds the gateway", func() error {
		m, err := hub.NATS().Request("$SRV.PING.gateway", nil, time.Second)
		if err != nil {
			return err
		}
		var ping micro.Ping
		return json.Unmarshal(m.Data, &ping)
	})
}
