package postgres_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// network is what lies between a Directory and its server: it can swallow everything, or be cut.
type network struct {
	listener net.Listener
	to       string
	wg       sync.WaitGroup

	mu       sync.Mutex
	swallows bool               // guarded by mu: nothing passes
	passes   chan struct{}      // guarded by mu; closed while something passes
	conns    map[net.Conn]bool  // guarded by mu
	ctx      context.Context    // of the whole
	close    context.CancelFunc // ends it
}

// throughNetwork starts a network and returns a DSN that leads through it.
func throughNetwork(t *testing.T, dsn string) (*network, string) {
	t.Helper()
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: l, to: at.Host, passes: make(chan struct{}), conns: map[net.Conn]bool{}}
	n.ctx, n.close = context.WithCancel(context.Background())
	close(n.passes)
	n.wg.Go(n.serve)
	t.Cleanup(func() {
		n.close()
		_ = l.Close() // nobody else closes it
		n.cut()
		n.wg.Wait()
	})
	at.Host = l.Addr().String()
	return n, at.String()
}

func (n *network) serve() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.keep(c)
		n.wg.Go(func() {
			defer c.Close()
			if !n.waitOpen() {
				return
			}
			s, err := net.Dial("tcp", n.to)
			if err != nil {
				return
			}
			n.keep(s)
			defer s.Close()
			n.wg.Go(func() { n.pipe(s, c) })
			n.pipe(c, s)
		})
	}
}

func (n *network) keep(c net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = true
}

// pipe copies until one side ends, and ends the other one then.
func (n *network) pipe(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		if k > 0 {
			if !n.waitOpen() {
				return
			}
			if _, err := to.Write(buf[:k]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (n *network) waitOpen() bool {
	n.mu.Lock()
	passes := n.passes
	n.mu.Unlock()
	select {
	case <-passes:
		return true
	case <-n.ctx.Done():
		return false
	}
}

// swallow stops everything; nobody is told.
func (n *network) swallow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.passes = make(chan struct{})
	n.swallows = true
}

// pass lets everything through again.
func (n *network) pass() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.swallows {
		close(n.passes)
		n.swallows = false
	}
}

// cut ends all connections.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		_ = c.Close() // its reader sees it
		delete(n.conns, c)
	}
}

// eventually waits until check is nil. It fails with what check said last.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}
