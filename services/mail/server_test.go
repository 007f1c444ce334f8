package mail_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/services/mail"
	"github.com/canopychat/canopy/services/store"
)

// server is a small SMTP server.
type server struct {
	t       *testing.T
	secure  *tls.Config // with it, it offers STARTTLS
	crypted bool        // it speaks TLS from the first byte

	mu       sync.Mutex          // guards what follows
	says     map[string][]string // instead of yes, to the next commands of a verb; "hang" is silence
	got      []received
	commands []string
	conns    int
	open     sync.WaitGroup
}

// received is a mail as it came.
type received struct {
	from, to, data string
	crypted        bool
	user           string // what AUTH PLAIN said
}

func newServer(t *testing.T) *server {
	s := &server{t: t, says: map[string][]string{}}
	t.Cleanup(s.open.Wait)
	return s
}

// listen serves on loopback, and answers where.
func (s *server) listen() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // it was closed
			}
			s.open.Go(func() { s.serve(conn) })
		}
	})
	s.t.Cleanup(func() {
		if err := l.Close(); err != nil {
			s.t.Error(err)
		}
		accepting.Wait()
	})
	return l.Addr().String()
}

// dial is a connection to it in memory, for virtual time.
func (s *server) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	s.open.Go(func() { s.serve(there) })
	return here, nil
}

// answer is what it says to a command: yes, or what the test wants.
func (s *server) answer(verb, yes string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, verb)
	if list := s.says[verb]; len(list) > 0 {
		s.says[verb] = list[1:]
		if list[0] != "" {
			return list[0]
		}
	}
	return yes
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	var now received
	if s.crypted {
		conn = tls.Server(conn, s.secure)
		now.crypted = true
	}
	in := bufio.NewReader(conn)
	say := func(verb, yes string) bool {
		text := s.answer(verb, yes)
		if text == "hang" {
			_, err := in.ReadByte() // until the other side has enough
			return err == nil
		}
		_, err := conn.Write([]byte(text + "\r\n"))
		return err == nil
	}
	s.mu.Lock()
	s.conns++
	s.mu.Unlock()
	if !say("CONNECT", "220 ready") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		ok := true
		switch verb {
		case "EHLO":
			features := "250-here\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME"
			if s.secure != nil && !now.crypted {
				features = "250-here\r\n250 STARTTLS"
			}
			ok = say(verb, features)
		case "STARTTLS":
			if ok = say(verb, "220 go"); ok {
				conn = tls.Server(conn, s.secure)
				in, now.crypted = bufio.NewReader(conn), true
			}
		case "AUTH":
			now.user = rest
			ok = say(verb, "235 welcome")
		case "MAIL":
			now.from = rest
			ok = say(verb, "250 ok")
		case "RCPT":
			now.to += rest
			ok = say(verb, "250 ok")
		case "DATA":
			if ok = say(verb, "354 go on"); ok {
				now.data, err = readData(in)
				ok = err == nil && say("END", "250 taken")
				s.take(now)
				now.to = ""
			}
		case "QUIT":
			say(verb, "221 bye")
			return
		default:
			ok = say(verb, "250 ok")
		}
		if !ok {
			return
		}
	}
}

func readData(in *bufio.Reader) (string, error) {
	var data strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return data.String(), err
		}
		data.WriteString(line)
	}
}

// take keeps a mail as it came, also one that it then did not want.
func (s *server) take(m received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, m)
}

func (s *server) mails() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.got...)
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// certify gives it a certificate for 127.0.0.1, and answers who trusts it.
func (s *server) certify() *x509.CertPool {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatal(err)
	}
	s.secure = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

// office is a Sender that runs until the test ends, with what it logged.
type office struct {
	*mail.Sender
	t    *testing.T
	log  *logged
	stop func()
}

// logged is a buffer for many goroutines.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func newOffice(t *testing.T, cfg mail.Config) *office {
	t.Helper()
	o := &office{t: t, log: &logged{}}
	cfg.Logger = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.From == "" {
		cfg.From = "Canopy <canopy@example.org>"
	}
	if cfg.TLS == "" {
		cfg.TLS = mail.NoTLS
	}
	var err error
	if o.Sender, err = mail.New(cfg); err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) run() *office {
	ctx, cancel := context.WithCancel(o.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			o.t.Errorf("Run: %v", err)
		}
	})
	o.t.Cleanup(o.stop)
	return o
}

func invite() store.InviteMail {
	return store.InviteMail{
		To: "bob.smith@example.com", Workspace: "Garden", InvitedBy: "Alice", URL: "https://chat.example.org/join#s3cretc0de",
		Code: "s3cretc0de", ExpiresAt: time.Now().Add(7 * 24 * time.Hour),
	}
}

func (o *office) send(m store.InviteMail) {
	o.t.Helper()
	if err := o.SendInvite(o.t.Context(), m); err != nil {
		o.t.Fatalf("SendInvite: %v", err)
	}
}

// until waits for a moment at which it is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came that %s", what)
		}
	}
}
