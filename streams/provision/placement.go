package provision

import (
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
)

// place says which servers may hold a CHAT stream: those that have its shard's tag, of which there must be as many as the stream
// has replicas. A shard without a tag lies where the file says, which is anywhere. Another tag moves a stream that
// exists, replica by replica, while it goes on.
func (o Options) place(c *jetstream.StreamConfig) {
	shard, err := streams.ParseChatStream(c.Name)
	if err != nil {
		return
	}
	if tag := o.Placement[shard]; tag != "" {
		c.Placement = &jetstream.Placement{Tags: []string{tag}}
	}
}
