package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxEvents is how many sockets one wait takes.
const maxEvents = 256

// epoll is the poller of Linux. Its descriptor is itself watched by Go's own poller, so that a loop with
// nothing to do is a parked goroutine and not a blocked thread.
type epoll struct {
	file *os.File
	raw  interface {
		Read(func(fd uintptr) bool) error
	}
	fd     int
	waker  int // an eventfd
	woken  atomic.Bool
	events [maxEvents]unix.EpollEvent
}

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd) // the error that matters is the eventfd's
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &epoll{fd: fd, waker: waker}
	if err = p.add(waker); err == nil {
		err = unix.SetNonblock(fd, true) // or os.NewFile would not hand it to Go's poller
	}
	if err == nil {
		p.file = os.NewFile(uintptr(fd), "epoll")
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// wait calls ready for what epoll reports. It returns when something happened, or when wake was called.
func (p *epoll) wait(ready func(fd int, readable, writable bool)) error {
	var n int
	var failed error
	err := p.raw.Read(func(fd uintptr) bool {
		n, failed = unix.EpollWait(int(fd), p.events[:], 0)
		if errors.Is(failed, unix.EINTR) {
			n, failed = 0, nil
		}
		return n > 0 || failed != nil
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("epoll_wait: %w", err)
	}
	for _, e := range p.events[:n] {
		if int(e.Fd) == p.waker {
			p.rested()
			continue
		}
		failed := e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 // reading says what it is
		ready(int(e.Fd), failed || e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0, e.Events&unix.EPOLLOUT != 0)
	}
	return nil
}

// rested takes the waker's token. What was asked for before woken is cleared is seen in this turn.
func (p *epoll) rested() {
	var token [8]byte
	_, _ = unix.Read(p.waker, token[:]) // EAGAIN: the token was taken before
	p.woken.Store(false)
}

func (p *epoll) wake() {
	if p.woken.Swap(true) {
		return
	}
	one := [8]byte{1}                  // little-endian or not: any number wakes
	_, _ = unix.Write(p.waker, one[:]) // EAGAIN: the counter is full, so it is awake
}

func (p *epoll) add(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e)
}

func (p *epoll) watchWrites(fd int, on bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if on {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &e)
}

func (p *epoll) remove(fd int) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) // closing it next removes it as well
}

func (p *epoll) close() {
	if p.file != nil {
		_ = p.file.Close() // nothing was written to it
	} else {
		_ = unix.Close(p.fd) // as above
	}
	_ = unix.Close(p.waker) // as above
}

// socket is a link in epoll.
type socket struct {
	fd int
	c  *conn // nil before attach
}

// newLink takes a connection over from Go's poller. One that is not plain TCP stays where it is and gets goroutines.
func newLink(nc net.Conn) link {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return newStream(nc)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return newStream(nc)
	}
	fd := -1
	dup := func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }
	if control := raw.Control(dup); control != nil || err != nil {
		return newStream(nc)
	}
	_ = nc.Close() // the socket lives on under the other descriptor, out of Go's poller
	return &socket{fd: fd}
}

func (s *socket) attach(c *conn) error {
	l := c.loop
	for s.fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	if err := l.poll.add(s.fd); err != nil {
		return err
	}
	s.c = c
	l.byFD[s.fd] = c
	return nil
}

func (s *socket) read(buf []byte) (int, error) {
	n, err := unix.Read(s.fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// maxBuffers is the most buffers that one writev takes (IOV_MAX of Linux).
const maxBuffers = 1024

func (s *socket) write(bufs [][]byte) (int, error) {
	var n int
	var err error
	if len(bufs) == 1 {
		n, err = unix.Write(s.fd, bufs[0])
	} else {
		n, err = unix.Writev(s.fd, bufs[:min(len(bufs), maxBuffers)])
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil // EINTR: writable at once, so the next wait says so
	}
	return max(n, 0), err
}

func (s *socket) watchWrites(on bool) error { return s.c.loop.poll.watchWrites(s.fd, on) }

func (s *socket) shutdownWrites() {
	_ = unix.Shutdown(s.fd, unix.SHUT_WR) // ENOTCONN: the client went first
}

func (s *socket) close() {
	if s.c != nil {
		s.c.loop.poll.remove(s.fd)
		s.c.loop.byFD[s.fd] = nil
	}
	_ = unix.Close(s.fd) // nothing of ours can be lost by it: what was not written is in the log
}
