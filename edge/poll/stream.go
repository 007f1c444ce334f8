package poll

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	streamRead  = 4 << 10  // bytes that a stream's reader takes at once
	streamWrite = 64 << 10 // bytes that its writer has in hand at most
)

// errStopped says that a stream came when its loop had ended.
var errStopped = errors.New("the loop has ended")

// stream is a link with two goroutines, for what epoll cannot serve. It behaves like a socket with a send
// buffer of streamWrite bytes: the loop is the same.
type stream struct {
	// Immutable after Attach.
	nc    net.Conn
	stall time.Duration // how long the client may take for what the writer has in hand
	loop  Loop
	h     Handler
	out   chan []byte   // to the writer; holds one; nil: nothing follows
	end   chan struct{} // closed by Close

	// Owned by the loop.
	busy    bool   // the writer has bytes in hand, or was told that nothing follows
	last    bool   // nothing follows what the writer has
	waiting bool   // Writable is to be called when the writer is free
	free    []byte // the writer's buffer, while the loop has it
}

func newStream(nc net.Conn, stall time.Duration) *stream {
	return &stream{nc: nc, stall: stall, out: make(chan []byte, 1), end: make(chan struct{})}
}

// Attach implements Link.
func (s *stream) Attach(on Loop, h Handler) error {
	s.loop, s.h = on, h
	if !on.Begin(s.readAll) || !on.Begin(s.writeAll) {
		return errStopped
	}
	return nil
}

// readAll brings what the client sends to the loop, one piece at a time: the next is read when the loop has
// taken the one before, so a client cannot fill memory.
func (s *stream) readAll(ctx context.Context) {
	buf := make([]byte, streamRead)
	taken := make(chan struct{}, 1)
	for {
		n, err := s.nc.Read(buf)
		if n > 0 {
			if !s.loop.Post(func() { s.h.Take(buf[:n]); taken <- struct{}{} }) {
				return
			}
			select {
			case <-taken:
			case <-ctx.Done():
				return // the loop may hold buf: this goroutine does not touch it again
			}
		}
		if err != nil {
			s.loop.Post(func() { s.h.Ended(err) })
			return
		}
	}
}

// writeAll writes what the loop hands over. Whatever can block is done here, and not on the loop: with TLS also
// the word that nothing follows.
func (s *stream) writeAll(ctx context.Context) {
	for {
		select {
		case buf := <-s.out:
			if buf == nil {
				s.halfClose()
				continue
			}
			err := s.nc.SetWriteDeadline(time.Now().Add(s.stall))
			if err == nil {
				_, err = s.nc.Write(buf)
			}
			if err != nil {
				s.loop.Post(func() { s.h.Ended(err) })
				return
			}
			s.loop.Post(func() { s.written(buf) })
		case <-s.end:
			return
		case <-ctx.Done():
			return
		}
	}
}

// halfClose says that nothing follows, where the connection can (TCP and TLS).
func (s *stream) halfClose() {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // the client went first
	}
}

// written is the writer's word that it is free.
func (s *stream) written(buf []byte) {
	s.busy, s.free = false, buf[:0]
	switch {
	case s.last:
		s.finish()
	case s.waiting:
		s.h.Writable()
	}
}

// finish tells the writer, which is free, that nothing follows.
func (s *stream) finish() {
	s.busy = true
	s.out <- nil
}

// Write implements Link.
func (s *stream) Write(bufs [][]byte) (int, error) {
	if s.busy {
		return 0, nil
	}
	buf := s.free[:0]
	for _, b := range bufs {
		buf = append(buf, b[:min(len(b), streamWrite-len(buf))]...)
	}
	if len(buf) == 0 {
		return 0, nil
	}
	s.busy, s.free = true, nil
	s.out <- buf
	return len(buf), nil
}

// WatchWrites implements Link.
func (s *stream) WatchWrites(on bool) error {
	s.waiting = on
	return nil
}

// ShutdownWrites implements Link.
func (s *stream) ShutdownWrites() {
	if s.last {
		return
	}
	s.last = true
	if !s.busy {
		s.finish()
	}
}

// Sent implements Link.
func (s *stream) Sent() bool { return !s.busy }

// Close implements Link. It ends the reader and the writer.
func (s *stream) Close() {
	close(s.end)
	nc := s.nc
	if over, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = over.NetConn() // the Close of TLS says goodbye first, and waits for a full socket to take it
	}
	_ = nc.Close() // nothing of ours can be lost by it: whoever closes has given up what was not sent
}
