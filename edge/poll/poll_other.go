//go:build !linux

package poll

import (
	"net"
	"time"
)

// Take makes a link of a connection: here one with goroutines. stall is how long the client may take for what
// a stream's writer has in hand.
func Take(nc net.Conn, stall time.Duration) Link { return newStream(nc, stall) }

// Poller is what a loop waits with. There is no epoll here: all links are streams, which post what happens.
type Poller struct{ token chan struct{} }

// New makes a Poller.
func New() (*Poller, error) { return &Poller{token: make(chan struct{}, 1)}, nil }

// Wait returns when Wake was called.
func (p *Poller) Wait() error {
	<-p.token
	return nil
}

// Dispatch has nothing to do: there are no sockets.
func (p *Poller) Dispatch() {}

// Wake ends a Wait, the present one or the next, from any goroutine.
func (p *Poller) Wake() {
	select {
	case p.token <- struct{}{}:
	default: // it is awake
	}
}

// Close has nothing to give back.
func (p *Poller) Close() {}
