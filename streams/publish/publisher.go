package publish

import (
	"container/heap"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams/bus"
)

// Limits of a Publisher.
const (
	// DefaultBudget is longer than an election, which takes 4 to 9 s (nats.md §8), and a second try for the one that elects
	// nobody, and shorter than a person waits. It must stay far below half of the log's dedup window: what is sent
	// again after the window is looked up first, and the look-up counts on that (services/ingest).
	DefaultBudget   = 15 * time.Second
	DefaultAttempt  = 3 * time.Second
	MaxInFlight     = 16_384   // events that wait for their outcome
	MaxInFlightSize = 64 << 20 // bytes of their payloads

	retryFirst   = 50 * time.Millisecond // the pause before a repetition doubles up to retryCap
	retryCap     = time.Second
	resendWithin = 200 * time.Millisecond // after a reconnect
)

var (
	errEnded    = errors.New("the publisher has ended")
	errCrowded  = errors.New("too many events wait for their outcome")
	errNoAnswer = errors.New("no answer")
)

// Config is what a Publisher is told. The zero value is right.
type Config struct {
	Budget      time.Duration // from Publish to its outcome; 0: DefaultBudget
	Attempt     time.Duration // until an attempt without an answer is repeated; 0: DefaultAttempt
	MaxInFlight int           // 0: MaxInFlight
}

// Publisher stores events in the logs, thousands at once. It repeats an attempt that failed or was not
// answered under the same Nats-Msg-Id, so that the log keeps one of them, until the budget is used up.
//
// Two events that are in flight together may be stored in either order. Killing the process is safe:
// whoever did not get an Ack sends again.
type Publisher struct {
	// immutable after New
	conn  *bus.Conn
	cfg   Config
	log   *slog.Logger
	queue chan *flight  // to the writer; every flight is in it at most once. Never closed
	wake  chan struct{} // one token: something is due earlier than the sweep believes. Never closed
	inbox *bus.Inbox    // set by Run, before anything is sent

	strange atomic.Uint64 // answers that were not the hub's

	mu      sync.Mutex // guards what follows, and all flights
	ended   bool
	flights map[uint64]*flight
	due     dueHeap
	size    int    // bytes of payloads in flights
	token   uint64 // of the last one
}

// New makes a Publisher. Nothing is sent until Run runs.
func New(conn *bus.Conn, cfg Config) *Publisher {
	if cfg.Budget <= 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Attempt <= 0 {
		cfg.Attempt = DefaultAttempt
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = MaxInFlight
	}
	return &Publisher{
		conn: conn, cfg: cfg, log: conn.Logger(),
		queue: make(chan *flight, cfg.MaxInFlight), wake: make(chan struct{}, 1),
		flights: map[uint64]*flight{},
	}
}

// Publish hands m over and returns; it waits for nothing. done is called exactly once with the outcome:
// on a goroutine of the Publisher, which it must not block, or before Publish returns if m is refused.
//
// The error is Invalid (a place that does not exist), TooLarge, Internal (the stream refuses it), or
// Unavailable: with bus.ErrUnknown in it the outcome is unknown, without it m is not in the log.
func (p *Publisher) Publish(m bus.Message, done func(bus.Ack, error)) {
	f, err := newFlight(m, done)
	if err == nil {
		err = p.accept(f)
	}
	if err != nil {
		done(bus.Ack{}, err)
	}
}

// PublishSync is Publish that waits. When ctx ends first the outcome is unknown.
func (p *Publisher) PublishSync(ctx context.Context, m bus.Message) (bus.Ack, error) {
	type outcome struct {
		ack bus.Ack
		err error
	}
	got := make(chan outcome, 1)
	p.Publish(m, func(ack bus.Ack, err error) { got <- outcome{ack, err} })
	select {
	case o := <-got:
		return o.ack, o.err
	case <-ctx.Done():
		return bus.Ack{}, bus.Unavailable(errors.Join(bus.ErrUnknown, context.Cause(ctx)))
	}
}

// InFlight is how many events wait for their outcome.
func (p *Publisher) InFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.flights)
}

// Run sends until ctx ends. Then every event that waits has its outcome: Unavailable. It runs once.
func (p *Publisher) Run(ctx context.Context) error {
	in, err := p.conn.OpenInbox(p.answered)
	if err != nil {
		p.end()
		return bus.Unavailable(err)
	}
	defer in.Close()
	p.inbox = in
	defer p.conn.OnReconnect(p.resend)()
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() { p.write(writing) })
	p.sweep(ctx)
	p.end()
	stop()
	writer.Wait()
	return nil
}

// end completes what is left and refuses what comes.
func (p *Publisher) end() {
	p.mu.Lock()
	p.ended = true
	var left []*flight
	for _, f := range p.flights {
		left = append(left, f)
	}
	for _, f := range left {
		p.removeLocked(f)
	}
	p.mu.Unlock()
	for _, f := range left {
		f.done(bus.Ack{}, f.failure(errEnded))
	}
}

func (p *Publisher) accept(f *flight) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.ended:
		return bus.Unavailable(errEnded)
	case len(p.flights) >= p.cfg.MaxInFlight, p.size+len(f.msg.Data) > MaxInFlightSize, len(p.queue) == cap(p.queue):
		return bus.Unavailable(errCrowded)
	}
	p.token++
	f.token = p.token
	f.deadline = time.Now().Add(p.cfg.Budget)
	p.flights[f.token] = f
	p.size += len(f.msg.Data)
	heap.Push(&p.due, f)
	p.enqueueLocked(f)
	return nil
}

// enqueueLocked puts f before the writer. When the writer is stuck behind a connection that takes no
// bytes, the queue may still hold flights that have ended since; f then waits for another turn.
func (p *Publisher) enqueueLocked(f *flight) {
	select {
	case p.queue <- f:
		p.setLocked(f, queued, f.deadline)
	default:
		p.setLocked(f, resting, time.Now().Add(retryFirst))
	}
}

// setLocked says what f does next and when the sweep looks at it at the latest.
func (p *Publisher) setLocked(f *flight, s stage, at time.Time) {
	if at.After(f.deadline) {
		at = f.deadline
	}
	f.stage, f.at = s, at
	heap.Fix(&p.due, f.index)
	if f.index == 0 {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// removeLocked ends f. Whoever removes it calls its done, so that is called once.
func (p *Publisher) removeLocked(f *flight) {
	heap.Remove(&p.due, f.index)
	delete(p.flights, f.token)
	p.size -= len(f.msg.Data)
	f.stage = finished
}

// write is the only one that writes events to the connection: a connection that takes no bytes stops
// this goroutine, and no caller of Publish.
func (p *Publisher) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-p.queue:
			p.attempt(f)
		}
	}
}

func (p *Publisher) attempt(f *flight) {
	p.mu.Lock()
	if f.stage != queued {
		p.mu.Unlock()
		return
	}
	f.attempts++
	f.open++
	f.msg.Reply = p.inbox.Reply(f.token)
	p.setLocked(f, sent, time.Now().Add(p.cfg.Attempt))
	p.mu.Unlock()
	if err := p.conn.NATS().PublishMsg(f.msg); err != nil {
		p.settle(f, judgeWrite(err))
	}
}

// answered is told every PubAck.
func (p *Publisher) answered(token uint64, m *nats.Msg) {
	p.mu.Lock()
	f := p.flights[token]
	p.mu.Unlock()
	if f != nil {
		p.settle(f, judgeAnswer(m, f.stream))
	}
}

// settle does what a verdict on an attempt says. An ack of an earlier attempt completes f too.
func (p *Publisher) settle(f *flight, v verdict) {
	p.mu.Lock()
	if f.stage == finished {
		p.mu.Unlock()
		return
	}
	if v.certain && f.open > 0 {
		f.open--
	}
	if v.err != nil {
		f.last = v.err
	}
	switch v.then {
	case ignore:
		p.mu.Unlock()
		if n := p.strange.Add(1); n&(n-1) == 0 { // the first, and ever more rarely
			p.log.Error("an answer to a publish is not the hub's", "err", v.err, "subject", f.msg.Subject, "so_far", n)
		}
	case again:
		if f.stage == sent {
			p.setLocked(f, resting, time.Now().Add(bus.Backoff(retryFirst, retryCap, f.attempts-1)))
		}
		p.mu.Unlock()
	case stored:
		p.removeLocked(f)
		p.mu.Unlock()
		f.done(v.ack, nil)
	case refused:
		p.removeLocked(f)
		err := v.err
		if f.open > 0 && !v.always { // an earlier attempt may still be stored
			err = f.failure(v.err)
		}
		p.mu.Unlock()
		f.done(bus.Ack{}, err)
	}
}

// sweep repeats what was not answered or has rested, and ends what is over its budget.
func (p *Publisher) sweep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		over, next := p.sweepOnce(time.Now())
		for _, f := range over {
			f.done(bus.Ack{}, f.failure(f.last))
		}
		timer.Reset(next)
	}
}

// sweepOnce returns the flights whose budget is used up, and when to look again.
func (p *Publisher) sweepOnce(now time.Time) (over []*flight, next time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.due) > 0 {
		f := p.due[0]
		switch {
		case f.at.After(now):
			return over, f.at.Sub(now)
		case !f.deadline.After(now):
			p.removeLocked(f)
			over = append(over, f)
		default:
			p.enqueueLocked(f)
		}
	}
	return over, time.Hour // a new flight wakes the sweep
}

// resend repeats what was sent before a reconnect: its answer may have been lost with the connection.
func (p *Publisher) resend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, f := range p.flights {
		if f.stage == sent {
			p.setLocked(f, resting, now.Add(bus.Backoff(resendWithin, resendWithin, 0)))
		}
	}
}
