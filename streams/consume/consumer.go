package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Defaults of fields that were left at zero.
const (
	DefaultMaxBatch  = 256
	DefaultMaxBytes  = 1 << 20
	DefaultMaxWait   = 5 * time.Second
	DefaultHoldFirst = 250 * time.Millisecond
	DefaultHoldCap   = 15 * time.Second
	DefaultGrace     = 10 * time.Second

	resumeFirst  = 100 * time.Millisecond // pauses while NATS does not answer
	resumeCap    = 3 * time.Second
	flushTimeout = 2 * time.Second // for the last acknowledgements

	minBytes = 256 << 10       // of MaxBytes: the largest event of a log fits more than once
	maxKept  = 1024            // events that are kept at once; far below max_ack_pending. Any more is retried on the backoff
	keepCap  = 5 * time.Second // between two tries at what is kept
)

// Handler deals with a batch and says an outcome for each event, in the same order.
//
// An error of kind fault.Unavailable means that something the handler needs is down: the same batch comes
// again after a pause, for as long as it takes, and nothing else is pulled. After any other error every
// event of the batch is retried on the consumer's backoff, and the error is why it is parked after the last delivery.
//
// With Config.Batches above 1 it is called for several batches at once, which may end in any order.
//
// ctx outlives that of Run by Config.Grace, so that a batch can be finished.
type Handler func(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error)

// Config is what a Consumer is told. Stream and Consumer must be given.
type Config struct {
	Stream   string
	Consumer string
	MaxBatch int           // events of one batch; 0: DefaultMaxBatch
	MaxBytes int           // of the events of one batch with their headers; 0: DefaultMaxBytes
	Batches  int           // handled at once; 0: one
	MaxWait  time.Duration // of one pull while there is nothing; 0: DefaultMaxWait

	// PassForeign acknowledges what lies on a subject that is none of ours, which is else parked: another consumer of the same
	// stream parks it, so that an operator has one dead letter of it.
	PassForeign bool

	// Ready is asked before the first pull, until it returns nil: a process that restarts again and again
	// while its store is down must not spend a delivery each time. nil: always ready.
	Ready func(context.Context) error

	HoldFirst time.Duration // the pause in an outage doubles from here; 0: DefaultHoldFirst
	HoldCap   time.Duration // up to here; 0: DefaultHoldCap
	Grace     time.Duration // for the handler, after Run's ctx ended; 0: DefaultGrace
}

// State says what a Consumer does, for readiness.
type State struct {
	Pulling  bool      // NATS answers, and the handler does not wait for an outage to end
	LastPull time.Time // when NATS last answered a pull; zero: not yet
	Outage   error     // what the handler waits for; nil: nothing
	Since    time.Time // when that began
	Kept     int       // events that are kept, see bus.Keep
}

// Consumer runs a Handler on a durable pull consumer.
type Consumer struct {
	// immutable after New
	conn   *bus.Conn
	cfg    Config
	handle Handler
	log    *slog.Logger

	changed chan struct{} // one token: another batch may be pulled now, perhaps. Never closed

	mu      sync.Mutex // guards what follows
	state   State
	busy    int // batches that are being handled
	holding int // of these, those that wait for an outage to end
}

// New makes a Consumer. It starts nothing.
func New(conn *bus.Conn, cfg Config, handle Handler) *Consumer {
	orElse := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	orElse(&cfg.MaxWait, DefaultMaxWait)
	orElse(&cfg.HoldFirst, DefaultHoldFirst)
	orElse(&cfg.HoldCap, DefaultHoldCap)
	orElse(&cfg.Grace, DefaultGrace)
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	cfg.MaxBytes, cfg.Batches = max(cfg.MaxBytes, minBytes), max(cfg.Batches, 1)
	log := conn.Logger().With("stream", cfg.Stream, "consumer", cfg.Consumer)
	return &Consumer{conn: conn, cfg: cfg, handle: handle, log: log, changed: make(chan struct{}, 1)}
}

// State is what the Consumer does now.
func (c *Consumer) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Run consumes until ctx ends: then it pulls no more, lets the handler finish its batch, acknowledges and
// returns nil. What it holds in an outage is given back, for others to take at once. The error is about names that
// do not exist. Killing the process instead is safe: what was not acknowledged comes again.
func (c *Consumer) Run(ctx context.Context) error {
	if _, err := streams.ConsumerInfoSubject(c.cfg.Stream, c.cfg.Consumer); err != nil {
		return fmt.Errorf("consume %s of %s: %w", c.cfg.Consumer, c.cfg.Stream, err)
	}
	c.mu.Lock()
	c.holding = 0 // a Run that ended in an outage left its own
	c.mu.Unlock()
	c.awaitReady(ctx)
	var flights sync.WaitGroup // they outlive a session: what they hold can be acknowledged over any connection
	for failures := 0; ctx.Err() == nil; {
		served, err := c.session(ctx, &flights)
		if ctx.Err() != nil {
			break
		}
		if served {
			failures = 0
		}
		c.log.Warn("consuming is interrupted", "err", err)
		if bus.Pause(ctx, bus.Backoff(resumeFirst, resumeCap, failures)) != nil {
			break
		}
		failures++
	}
	flights.Wait()
	c.note(func(s *State) { s.Pulling = false })
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if err := c.conn.NATS().FlushWithContext(flush); err != nil {
		c.log.Warn("the last acknowledgements may be lost; their events come again", "err", err)
	}
	return nil
}

// awaitReady waits until what the handler needs is there.
func (c *Consumer) awaitReady(ctx context.Context) {
	waiting := hold{c: c}
	for attempt := 0; c.cfg.Ready != nil && ctx.Err() == nil; attempt++ {
		err := c.cfg.Ready(ctx)
		if ctx.Err() != nil {
			return
		}
		waiting.set(err)
		if err == nil {
			return
		}
		if bus.Pause(ctx, bus.Backoff(c.cfg.HoldFirst, c.cfg.HoldCap, attempt)) != nil {
			return
		}
	}
}

// session pulls until something fails. It reports whether it got as far as an answered pull.
func (c *Consumer) session(ctx context.Context, flights *sync.WaitGroup) (served bool, err error) {
	defer c.note(func(s *State) { s.Pulling = false })
	info, err := readInfo(ctx, c.conn, c.cfg.Stream, c.cfg.Consumer)
	if err != nil {
		return false, err
	}
	p, err := openPuller(c)
	if err != nil {
		return false, err
	}
	defer p.close()
	for c.begin(ctx) {
		batch, err := p.pull(ctx)
		if len(batch) > 0 {
			flights.Go(func() { c.fly(ctx, batch, info.Config) })
		} else {
			c.end()
		}
		if err != nil {
			return served, err
		}
		served = true
	}
	return served, nil
}

func (c *Consumer) note(f func(*State)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.state)
}

// info is what a consumer says of itself.
type info struct {
	Config   limits `json:"config"`
	AckFloor struct {
		Stream chat.Seq `json:"stream_seq"`
	} `json:"ack_floor"`
	Delivered struct {
		Consumer uint64   `json:"consumer_seq"`
		Stream   chat.Seq `json:"stream_seq"`
	} `json:"delivered"`
	Redelivered int `json:"num_redelivered"`
	Outstanding int `json:"num_ack_pending"`
}

// floor is what everything up to has its outcome. When an event is given up, what the server says of its ack floor moves on only
// with the next ack, which may be long in coming (nats-server consumer.go, hasMaxDeliveries); that nothing is outstanding, it says at once.
func (i info) floor() chat.Seq {
	if i.Outstanding == 0 {
		return max(i.AckFloor.Stream, i.Delivered.Stream)
	}
	return i.AckFloor.Stream
}

func readInfo(ctx context.Context, conn *bus.Conn, stream, consumer string) (info, error) {
	var i info
	subject, err := streams.ConsumerInfoSubject(stream, consumer)
	if err != nil {
		return i, fmt.Errorf("consumer %s of %s: %w", consumer, stream, err)
	}
	err = conn.RequestAPI(ctx, subject, nil, &i)
	return i, err
}

// Floor is the position up to which a consumer is done with everything: handled, parked or given up.
func Floor(ctx context.Context, conn *bus.Conn, stream, consumer string) (chat.Seq, error) {
	i, err := readInfo(ctx, conn, stream, consumer)
	return i.floor(), err
}

// Reach is how far a consumer has come.
type Reach struct {
	Floor      chat.Seq // it is done with everything up to here
	Delivered  chat.Seq // it has never handed out what is after this
	Deliveries uint64   // that it made since it exists; 0: it is new, and Delivered only says where its log begins

	Redelivered int           // events that were delivered more than once and have no outcome yet, with those that were given up and are still in the stream
	Dying       time.Duration // how long an event is among these at least before it is given up; 0: it never is
	MaxDeliver  int           // after so many deliveries it is given up; fewer than 1: never
}

// dying is how long an event that nobody says anything about is waited for after its second delivery, until it is given up.
func (l limits) dying() (d time.Duration) {
	for n := 2; n <= l.MaxDeliver; n++ {
		wait := l.AckWait
		if len(l.Backoff) > 0 {
			wait = l.Backoff[min(n, len(l.Backoff))-1]
		}
		d += wait
	}
	return d
}

// Reached is how far a consumer has come now.
func Reached(ctx context.Context, conn *bus.Conn, stream, consumer string) (Reach, error) {
	i, err := readInfo(ctx, conn, stream, consumer)
	return Reach{
		Floor: i.floor(), Delivered: i.Delivered.Stream, Deliveries: i.Delivered.Consumer,
		Redelivered: i.Redelivered, Dying: i.Config.dying(), MaxDeliver: i.Config.MaxDeliver,
	}, err
}

var (
	errSilent  = errors.New("the consumer does not answer")
	errResumed = errors.New("the connection was made again, and the pull is lost")
)
