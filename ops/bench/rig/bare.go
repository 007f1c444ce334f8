//go:build linux

package rig

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// bareOrder asks the bare loop to begin; bareAnswer says where it listens.
type (
	bareOrder  struct{}
	bareAnswer struct{ Address string }
)

// Bare is a bare loop that runs.
type Bare struct {
	*child
	Address string // host and port
}

// StartBare starts a bare loop in a process of its own.
func StartBare(ctx context.Context) (*Bare, error) {
	c, err := startChild(roleBare)
	if err != nil {
		return nil, err
	}
	var at bareAnswer
	if err := c.ask(ctx, bareOrder{}, &at); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return &Bare{c, at.Address}, nil
}

// bare is what a hub costs at the least: one thread, one epoll, and what comes from one socket goes to all.
type bare struct {
	epoll    int
	listener int
	peers    map[int32]*barePeer
	up       []int    // sockets that were upgraded
	frames   [][]byte // that came in this turn
	buf      []byte
}

type barePeer struct {
	stream
	head []byte // of the request, while it is not upgraded
	up   bool
}

func bareMain(orders *json.Decoder, answers *json.Encoder) error {
	var order bareOrder
	if err := orders.Decode(&order); err != nil {
		return err
	}
	b := &bare{peers: make(map[int32]*barePeer), buf: make([]byte, 64<<10)}
	address, err := b.listen()
	if err != nil {
		return err
	}
	go func() {
		_ = orders.Decode(&order) // the parent has closed it, or died: this process is not needed any more
		os.Exit(0)
	}()
	if err := answers.Encode(bareAnswer{address}); err != nil {
		return err
	}
	runtime.LockOSThread()
	return b.serve()
}

func (b *bare) listen() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return "", err
	}
	// Out of Go's poller, under another descriptor that nothing closes.
	if b.listener, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return "", err
	}
	if b.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return "", err
	}
	address := l.Addr().String()
	return address, errors.Join(unix.SetNonblock(b.listener, true), b.watch(b.listener), file.Close(), l.Close())
}

func (b *bare) watch(fd int) error {
	return unix.EpollCtl(b.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

func (b *bare) serve() error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(b.epoll, events, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b.frames = b.frames[:0]
		for _, e := range events[:n] {
			if err := b.ready(e.Fd); err != nil {
				return err
			}
		}
		if len(b.frames) > 0 {
			if err := b.fan(); err != nil {
				return err
			}
		}
	}
}

func (b *bare) ready(fd int32) error {
	if int(fd) == b.listener {
		return b.accept()
	}
	n, err := unix.Read(int(fd), b.buf)
	if n <= 0 {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return nil
		}
		b.drop(int(fd))
		return nil
	}
	p := b.peers[fd]
	if !p.up {
		return b.upgrade(int(fd), p, b.buf[:n])
	}
	return p.take(b.buf[:n], func(op byte, payload []byte) error {
		if op == opText {
			b.frames = append(b.frames, appendFrame(nil, opText, payload, false))
		}
		return nil
	})
}

func (b *bare) accept() error {
	for {
		fd, _, err := unix.Accept4(b.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		// As net sets it for the server: frames do not wait for each other.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		b.peers[int32(fd)] = &barePeer{}
		if err := b.watch(fd); err != nil {
			return err
		}
	}
}

func (b *bare) upgrade(fd int, p *barePeer, data []byte) error {
	p.head = append(p.head, data...)
	if !bytes.HasSuffix(p.head, []byte("\r\n\r\n")) {
		return nil
	}
	key := headerOf(p.head, "Sec-WebSocket-Key: ")
	sum := sha1.Sum(append(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)) // RFC 6455 §4.2.2
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
	p.up, p.head = true, nil
	b.up = append(b.up, fd)
	_, err := unix.Write(fd, []byte(answer))
	return err
}

func headerOf(head []byte, name string) []byte {
	_, rest, _ := bytes.Cut(head, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return bytes.Clone(value)
}

func (b *bare) drop(fd int) {
	delete(b.peers, int32(fd))
	for i, other := range b.up {
		if other == fd {
			b.up = append(b.up[:i], b.up[i+1:]...)
			break
		}
	}
	_ = unix.Close(fd) // the client has gone
}

// fan writes the frames of this turn to all sockets.
func (b *bare) fan() error {
	total := 0
	for _, f := range b.frames {
		total += len(f)
	}
	for _, fd := range b.up {
		var n int
		var err error
		if len(b.frames) == 1 {
			n, err = unix.Write(fd, b.frames[0])
		} else {
			n, err = unix.Writev(fd, b.frames)
		}
		if err != nil && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
			return err
		}
		if err == nil && n < total {
			return errors.New("a client does not read")
		}
	}
	return nil
}
