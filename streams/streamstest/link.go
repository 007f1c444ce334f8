package streamstest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A Link is a TCP proxy that a test can break. It stands between the leaf and the hub.
type Link struct {
	listener net.Listener
	wg       sync.WaitGroup // every goroutine of the link

	mu     sync.Mutex // guards what follows
	cond   *sync.Cond // open changed
	target string
	cut    bool // new connections are closed at once
	deaf   bool // bytes are held back in both directions
	closed bool
	conns  map[net.Conn]bool // both ends of every connection
}

// newLink listens on a free port; target may be set later, before it is used.
func newLink(t testing.TB) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{listener: listener, conns: map[net.Conn]bool{}}
	l.cond = sync.NewCond(&l.mu)
	l.wg.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

// Addr is where the link listens.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut closes every connection and refuses new ones, as when a process or cable is gone.
func (l *Link) Cut() { l.become(true, false) }

// HalfOpen keeps connections open and lets no byte through, in either direction, as when a firewall forgets
// them: each side believes in the link until its pings are not answered.
func (l *Link) HalfOpen() { l.become(false, true) }

// Restore lets everything through again; what was held back arrives.
func (l *Link) Restore() { l.become(false, false) }

// to says where new connections lead.
func (l *Link) to(target string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.target = target
}

func (l *Link) become(cut, deaf bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut, l.deaf = cut, deaf
	if cut {
		l.closeAll()
	}
	l.cond.Broadcast()
}

// closeAll needs mu.
func (l *Link) closeAll() {
	for c := range l.conns {
		c.Close() // the error would be that it is closed already
	}
	clear(l.conns)
}

func (l *Link) close() {
	l.mu.Lock()
	l.closed = true
	l.closeAll()
	l.cond.Broadcast()
	l.mu.Unlock()
	l.listener.Close() // the error would be that it is closed already
	l.wg.Wait()
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.wg.Go(func() { l.join(near) })
	}
}

// join copies between a connection and the target until one of them ends.
func (l *Link) join(near net.Conn) {
	defer near.Close()
	l.mu.Lock()
	target := l.target
	l.mu.Unlock()
	far, err := net.Dial("tcp", target)
	if err != nil {
		return // the hub is down: the leaf sees a connection that closes
	}
	defer far.Close()
	l.mu.Lock()
	if l.cut || l.closed {
		l.mu.Unlock()
		return
	}
	l.conns[near], l.conns[far] = true, true
	l.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { l.copy(far, near) })
	both.Go(func() { l.copy(near, far) })
	both.Wait()
	l.mu.Lock()
	delete(l.conns, near)
	delete(l.conns, far)
	l.mu.Unlock()
}

func (l *Link) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil && err != io.EOF {
			return
		}
		l.mu.Lock()
		for l.deaf && !l.closed {
			l.cond.Wait()
		}
		l.mu.Unlock()
		if _, werr := to.Write(buffer[:n]); werr != nil || err != nil {
			return
		}
	}
}
