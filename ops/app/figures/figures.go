// Package figures reads what parts count, as ops/obs shows it.
package figures

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/consume"
	"github.com/canopychat/canopy/streams/provision"
)

// Gateway is what a gateway has done, and what it has now.
func Gateway(by *gateway.Gateway) obs.Gateway {
	g := by.Counters()
	return obs.Gateway{
		Sessions: by.Sockets(), Behind: int(g.BehindNow.Load()), Opened: g.Opened.Load(), Closed: g.Closed(), Refused: g.Refused.All(),
		Delivered: g.Delivered.Load(), FellBack: g.Behind.Load(), Pages: g.Pages.Load(), Resyncs: g.Resyncs.Load(), Sends: g.SendsTaken.Load(),
	}
}

// Persisted is what a persister has done.
func Persisted(by *persist.Persister) obs.Persisted {
	c := by.Counts()
	p := obs.Persisted{
		Batches: c.Batches, Events: c.Events, Last: make(map[int]uint64, len(c.Last)),
		Outcomes: map[string]uint64{"parked": c.Parked, "retried": c.Retried, "kept": c.Kept, "held": c.Held},
		Healed:   c.Healed, Healing: map[int]uint64{}, Lost: map[int]uint64{},
	}
	for shard := range streams.Shards { // also those that lack nothing: an alert can tell 0 from no answer
		p.Healing[shard], p.Lost[shard] = c.Healing[shard], c.Lost[shard]
	}
	for shard, seq := range c.Last {
		p.Last[shard] = uint64(seq)
	}
	return p
}

// PersistShards is how far the consumers of a persister are behind the logs.
func PersistShards(ctx context.Context, hub *nats.Conn, of *persist.Consumers) ([]obs.PersistShard, error) {
	js, err := jetstream.NewWithDomain(hub, streams.HubDomain)
	if err != nil {
		return nil, err
	}
	last, err := provision.LastSeqs(ctx, js)
	if err != nil {
		return nil, err
	}
	var all []obs.PersistShard
	for shard, state := range of.States() {
		floor, err := of.Floor(ctx, shard)
		if err != nil {
			return all, err
		}
		have, want := uint64(floor), last[streams.ChatStream(shard)]
		all = append(all, obs.PersistShard{Shard: shard, Lag: max(have, want) - have, Pulling: state.Pulling, Held: heldFor(state)})
	}
	return all, nil
}

// heldFor is how long a consumer has been waiting for an outage to end.
func heldFor(s consume.State) time.Duration {
	if s.Since.IsZero() {
		return 0
	}
	return time.Since(s.Since)
}
