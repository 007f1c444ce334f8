//go:build linux

package rig

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/canopychat/canopy/schemas/rest"
)

// Call says where one socket goes.
type Call struct {
	Address string // host and port of the server
	Source  string // address that the socket comes from
	Path    string // of the socket
	Token   string // shown in the header Authorization; empty: none
	Narrow  bool   // with buffers so small that the server sees soon when nobody reads
}

// Refused is an answer that is not a socket.
type Refused struct {
	Status     int
	Code       string        // of the problem
	RetryAfter time.Duration // 0: not said
}

// Error is the text for a person.
func (r *Refused) Error() string { return fmt.Sprintf("refused: %d %s", r.Status, r.Code) }

// Closed is a close frame of the server; 0: it has no code.
type Closed struct{ Code int }

// Error is the text for a person.
func (c *Closed) Error() string { return fmt.Sprintf("closed by the server with %d", c.Code) }

// Socket is one client of ours that waits for what it reads. One goroutine reads; any may write and cut.
type Socket struct {
	nc net.Conn
	in *bufio.Reader // owned by who reads

	mu sync.Mutex // for a write: pongs come between others
}

// writeBudget bounds a write: the server takes all that is sent here at once, unless something is wrong.
const writeBudget = 10 * time.Second

// Connect opens a socket. A *Refused says why there is none.
func Connect(ctx context.Context, c Call) (*Socket, error) {
	dialer := net.Dialer{Timeout: openTimeout, LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.Source)}}
	if c.Narrow {
		dialer.Control = narrow
	}
	nc, err := dialer.DialContext(ctx, "tcp4", c.Address)
	if err != nil {
		return nil, err
	}
	s := &Socket{nc: nc, in: bufio.NewReader(nc)}
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	if err := s.upgrade(c); err != nil {
		s.Cut()
		return nil, err
	}
	return s, nil
}

// narrow makes the buffers small. The size of a segment counts too: the kernel gives the other side's send buffer
// room for some segments at least, and on loopback one has 64 KiB.
func narrow(_, _ string, raw syscall.RawConn) error {
	const segment, buffer = 536, 4 << 10
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment))
	})
	return errors.Join(err, failed)
}

func (s *Socket) upgrade(c Call) error {
	if err := s.nc.SetDeadline(time.Now().Add(openTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.nc, upgradeRequest(c.Path, c.Address, c.Token)); err != nil {
		return err
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return refusal(answer)
	}
	return s.nc.SetDeadline(time.Time{})
}

// refusal reads a problem. One that is not of ours has a status all the same.
func refusal(answer *http.Response) error {
	r := &Refused{Status: answer.StatusCode}
	var p rest.Problem
	if err := json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&p); err == nil {
		r.Code, r.RetryAfter = string(p.Code), time.Duration(p.RetryAfter*float64(time.Second))
	}
	return r
}

// Read is the next text. It answers pings. The error is a *Closed, or what ended the connection.
func (s *Socket) Read() ([]byte, error) {
	for {
		op, payload, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText:
			return payload, nil
		case opPing:
			if err := s.write(opPong, payload); err != nil {
				return nil, err
			}
		case opPong:
		case opClose:
			code := 0
			if len(payload) >= 2 {
				code = int(binary.BigEndian.Uint16(payload))
			}
			_ = s.write(opClose, payload) // the server may have gone
			return nil, &Closed{Code: code}
		default:
			return nil, fmt.Errorf("the server sent opcode %d", op)
		}
	}
}

// frame reads one frame.
func (s *Socket) frame() (op byte, payload []byte, err error) {
	head := make([]byte, 2, 4)
	if _, err := io.ReadFull(s.in, head); err != nil {
		return 0, nil, err
	}
	size := int(head[1] &^ maskBit)
	if size == length16 {
		head = head[:4]
		if _, err := io.ReadFull(s.in, head[2:]); err != nil {
			return 0, nil, err
		}
		size = int(binary.BigEndian.Uint16(head[2:]))
	}
	if len(head) == 2 && size == length64 || head[1]&maskBit != 0 {
		return 0, nil, errors.New("the server sent a frame that is masked or larger than 64 KiB")
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(s.in, payload)
	return head[0] & 0x0f, payload, err
}

// Send sends a text.
func (s *Socket) Send(text []byte) error { return s.write(opText, text) }

func (s *Socket) write(op byte, payload []byte) error {
	return s.SendBytes(appendFrame(nil, op, payload, true))
}

// SendBytes sends bytes as they are, a frame or not.
func (s *Socket) SendBytes(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.nc.SetWriteDeadline(time.Now().Add(writeBudget)); err != nil {
		return err
	}
	_, err := s.nc.Write(b)
	return err
}

// Goodbye sends a close frame; Read then gives the server's.
func (s *Socket) Goodbye(code uint16) error {
	return s.write(opClose, binary.BigEndian.AppendUint16(nil, code))
}

// Cut ends the connection without a word, as when a machine loses its power or its network: with a reset.
func (s *Socket) Cut() {
	if nc, ok := s.nc.(*net.TCPConn); ok {
		_ = nc.SetLinger(0) // it may be closed already
	}
	_ = s.nc.Close() // the same
}
