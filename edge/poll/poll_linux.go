package poll

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	maxEvents  = 256      // sockets that one Wait takes
	readBuffer = 64 << 10 // bytes that one read takes at most; one buffer a Poller
)

// Poller is what a loop waits with: an epoll. Its descriptor is itself watched by Go's own poller, so that a loop
// with nothing to do is a parked goroutine and not a blocked thread. Wake alone may be called by others.
type Poller struct {
	file *os.File
	raw  interface {
		Read(func(fd uintptr) bool) error
	}
	fd      int
	waker   int // an eventfd
	woken   atomic.Bool
	events  [maxEvents]unix.EpollEvent
	waiting int       // events that Wait took, and Dispatch has not told of
	sockets []*socket // by descriptor; nil where it is not ours
	buf     []byte
}

// New makes a Poller.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd) // the error that matters is the eventfd's
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{fd: fd, waker: waker, buf: make([]byte, readBuffer)}
	if err = p.watch(waker); err == nil {
		err = unix.SetNonblock(fd, true) // or os.NewFile would not hand it to Go's poller
	}
	if err == nil {
		p.file = os.NewFile(uintptr(fd), "epoll")
		p.raw, err = p.file.SyscallConn()
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Wait returns when something happened to a socket, or when Wake was called.
func (p *Poller) Wait() error {
	var failed error
	err := p.raw.Read(func(fd uintptr) bool {
		p.waiting, failed = unix.EpollWait(int(fd), p.events[:], 0)
		if errors.Is(failed, unix.EINTR) {
			p.waiting, failed = 0, nil
		}
		return p.waiting > 0 || failed != nil
	})
	if err := errors.Join(err, failed); err != nil {
		p.waiting = 0
		return fmt.Errorf("epoll_wait: %w", err)
	}
	return nil
}

// Dispatch tells the handlers what Wait found.
//
// A socket that a handler closes is told nothing more. None is attached meanwhile, so a descriptor that was
// closed and given out again by the system in this turn is nobody's here.
func (p *Poller) Dispatch() {
	for _, e := range p.events[:p.waiting] {
		if int(e.Fd) == p.waker {
			p.rested()
			continue
		}
		s := p.at(int(e.Fd))
		if s != nil && e.Events&unix.EPOLLOUT != 0 {
			s.h.Writable()
		}
		// EPOLLERR and EPOLLHUP: reading says what it is.
		if s != nil && e.Events&^unix.EPOLLOUT != 0 && p.at(int(e.Fd)) == s {
			s.receive(p.buf)
		}
	}
	p.waiting = 0
}

func (p *Poller) at(fd int) *socket {
	if fd >= len(p.sockets) {
		return nil
	}
	return p.sockets[fd]
}

// rested takes the waker's token. What was asked for before woken is cleared is seen in this turn.
func (p *Poller) rested() {
	var token [8]byte
	_, _ = unix.Read(p.waker, token[:]) // EAGAIN: the token was taken before
	p.woken.Store(false)
}

// Wake ends a Wait, the present one or the next, from any goroutine. It must not be called after Close.
func (p *Poller) Wake() {
	if p.woken.Swap(true) {
		return
	}
	one := [8]byte{1}                  // little-endian or not: any number wakes
	_, _ = unix.Write(p.waker, one[:]) // EAGAIN: the counter is full, so it is awake
}

func (p *Poller) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e)
}

func (p *Poller) watchWrites(fd int, on bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
	if on {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &e)
}

// Close gives back what New opened. Sockets are their links' to close.
func (p *Poller) Close() {
	if p.file != nil {
		_ = p.file.Close() // nothing was written to it
	} else {
		_ = unix.Close(p.fd) // as above
	}
	_ = unix.Close(p.waker) // as above
}
