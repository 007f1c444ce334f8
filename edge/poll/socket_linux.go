package poll

import (
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// maxBuffers is the most buffers that one writev takes (IOV_MAX of Linux).
const maxBuffers = 1024

// socket is a link in epoll.
type socket struct {
	fd int
	p  *Poller // nil before Attach
	h  Handler
}

// Take makes a link of a connection, which is the link's from then on. One that is not plain TCP stays in Go's
// poller and gets goroutines; stall is how long the client may take for what a stream's writer has in hand.
func Take(nc net.Conn, stall time.Duration) Link {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return newStream(nc, stall)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return newStream(nc, stall)
	}
	fd := -1
	dup := func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }
	if control := raw.Control(dup); control != nil || err != nil {
		return newStream(nc, stall)
	}
	_ = nc.Close() // the socket lives on under the other descriptor, out of Go's poller
	return &socket{fd: fd}
}

// Attach implements Link.
func (s *socket) Attach(on Loop, h Handler) error {
	p := on.Poller()
	if err := p.watch(s.fd); err != nil {
		return err
	}
	for s.fd >= len(p.sockets) {
		p.sockets = append(p.sockets, nil)
	}
	s.p, s.h = p, h
	p.sockets[s.fd] = s
	return nil
}

// receive reads once: the others have their turn before what is still there.
func (s *socket) receive(buf []byte) {
	n, err := unix.Read(s.fd, buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR): // the next Wait says so when there is more
	case err != nil:
		s.h.Ended(err)
	case n == 0:
		s.h.Ended(io.EOF)
	default:
		s.h.Take(buf[:n])
	}
}

// Write implements Link.
func (s *socket) Write(bufs [][]byte) (int, error) {
	var n int
	var err error
	if len(bufs) == 1 {
		n, err = unix.Write(s.fd, bufs[0])
	} else {
		n, err = unix.Writev(s.fd, bufs[:min(len(bufs), maxBuffers)])
	}
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil // EINTR: writable at once, so the next Wait says so
	}
	return max(n, 0), err
}

// WatchWrites implements Link.
func (s *socket) WatchWrites(on bool) error { return s.p.watchWrites(s.fd, on) }

// ShutdownWrites implements Link.
func (s *socket) ShutdownWrites() {
	_ = unix.Shutdown(s.fd, unix.SHUT_WR) // ENOTCONN: the client went first
}

// Sent implements Link: the system has it.
func (s *socket) Sent() bool { return true }

// Close implements Link.
func (s *socket) Close() {
	if s.p != nil {
		_ = unix.EpollCtl(s.p.fd, unix.EPOLL_CTL_DEL, s.fd, nil) // closing it next removes it as well
		s.p.sockets[s.fd] = nil
	}
	_ = unix.Close(s.fd) // nothing of ours can be lost by it: whoever closes has given up what was not sent
}
