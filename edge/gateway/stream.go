package gateway

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	streamRead  = 4 << 10  // bytes that a stream's reader takes at once
	streamWrite = 64 << 10 // bytes that its writer has in hand at most
)

// stream is a link with two goroutines, for what epoll cannot serve. It behaves like a socket with a send
// buffer of streamWrite bytes: the loop, and with it the session, is the same.
type stream struct {
	nc      net.Conn
	c       *conn         // nil before attach
	out     chan []byte   // to the writer; holds one
	end     chan struct{} // closed by close
	ended   bool
	busy    bool // of the loop: the writer has bytes in hand
	last    atomic.Bool
	free    []byte // the writer's buffer, while the loop has it
	waiting bool   // of the loop: pump is to be called when the writer is free
}

func newStream(nc net.Conn) *stream {
	return &stream{nc: nc, out: make(chan []byte, 1), end: make(chan struct{})}
}

func (s *stream) attach(c *conn) error {
	s.c = c
	if !c.loop.gw.begin(s.readAll) || !c.loop.gw.begin(s.writeAll) {
		return errors.New("the gateway has stopped")
	}
	return nil
}

// readAll brings what the client sends to the loop, one piece at a time: the next is read when the loop has
// taken the one before, so a client cannot fill memory.
func (s *stream) readAll(ctx context.Context) {
	buf := make([]byte, streamRead)
	taken := make(chan struct{}, 1)
	l := s.c.loop
	for {
		n, err := s.nc.Read(buf)
		if n > 0 {
			if !l.post(func() { l.take(s.c, buf[:n]); taken <- struct{}{} }) {
				return
			}
			select {
			case <-taken:
			case <-ctx.Done():
				return // the loop may hold buf: this goroutine does not touch it again
			}
		}
		if err != nil {
			l.post(func() { l.drop(s.c, s.c.reasonOr(reasonClient)) })
			return
		}
	}
}

// take is feed for bytes that came from a stream.
func (l *loop) take(c *conn, data []byte) {
	if !c.gone {
		l.feed(c, data)
	}
}

// writeAll writes what the loop hands over.
func (s *stream) writeAll(ctx context.Context) {
	l := s.c.loop
	for {
		select {
		case buf := <-s.out:
			if err := s.nc.SetWriteDeadline(time.Now().Add(l.gw.cfg.StallTimeout)); err != nil {
				l.post(func() { l.drop(s.c, s.c.reasonOr(reasonClient)) })
				return
			}
			if _, err := s.nc.Write(buf); err != nil {
				l.post(func() { l.drop(s.c, s.c.reasonOr(reasonClient)) })
				return
			}
			l.post(func() { s.written(buf) })
		case <-s.end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// written is the writer's word that it is free.
func (s *stream) written(buf []byte) {
	s.busy, s.free = false, buf[:0]
	if s.last.Load() {
		s.halfClose()
		return
	}
	if s.waiting && !s.c.gone {
		s.c.loop.pump(s.c)
	}
}

func (s *stream) write(bufs [][]byte) (int, error) {
	if s.busy {
		return 0, nil
	}
	buf := s.free[:0]
	for _, b := range bufs {
		buf = append(buf, b[:min(len(b), streamWrite-len(buf))]...)
	}
	s.busy, s.free = true, nil
	s.out <- buf
	return len(buf), nil
}

func (s *stream) watchWrites(on bool) error {
	s.waiting = on
	return nil
}

func (s *stream) shutdownWrites() {
	s.last.Store(true)
	if !s.busy {
		s.halfClose()
	}
}

// halfClose says that nothing follows, where the connection can (TCP and TLS).
func (s *stream) halfClose() {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the client went first
	}
}

func (s *stream) close() {
	if s.ended {
		return
	}
	s.ended = true
	close(s.end)
	_ = s.nc.Close() // ends the reader and the writer; what was not written is in the log
}
