package persist

import (
	"context"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

// What a shard has under way here at once. A large batch is worth much: the store groups it by partition, and the rows
// of one partition travel together. All of it stays well below the consumer's max_ack_pending (5,000), which the
// processes of a deployment share: two of them have room.
const (
	batchEvents = 512
	batchBytes  = 1 << 20
	batches     = 4
)

// Consumers is the durable consumer persist of every CHAT stream.
type Consumers struct {
	conn  *bus.Conn
	ready func(context.Context) error

	mu      sync.Mutex // guards running
	running map[streams.Shard]*consume.Consumer
}

// NewConsumers makes a Source. ready is asked before the first pull, until it returns nil: whether the store
// answers.
func NewConsumers(conn *bus.Conn, ready func(context.Context) error) *Consumers {
	return &Consumers{conn: conn, ready: ready, running: map[streams.Shard]*consume.Consumer{}}
}

// Consume implements Source.
func (c *Consumers) Consume(ctx context.Context, shard streams.Shard, handle consume.Handler) error {
	consumer := consume.New(c.conn, consume.Config{
		Stream: streams.ChatStream(shard), Consumer: streams.ConsumerPersist, Ready: c.ready,
		MaxBatch: batchEvents, MaxBytes: batchBytes, Batches: batches,
	}, handle)
	c.mu.Lock()
	c.running[shard] = consumer
	c.mu.Unlock()
	return consumer.Run(ctx)
}

// Floor implements Source.
func (c *Consumers) Floor(ctx context.Context, shard streams.Shard) (chat.Seq, error) {
	return consume.Floor(ctx, c.conn, streams.ChatStream(shard), streams.ConsumerPersist)
}

// Reached implements Source.
func (c *Consumers) Reached(ctx context.Context, shard streams.Shard) (consume.Reach, error) {
	return consume.Reached(ctx, c.conn, streams.ChatStream(shard), streams.ConsumerPersist)
}

// States says what the consumer of each shard does that was started, for readiness.
func (c *Consumers) States() map[streams.Shard]consume.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make(map[streams.Shard]consume.State, len(c.running))
	for shard, consumer := range c.running {
		states[shard] = consumer.State()
	}
	return states
}
