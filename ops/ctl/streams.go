package ctl

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
)

// StreamPlan is what would have to change on the hub for its streams to be as the files and the config say.
type StreamPlan struct {
	Changes []provision.Change // none: nothing

	js     jetstream.JetStream
	wanted *provision.Wanted
}

// PlanStreams compares. It changes nothing.
func PlanStreams(ctx context.Context, conn *bus.Conn, o provision.Options) (*StreamPlan, error) {
	wanted, err := provision.Load(streams.Files(), o)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.NewWithDomain(conn.NATS(), streams.HubDomain)
	if err != nil {
		return nil, fmt.Errorf("JetStream of the hub: %w", err)
	}
	changes, err := wanted.Plan(ctx, js)
	if err != nil {
		return nil, fmt.Errorf("look at the hub's streams: %w", err)
	}
	return &StreamPlan{Changes: changes, js: js, wanted: wanted}, nil
}

// Refused is how many of the changes would lose something, or are beyond what the server can do. While there is
// one, Apply changes nothing.
func (p *StreamPlan) Refused() int {
	n := 0
	for _, c := range p.Changes {
		if c.Action == provision.Refuse {
			n++
		}
	}
	return n
}

// Apply makes the changes. The error is a *provision.RefusedError when one of them is refused.
func (p *StreamPlan) Apply(ctx context.Context) error { return p.wanted.Apply(ctx, p.js, p.Changes) }

// StreamOptions are the streams' limits as the config has them.
func StreamOptions(cfg config.Config) provision.Options {
	o := provision.Options{}
	if cfg.Streams.Replicas <= 1 {
		o = provision.Alone()
	}
	if cfg.Streams.Replicas > 0 {
		o.Replicas = cfg.Streams.Replicas
	}
	if cfg.Streams.MaxBytes > 0 {
		o.MaxBytes = cfg.Streams.MaxBytes
	}
	o.MaxAge, o.DuplicateWindow = cfg.Streams.MaxAge, cfg.Streams.DedupWindow
	o.Placement = Placement(cfg)
	return o
}

// Placement is the tag of the servers of each shard that the config places.
func Placement(cfg config.Config) map[streams.Shard]string {
	tags := make(map[streams.Shard]string, len(cfg.Streams.Placement))
	for _, text := range cfg.Streams.Placement {
		if p, err := config.ParsePlacement(text); err == nil { // Load has refused any other
			tags[p.Shard] = p.Tag
		}
	}
	return tags
}
