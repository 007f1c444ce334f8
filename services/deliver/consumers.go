package deliver

import (
	"context"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

// What a shard has under way here at once. A batch of a Router lies until its newest event is Grace old. With few events a batch is
// one, and several lie at once, so that none waits for the Grace of another; with many the next ones are old enough when they
// are pulled, and nothing lies. All of it stays below the consumer's max_ack_pending (20,000).
const (
	routerEvents  = 512
	routerBatches = 32

	workerJobs    = 256
	workerBatches = 4
)

// Consumers is the durable consumer of one name, of the streams that have it.
type Consumers struct {
	// immutable
	conn     *bus.Conn
	template consume.Config

	mu      sync.Mutex // guards running
	running map[string]*consume.Consumer
}

// NewRouterSource is the consumer deliver of every CHAT stream. ready is asked before the first pull, until it returns nil.
func NewRouterSource(conn *bus.Conn, ready func(context.Context) error) *Consumers {
	return newConsumers(conn, consume.Config{Consumer: streams.ConsumerDeliver, PassForeign: true, Ready: ready, MaxBatch: routerEvents, Batches: routerBatches})
}

// NewWorkerSource is the consumer push of DELIVERY. ready is asked before the first pull, until it returns nil.
func NewWorkerSource(conn *bus.Conn, ready func(context.Context) error) *Consumers {
	return newConsumers(conn, consume.Config{Consumer: streams.ConsumerPush, Ready: ready, MaxBatch: workerJobs, Batches: workerBatches})
}

func newConsumers(conn *bus.Conn, template consume.Config) *Consumers {
	return &Consumers{conn: conn, template: template, running: map[string]*consume.Consumer{}}
}

// Consume implements Source.
func (c *Consumers) Consume(ctx context.Context, stream string, handle consume.Handler) error {
	cfg := c.template
	cfg.Stream = stream
	consumer := consume.New(c.conn, cfg, handle)
	c.mu.Lock()
	c.running[stream] = consumer
	c.mu.Unlock()
	return consumer.Run(ctx)
}

// Floor is the seq up to which everything of a stream has its outcome.
func (c *Consumers) Floor(ctx context.Context, stream string) (chat.Seq, error) {
	return consume.Floor(ctx, c.conn, stream, c.template.Consumer)
}

// States says what the consumer of each stream does that was started, for readiness.
func (c *Consumers) States() map[string]consume.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make(map[string]consume.State, len(c.running))
	for stream, consumer := range c.running {
		states[stream] = consumer.State()
	}
	return states
}
