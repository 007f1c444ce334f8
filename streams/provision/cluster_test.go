package provision_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

const (
	eu, us = "region:eu", "region:us"
	chat0  = "CHAT_0"
)

// ensure tries as a process does at its start, until the streams are as they are wanted.
func ensure(c *streamstest.HubCluster, w *provision.Wanted, js jetstream.JetStream, seen map[string]uint64) error {
	var last error
	for end := time.Now().Add(streamstest.ElectionWait); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		_, last = w.Ensure(ctx, js, seen)
		cancel()
		var refused *provision.RefusedError
		if last == nil || errors.As(last, &refused) || errors.Is(last, provision.ErrEmptied) {
			return last
		}
	}
	return last
}

// together is three processes that start at once on a hub whose own leader changes meanwhile.
func together(t *testing.T, c *streamstest.HubCluster, o provision.Options) {
	t.Helper()
	var starting sync.WaitGroup
	for i := range streamstest.Nodes {
		js, err := jetstream.NewWithDomain(c.Dial(c.NodeURL(i)), streams.HubDomain)
		if err != nil {
			t.Fatal(err)
		}
		w := load(t, streams.Files(), o)
		starting.Go(func() {
			if err := ensure(c, w, js, nil); err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		})
	}
	c.MetaStepDown()
	starting.Wait()
}

func holder(t *testing.T, c *streamstest.HubCluster, stream string) *jetstream.StreamInfo {
	t.Helper()
	for end := time.Now().Add(streamstest.ElectionWait); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s, err := c.HubJS.Stream(c.Context(), stream); err == nil {
			return s.CachedInfo()
		}
	}
	t.Fatalf("%s does not answer", stream)
	return nil
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(streamstest.ElectionWait); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// A cluster from its first start: placed by tag, grown to three replicas, and one member cut off.
func TestStreamsOnACluster(t *testing.T) {
	c := streamstest.StartClusterWith(t, streamstest.Options{Empty: true, Tags: []string{eu, us, us}})
	o := small()
	o.Placement = map[streams.Shard]string{0: eu, 1: us}
	together(t, c, o)
	if changes := planOn(t, c, o); len(changes) != 0 {
		t.Errorf("the plan after it:\n%s", render(t, changes))
	}
	if at := c.Leader(chat0); at != 0 {
		t.Errorf("a shard of eu lies on member %d", at)
	}
	if at := c.Leader("CHAT_1"); at == 0 {
		t.Errorf("a shard of us lies on member %d", at)
	}
	for i := range 50 {
		m := nats.NewMsg("chat.0.w1.c1")
		m.Data = fmt.Append(nil, i)
		if _, err := c.HubJS.PublishMsg(c.Context(), m, jetstream.WithRetryAttempts(20)); err != nil {
			t.Fatal(err)
		}
	}

	o.Replicas, o.Placement = 3, map[streams.Shard]string{0: us} // there are two of us only
	refused(t, c, o)
	o.Placement = nil
	move(t, c, o)
	for _, stream := range streams.Streams() {
		c.WaitCurrent(stream)
	}
	for _, stream := range streams.Streams() {
		consumers, err := streams.Consumers(stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range consumers {
			eventually(t, "the consumer "+name+" of "+stream+" has three replicas", func() bool {
				consumer, err := c.HubJS.Consumer(c.Context(), stream, name)
				if err != nil || consumer.CachedInfo().Cluster == nil {
					return false
				}
				replicas := consumer.CachedInfo().Cluster.Replicas
				return len(replicas) == 2 && replicas[0].Current && replicas[1].Current
			})
		}
	}
	if s := holder(t, c, chat0).State; s.Msgs != 50 || s.LastSeq != 50 {
		t.Errorf("with three replicas it holds %+v", s)
	}
	cutOff(t, c, o)
}

// cutOff checks that a hub with a member that lags is not taken for an emptied one.
func cutOff(t *testing.T, c *streamstest.HubCluster, o provision.Options) {
	t.Helper()
	lags := c.Follower(chat0)
	c.Isolate(lags)
	for i := range 10 {
		if _, err := c.LeafJS.Publish(c.Context(), "chat.0.w1.c1", fmt.Append(nil, "more ", i), jetstream.WithRetryAttempts(60)); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := provision.LastSeqs(c.Context(), c.LeafJS)
	if err != nil || seen[chat0] != 60 {
		t.Fatalf("%v, %v", seen, err)
	}
	w := load(t, streams.Files(), o)
	if err := ensure(c, w, c.LeafJS, seen); err != nil {
		t.Errorf("one member lags: %v", err)
	}
	js, err := jetstream.NewWithDomain(c.Dial(c.NodeURL(lags)), streams.HubDomain)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := w.Ensure(ctx, js, seen); err == nil || errors.Is(err, provision.ErrEmptied) {
		t.Errorf("asked through the member that lags: %v", err)
	}
	c.Rejoin(lags)
	c.WaitCurrent(chat0)
	seen[chat0]++ // and one that was really emptied is
	if err := provision.CheckNotEmptied(c.Context(), c.LeafJS, seen); !errors.Is(err, provision.ErrEmptied) {
		t.Errorf("behind what was seen: %v", err)
	}
}

func planOn(t *testing.T, c *streamstest.HubCluster, o provision.Options) []provision.Change {
	t.Helper()
	changes, err := load(t, streams.Files(), o).Plan(c.Context(), c.HubJS)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func move(t *testing.T, c *streamstest.HubCluster, o provision.Options) {
	t.Helper()
	if err := ensure(c, load(t, streams.Files(), o), c.HubJS, nil); err != nil {
		t.Fatal(err)
	}
}

// refused checks that what the servers cannot do is an error, and changes nothing.
func refused(t *testing.T, c *streamstest.HubCluster, o provision.Options) {
	t.Helper()
	_, err := load(t, streams.Files(), o).Ensure(c.Context(), c.HubJS, nil)
	if err == nil {
		t.Error("three replicas on two servers")
	}
	if i := holder(t, c, chat0); i.Config.Replicas != 1 {
		t.Errorf("after %v: %d replicas", err, i.Config.Replicas)
	}
}
