//go:build !linux

package gateway

import "net"

// newLink gives a connection its goroutines: there is no epoll here.
func newLink(nc net.Conn) link { return newStream(nc) }

func newPoller() (poller, error) { return &parked{token: make(chan struct{}, 1)}, nil }

// parked is a poller without sockets: all of a loop's links are streams, which post what happens.
type parked struct{ token chan struct{} }

func (p *parked) wait(func(fd int, readable, writable bool)) error {
	<-p.token
	return nil
}

func (p *parked) wake() {
	select {
	case p.token <- struct{}{}:
	default: // it is awake
	}
}

func (p *parked) add(int) error               { return nil }
func (p *parked) watchWrites(int, bool) error { return nil }
func (p *parked) remove(int)                  {}
func (p *parked) close()                      {}
