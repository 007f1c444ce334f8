package mail

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// How a connection to the server is secured.
const (
	StartTLS = "starttls" // begins in clear and must become TLS, before anything is said
	TLS      = "tls"      // is TLS from the first byte
	NoTLS    = "none"     // stays in clear: for a server on this machine
)

// Defaults of Config.
const (
	DefaultQueue   = 256
	DefaultTimeout = 20 * time.Second
	DefaultFirst   = 5 * time.Second
	DefaultLongest = 30 * time.Minute
	DefaultGiveUp  = 12 * time.Hour
)

// Config is what a Sender is made of. Address and From are needed.
type Config struct {
	Address  string // of the SMTP server, host:port
	From     string // who the mail is from: name@example.org, or Name <name@example.org>
	User     string // empty: no one signs in
	Password string
	TLS      string // StartTLS, TLS or NoTLS; empty: StartTLS

	Queue   int           // mails that wait at most; 0: DefaultQueue
	Timeout time.Duration // of one attempt; 0: DefaultTimeout
	First   time.Duration // pause after a mail's first attempt that failed; each next one is twice as long; 0: DefaultFirst
	Longest time.Duration // of the pauses; 0: DefaultLongest
	GiveUp  time.Duration // after which a mail is not tried again; 0: DefaultGiveUp

	Roots  *x509.CertPool                                                       // who is trusted to name servers; nil: whom the machine trusts
	Dial   func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer
	Logger *slog.Logger                                                         // nil: slog.Default
}

// Sender sends mail. It may be used from many goroutines.
type Sender struct {
	// immutable after New
	cfg  Config
	from *mail.Address
	host string
	port int
	wake chan struct{} // holds a token: a letter was queued

	mu      sync.Mutex // guards what follows
	letters []*letter  // that wait, or of which one is being sent; at most cfg.Queue

	counts struct{ sent, full, refused, expired, retried, lost atomic.Uint64 }
}

// Counts are the figures of a Sender since it was made.
type Counts struct {
	Sent    uint64 // mails that the server took
	Retried uint64 // attempts that failed and are made again
	Waiting int    // mails that wait now

	// mails that were dropped, by reason
	QueueFull uint64 // too many waited
	Refused   uint64 // the server will never take it
	Expired   uint64 // nobody took it in time
	Lost      uint64 // the process ended before
}

// New makes a Sender. It starts nothing: Run sends. The error says what is wrong with cfg.
func New(cfg Config) (*Sender, error) {
	if cfg.TLS == "" {
		cfg.TLS = StartTLS
	}
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&cfg.Timeout, DefaultTimeout}, {&cfg.First, DefaultFirst}, {&cfg.Longest, DefaultLongest}, {&cfg.GiveUp, DefaultGiveUp}} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil || Check(from.Address) != nil {
		return nil, fmt.Errorf("mail is from %.100q: %w", cfg.From, ErrBadAddress)
	}
	host, digits, err := net.SplitHostPort(cfg.Address)
	port, portErr := strconv.Atoi(digits)
	if err != nil || portErr != nil || host == "" || port < 1 || port > 1<<16-1 {
		return nil, fmt.Errorf("the mail server %.100q is not host:port", cfg.Address)
	}
	switch {
	case cfg.TLS != StartTLS && cfg.TLS != TLS && cfg.TLS != NoTLS:
		return nil, fmt.Errorf("TLS to the mail server is %q: it is %s, %s or %s", cfg.TLS, StartTLS, TLS, NoTLS)
	case cfg.TLS == NoTLS && cfg.User != "" && host != "localhost" && host != "127.0.0.1" && host != "::1":
		return nil, errors.New("the password of the mail server would cross the network in clear: use starttls or tls")
	}
	return &Sender{cfg: cfg, from: from, host: host, port: port, wake: make(chan struct{}, 1)}, nil
}

// SendInvite puts a mail on its way. It does not wait for the server. Invalid: it cannot be sent. Unavailable: too
// many wait.
func (s *Sender) SendInvite(_ context.Context, m store.InviteMail) error {
	l, err := writeInvite(m, s.from, time.Now())
	if err != nil {
		return err
	}
	if !s.queue(l) {
		s.counts.full.Add(1)
		return fault.New(fault.Unavailable, "too many mails are waiting for the mail server").After(s.cfg.First)
	}
	select {
	case s.wake <- struct{}{}:
	default: // the worker has not looked since the one before
	}
	return nil
}

func (s *Sender) queue(l *letter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.letters) >= s.cfg.Queue {
		return false
	}
	s.letters = append(s.letters, l)
	return true
}

// Counts are the figures of now.
func (s *Sender) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Counts{
		Sent: s.counts.sent.Load(), Retried: s.counts.retried.Load(), Waiting: len(s.letters),
		QueueFull: s.counts.full.Load(), Refused: s.counts.refused.Load(), Expired: s.counts.expired.Load(), Lost: s.counts.lost.Load(),
	}
}
