package ring_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// wire lies between a client and one node, and keeps what the client says.
type wire struct {
	address string

	moves chan struct{} // holds a token while nothing is held up

	mu    sync.Mutex
	said  bytes.Buffer          // guarded by mu
	cut   bool                  // guarded by mu
	conns map[net.Conn]struct{} // guarded by mu
}

// tap listens for a client of the node at address.
func tap(t *testing.T, address string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: listener.Addr().String(), moves: make(chan struct{}, 1), conns: map[net.Conn]struct{}{}}
	w.moves <- struct{}{}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(client, address) })
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		w.set(true)
		running.Wait()
	})
	return w
}

func (w *wire) carry(client net.Conn, address string) {
	defer client.Close()
	node, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer node.Close()
	if !w.admit(client, node) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, node) // it ends when either side does, which is what cut is for
		_ = client.Close()
	})
	_, _ = io.Copy(io.MultiWriter(w, node), client)
	_ = node.Close()
	back.Wait()
}

func (w *wire) admit(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.conns[c] = struct{}{}
	}
	return !w.cut
}

// set cuts all connections and refuses others, or takes them again.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut = cut; cut {
		for c := range w.conns {
			_ = c.Close()
		}
		clear(w.conns)
	}
}

// Write keeps what the client says. It waits while the wire is held up.
func (w *wire) Write(p []byte) (int, error) {
	w.moves <- <-w.moves
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

// hold lets nothing through to the node until goOn is called, and breaks nothing.
func (w *wire) hold() (goOn func()) {
	token := <-w.moves
	return func() { w.moves <- token }
}

// mentions counts a word in what was said since it was asked last.
func (w *wire) mentions(words ...string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := strings.ToUpper(w.said.String())
	w.said.Reset()
	counts := map[string]int{}
	for _, word := range words {
		counts[word] = strings.Count(text, word)
	}
	return counts
}

// answering is a node that answers every question with the same frame, or with none when body is nil.
func answering(t *testing.T, opcode byte, body []byte) (address string) {
	t.Helper()
	return answeringWith(t, nil, opcode, body)
}

// answeringWith is answering with TLS.
func answeringWith(t *testing.T, secured *tls.Config, opcode byte, body []byte) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secured != nil {
		listener = tls.NewListener(listener, secured)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				for answer(conn, opcode, body) == nil {
				}
			})
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return listener.Addr().String()
}

// answer reads one frame of protocol 4 and writes one: version, flags, stream, opcode, length, body.
func answer(conn net.Conn, opcode byte, body []byte) error {
	head := make([]byte, 9)
	if _, err := io.ReadFull(conn, head); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head[5:]))); err != nil {
		return err
	}
	if body == nil {
		return nil
	}
	if head[4] == 0x05 { // OPTIONS: none are SUPPORTED
		opcode, body = 0x06, []byte{0, 0}
	}
	head[0], head[4] = 0x84, opcode
	binary.BigEndian.PutUint32(head[5:], uint32(len(body)))
	_, err := conn.Write(append(head, body...))
	return err
}

// text is a string of the protocol.
func text(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}
