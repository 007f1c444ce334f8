package faultproxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	chunkBytes = 32 << 10 // of one read
	chunkQueue = 128      // reads that a direction holds at most; then it reads no more
)

// link is a connection through the proxy.
type link struct {
	proxy  *Proxy
	client *net.TCPConn

	once   sync.Once
	done   chan struct{}  // closed by reset
	broken [2]atomic.Bool // by direction: its sender was found broken by a write to it, after which a read says only that it ends

	mu     sync.Mutex
	target *net.TCPConn // guarded by mu; nil before it has answered
}

// chunk is what one read gave, or how a direction ends: then bytes is nil and end says it.
type chunk struct {
	bytes []byte
	came  time.Time
	luck  float64 // 0 to 1: how much of the jitter it gets
	end   error   // io.EOF: the sender has closed its side; another one: the connection broke
}

// run passes bytes until both sides have closed, or one is broken, or ctx ends.
func (l *link) run(ctx context.Context) {
	defer l.reset() // what has ended in order is closed already, and nothing is reset
	stop := context.AfterFunc(ctx, l.reset)
	defer stop()
	for d := range Direction(2) {
		if !l.passable(d) {
			return
		}
	}
	if !l.dial(ctx) {
		return
	}
	var passing sync.WaitGroup
	passing.Go(func() { l.pass(Up, l.client, l.target) })
	passing.Go(func() { l.pass(Down, l.target, l.client) })
	passing.Wait()
	_, _ = l.client.Close(), l.target.Close() // both directions have ended, by a FIN or a reset
}

// dial reaches the target.
func (l *link) dial(ctx context.Context) bool {
	dialer := net.Dialer{Timeout: dialBudget}
	conn, err := dialer.DialContext(ctx, "tcp", l.proxy.target)
	if err != nil {
		l.proxy.failed.Add(1)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = conn.(*net.TCPConn)
	select {
	case <-l.done: // meanwhile it was reset
		reset(conn)
		return false
	default:
		return true
	}
}

// reset breaks both connections. To do it twice is no mistake.
func (l *link) reset() {
	l.once.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.done)
		reset(l.client)
		if l.target != nil {
			reset(l.target)
		}
	})
}

// pass brings the bytes of one direction from a sender to a receiver. It returns when the sender has ended and the
// receiver knows it.
func (l *link) pass(d Direction, from, to *net.TCPConn) {
	queue := make(chan chunk, chunkQueue)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(queue)
		l.read(d, from, queue)
	})
	l.write(d, to, queue)
	for range queue { // who reads must not wait for room
	}
	reading.Wait()
}

// read fills the queue, and ends it with how the sender ended.
func (l *link) read(d Direction, from *net.TCPConn, queue chan<- chunk) {
	buffer := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			l.proxy.held[d].Add(int64(n))
			queue <- chunk{bytes: append([]byte(nil), buffer[:n]...), came: time.Now(), luck: rand.Float64()}
		}
		if err != nil {
			queue <- chunk{came: time.Now(), end: err}
			return
		}
	}
}

// write passes the queue on, each chunk when it is due. Only this goroutine writes to the receiver, so nothing comes
// before what came before it.
func (l *link) write(d Direction, to *net.TCPConn, queue <-chan chunk) {
	for c := range queue {
		if !l.due(d, c) {
			l.drop(d, c, queue)
			return
		}
		switch {
		case errors.Is(c.end, io.EOF) && !l.broken[d].Load():
			_ = to.CloseWrite() // a receiver that is gone needs no word
			return
		case c.end != nil:
			l.reset()
			return
		}
		_, err := to.Write(c.bytes)
		l.proxy.held[d].Add(-int64(len(c.bytes)))
		if err != nil { // the receiver broke: the sender learns of it as soon as the other direction passes
			l.broken[d.other()].Store(true)
			if l.passable(d.other()) {
				l.reset()
			}
			l.drop(d, chunk{}, queue)
			return
		}
		l.proxy.passed[d].Add(int64(len(c.bytes)))
	}
}

// drop takes what nobody will get off the account of what is held.
func (l *link) drop(d Direction, first chunk, rest <-chan chunk) {
	l.proxy.held[d].Add(-int64(len(first.bytes)))
	for c := range rest {
		l.proxy.held[d].Add(-int64(len(c.bytes)))
	}
}

// due waits until a chunk may pass by the fault of its direction as that changes; false: the link was reset.
func (l *link) due(d Direction, c chunk) bool {
	for {
		f, changed := l.proxy.now(d)
		var due <-chan time.Time
		if !f.hold {
			left := time.Until(c.came.Add(f.latency + time.Duration(c.luck*float64(f.jitter))))
			if left <= 0 {
				return true
			}
			timer := time.NewTimer(left)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-due:
			return true
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

// passable waits until a direction is not held; false: the link was reset.
func (l *link) passable(d Direction) bool { return l.due(d, chunk{}) }
