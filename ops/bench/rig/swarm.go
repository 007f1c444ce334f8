//go:build linux

package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Opening says which sockets a swarm opens.
type Opening struct {
	Address string   // host and port of the server
	Source  string   // address that the sockets come from
	Path    string   // of the socket
	Tokens  []string // one a socket; empty ones are not shown
	Ours    bool     // the server says hello, and acknowledges
}

// Load is what a swarm does: messages that go to all of its sockets.
type Load struct {
	Messages int
	InFlight int    // so many are on their way: sent, and not yet received by every socket
	Senders  int    // the first so many sockets take turns
	Text     string // of a frame to send; %s is replaced by an id that is new each time
}

// Done says what a swarm did.
type Done struct {
	Sockets    int
	Deliveries int    // messages that sockets received
	Acks       int    // that senders received
	Reads      int    // in which the deliveries came
	Sample     string // the payload of a delivery
}

// swarmAnswer is Done, or why not.
type swarmAnswer struct {
	Done
	Error string
}

// Swarm is clients that are connected, in a process of their own.
type Swarm struct{ *child }

// OpenSwarm starts a swarm and waits until its sockets are open.
func OpenSwarm(ctx context.Context, o Opening) (*Swarm, error) {
	c, err := startChild(roleSwarm)
	if err != nil {
		return nil, err
	}
	s := &Swarm{c}
	if _, err := s.order(ctx, o); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return s, nil
}

// Drive has messages sent, and returns when every socket has received every one and every sender has its acks.
func (s *Swarm) Drive(ctx context.Context, l Load) (Done, error) { return s.order(ctx, l) }

func (s *Swarm) order(ctx context.Context, order any) (Done, error) {
	var a swarmAnswer
	if err := s.ask(ctx, order, &a); err != nil {
		return Done{}, err
	}
	if a.Error != "" {
		return a.Done, errors.New(a.Error)
	}
	return a.Done, nil
}

// swarm is many clients in one thread: they read, count, and answer pings.
type swarm struct {
	epoll  int
	peers  []*peer
	ours   bool
	buf    []byte
	events []unix.EpollEvent

	// of an order
	reached    []int // by message: sockets that have received so many
	deliveries int
	acks       int
	reads      int
	sample     string
}

type peer struct {
	stream
	fd       int
	received int // in this order
}

const (
	openAtOnce  = 32
	openTimeout = 30 * time.Second
	openBudget  = 10 * time.Minute
	orderBudget = 2 * time.Minute
)

func swarmMain(orders *json.Decoder, answers *json.Encoder) error {
	s := &swarm{buf: make([]byte, 256<<10), events: make([]unix.EpollEvent, 512)}
	var open Opening
	if err := orders.Decode(&open); err != nil {
		return err
	}
	err := s.open(open)
	if err := answers.Encode(answerOf(Done{Sockets: len(s.peers)}, err)); err != nil {
		return err
	}
	if err != nil {
		return nil // it was said
	}
	next := make(chan Load)
	ended := make(chan error, 1)
	go func() {
		for {
			var order Load
			if err := orders.Decode(&order); err != nil {
				ended <- err
				return
			}
			next <- order // the parent waits for the answer before it gives another one
		}
	}()
	for {
		select {
		case err := <-ended:
			return err
		case order := <-next:
			err := s.drive(order)
			did := Done{Sockets: len(s.peers), Deliveries: s.deliveries, Acks: s.acks, Reads: s.reads, Sample: s.sample}
			if err := answers.Encode(answerOf(did, err)); err != nil {
				return err
			}
		default:
			if err := s.turn(); err != nil {
				return err
			}
		}
	}
}

func answerOf(d Done, err error) swarmAnswer {
	a := swarmAnswer{Done: d}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

// open opens the sockets.
func (s *swarm) open(o Opening) (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	s.ours = o.Ours
	s.peers = make([]*peer, len(o.Tokens))
	ctx, cancel := context.WithTimeout(context.Background(), openBudget)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(openAtOnce)
	for i, token := range o.Tokens {
		group.Go(func() error {
			p, err := dial(ctx, o, token)
			s.peers[i] = p
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, p := range s.peers {
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, p.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return err
		}
	}
	return nil
}

// dial opens one socket, and waits for its hello when the server is ours.
func dial(ctx context.Context, o Opening, token string) (*peer, error) {
	dialer := net.Dialer{Timeout: openTimeout, LocalAddr: &net.TCPAddr{IP: net.ParseIP(o.Source)}}
	nc, err := dialer.DialContext(ctx, "tcp4", o.Address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }() // the socket lives on under another descriptor
	if err := nc.SetDeadline(time.Now().Add(openTimeout)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, upgradeRequest(o.Path, o.Address, token)); err != nil {
		return nil, err
	}
	in := bufio.NewReader(nc)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
		return nil, errors.Join(fmt.Errorf("open a socket: %s: %s", answer.Status, text), err)
	}
	p := &peer{}
	if o.Ours {
		if err := hello(in); err != nil {
			return nil, err
		}
	}
	early, err := in.Peek(in.Buffered())
	if err != nil {
		return nil, err
	}
	if len(early) > 0 {
		p.rest = bytes.Clone(early)
	}
	p.fd, err = takeOver(nc.(*net.TCPConn))
	return p, err
}

// upgradeRequest asks for a socket. The key may be any: nobody here caches.
func upgradeRequest(path, host, token string) string {
	request := "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	return request + "\r\n"
}

// hello reads the first frame of a socket of ours.
func hello(in *bufio.Reader) error {
	for size := 2; ; size++ {
		head, err := in.Peek(size)
		if err != nil {
			return fmt.Errorf("wait for hello: %w", err)
		}
		op, payload, n := nextFrame(head)
		if n == 0 {
			continue
		}
		if op != opText || !bytes.HasPrefix(payload, []byte(`{"type":"hello"`)) {
			return fmt.Errorf("instead of hello came %q", payload)
		}
		_, err = in.Discard(n)
		return err
	}
}

// takeOver is the connection's socket under a descriptor that Go's poller does not know.
func takeOver(nc *net.TCPConn) (int, error) {
	raw, err := nc.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := 0
	var failed error
	err = raw.Control(func(old uintptr) { fd, failed = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, failed)
}

// drive sends messages and waits until every socket has received all of them, and every sender its ack.
func (s *swarm) drive(o Load) error {
	if o.Senders < 1 || o.Senders > len(s.peers) {
		return errors.New("there are no senders, or more than sockets")
	}
	s.reached = make([]int, o.Messages)
	s.deliveries, s.acks, s.reads, s.sample = 0, 0, 0, ""
	for _, p := range s.peers {
		p.received = 0
	}
	deadline := time.Now().Add(orderBudget)
	sent, done := 0, 0
	for done < o.Messages || s.ours && s.acks < o.Messages {
		for ; sent < o.Messages && sent-done < o.InFlight; sent++ {
			if err := s.send(s.peers[sent%o.Senders], o.Text); err != nil {
				return err
			}
		}
		if err := s.turn(); err != nil {
			return err
		}
		for done < o.Messages && s.reached[done] == len(s.peers) {
			done++
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d messages reached everybody in %v; %d acks", done, o.Messages, orderBudget, s.acks)
		}
	}
	return nil
}

// send sends a message. The frames are few and small: a socket takes them at once.
func (s *swarm) send(p *peer, text string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	frame := appendFrame(nil, opText, []byte(strings.Replace(text, "%s", id.String(), 1)), true)
	n, err := unix.Write(p.fd, frame)
	if err == nil && n < len(frame) {
		err = errors.New("the server does not read")
	}
	return err
}

// turnMillis is how long a turn waits at most.
const turnMillis = 100

// turn reads what the sockets have.
func (s *swarm) turn() error {
	n, err := unix.EpollWait(s.epoll, s.events, turnMillis)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range s.events[:n] {
		p := s.peers[e.Fd]
		n, err := unix.Read(p.fd, s.buf)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the server closed a socket")
		}
		had := s.deliveries
		if err := p.take(s.buf[:n], func(op byte, payload []byte) error { return s.hear(p, op, payload) }); err != nil {
			return err
		}
		if s.deliveries > had {
			s.reads++
		}
	}
	return nil
}

// The beginnings of what the server sends.
var (
	deliverText = []byte(`{"type":"message.deliver"`)
	ackText     = []byte(`{"type":"message.ack"`)
	eventText   = []byte(`{"type":"event"`)
	otherText   = []byte(`{"type":"presence.update"`) // of people, not of messages
	staleText   = []byte(`{"type":"cursor.stale"`)    // of what people have read
)

func (s *swarm) hear(p *peer, op byte, payload []byte) error {
	switch {
	case op == opPing:
		_, err := unix.Write(p.fd, appendFrame(nil, opPong, payload, true))
		return err
	case op == opClose, op != opText:
		return fmt.Errorf("the server sent opcode %d: %.200q", op, payload)
	case bytes.HasPrefix(payload, deliverText):
		return s.count(p, payload)
	case bytes.HasPrefix(payload, ackText):
		s.acks++
	case bytes.HasPrefix(payload, eventText), bytes.HasPrefix(payload, otherText), bytes.HasPrefix(payload, staleText):
	default:
		return fmt.Errorf("the server sent %.200q", payload)
	}
	return nil
}

func (s *swarm) count(p *peer, payload []byte) error {
	if p.received >= len(s.reached) {
		return fmt.Errorf("a socket received more than the %d messages that were sent", len(s.reached))
	}
	s.reached[p.received]++
	p.received++
	s.deliveries++
	if s.sample == "" {
		s.sample = string(payload)
	}
	return nil
}
