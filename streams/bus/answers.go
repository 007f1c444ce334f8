package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Inbox is one subscription for all answers of one kind. The last token of a reply subject is a number
// that is never used twice, so a late answer finds nobody rather than the wrong one.
type Inbox struct {
	conn   *Conn
	prefix string
	sub    *nats.Subscription
	last   atomic.Uint64
}

// OpenInbox subscribes. receive runs on one goroutine, in order, and must not block.
func (c *Conn) OpenInbox(receive func(token uint64, m *nats.Msg)) (*Inbox, error) {
	in := &Inbox{conn: c, prefix: nats.NewInbox() + "."}
	var err error
	in.sub, err = c.nc.Subscribe(in.prefix+"*", func(m *nats.Msg) {
		digits, _ := strings.CutPrefix(m.Subject, in.prefix)
		if token, err := strconv.ParseUint(digits, 36, 64); err == nil {
			receive(token, m)
		}
	})
	return in, err
}

// Token is a number that was not used before.
func (in *Inbox) Token() uint64 { return in.last.Add(1) }

// Reply is the subject whose messages are received with token.
func (in *Inbox) Reply(token uint64) string { return in.prefix + strconv.FormatUint(token, 36) }

// Close ends the subscription.
func (in *Inbox) Close() { in.conn.logError("close inbox", in.conn.unsubscribe(in.sub)) }

// answers hands each message of an answer, which may be of many, to whoever asked.
type answers struct {
	in *Inbox

	mu      sync.Mutex // guards waiting
	waiting map[uint64]chan *nats.Msg
}

func openAnswers(c *Conn) (*answers, error) {
	a := &answers{waiting: map[uint64]chan *nats.Msg{}}
	var err error
	a.in, err = c.OpenInbox(a.receive)
	return a, err
}

// receive drops what has no room: whoever asked has counted how much can come, and notices.
func (a *answers) receive(token uint64, m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.waiting[token] <- m: // a nil channel is never ready
	default:
	}
}

// asked is a question that is being answered.
type asked struct {
	of    *answers
	token uint64
	got   chan *nats.Msg // never closed
}

// ask sends a question whose answer has at most room messages. The caller ends it with stop.
func (c *Conn) ask(subject string, body []byte, room int) (*asked, error) {
	a := c.answers
	q := &asked{of: a, token: a.in.Token(), got: make(chan *nats.Msg, room)}
	a.mu.Lock()
	a.waiting[q.token] = q.got
	a.mu.Unlock()
	if err := c.nc.PublishRequest(subject, a.in.Reply(q.token), body); err != nil {
		q.stop()
		return nil, Unavailable(fmt.Errorf("%s: %w", subject, err))
	}
	return q, nil
}

// next waits for a message of the answer, at most for requestTimeout.
func (q *asked) next(ctx context.Context) (*nats.Msg, error) {
	select { // without a timer for what is there already
	case m := <-q.got:
		return m, nil
	default:
	}
	timer := time.NewTimer(requestTimeout)
	defer timer.Stop()
	select {
	case m := <-q.got:
		return m, nil
	case <-timer.C:
		return nil, Unavailable(nats.ErrTimeout)
	case <-ctx.Done():
		return nil, Unavailable(context.Cause(ctx))
	}
}

func (q *asked) stop() {
	q.of.mu.Lock()
	defer q.of.mu.Unlock()
	delete(q.of.waiting, q.token)
}
