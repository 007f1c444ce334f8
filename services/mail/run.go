package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	smtp "github.com/wneessen/go-mail"
)

// Run sends what is queued, one mail after the other, until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		l, wait := s.next(time.Now())
		if l != nil {
			s.attempt(ctx, l)
		} else {
			s.pause(ctx, wait)
		}
		if ctx.Err() != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.letters); n > 0 {
		s.counts.lost.Add(uint64(n))
		s.letters = nil
		s.cfg.Logger.Warn("mails were not sent before the end; their invites stand", "mails", n)
	}
	return nil
}

// next is the letter whose turn it is, or how long until one's is; 0: none waits.
func (s *Sender) next(now time.Time) (*letter, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.letters) == 0 {
		return nil, 0
	}
	first := slices.MinFunc(s.letters, func(a, b *letter) int { return a.due.Compare(b.due) })
	if first.due.After(now) {
		return nil, first.due.Sub(now)
	}
	return first, 0
}

// pause waits until a letter is queued, for wait if it is not 0, or for ctx.
func (s *Sender) pause(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-s.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// attempt tries to send a letter, and decides what becomes of it.
func (s *Sender) attempt(ctx context.Context, l *letter) {
	err := s.send(ctx, l)
	now := time.Now()
	log := s.cfg.Logger.With("domain", domainOf(l.to), "attempts", l.attempts+1)
	switch code := codeOf(err); {
	case err == nil:
		s.done(l, &s.counts.sent)
	case code/100 == 5:
		log.Warn("a mail was refused for good", "smtp_code", code)
		s.done(l, &s.counts.refused)
	case ctx.Err() != nil: // it stays, to be counted as lost
	default:
		again := now.Add(s.pauseAfter(l))
		if again.After(l.made.Add(s.cfg.GiveUp)) || again.After(l.expires) {
			log.Warn("a mail was not taken in time", "why", reason(err))
			s.done(l, &s.counts.expired)
			return
		}
		log.Debug("a mail was not taken yet", "why", reason(err))
		s.delay(l, again)
	}
}

// pauseAfter is the pause after the attempt that has just failed.
func (s *Sender) pauseAfter(l *letter) time.Duration {
	pause := s.cfg.First
	for range l.attempts {
		if pause >= s.cfg.Longest/2 {
			return s.cfg.Longest
		}
		pause *= 2
	}
	return min(pause, s.cfg.Longest)
}

func (s *Sender) delay(l *letter, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.attempts++
	l.due = due
	s.counts.retried.Add(1)
}

// done forgets a letter, and counts what became of it.
func (s *Sender) done(l *letter, became *atomic.Uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = slices.DeleteFunc(s.letters, func(other *letter) bool { return other == l })
	became.Add(1)
}

// send makes one attempt, on a connection of its own. It ends with ctx or after the timeout, whatever the server does:
// then the connection is closed under the library's hands.
func (s *Sender) send(ctx context.Context, l *letter) error {
	var closing sync.WaitGroup
	defer closing.Wait() // after cancel: nothing outlives the attempt
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	client, err := s.client(func(inner context.Context, network, address string) (net.Conn, error) {
		conn, err := s.cfg.Dial(inner, network, address)
		if err != nil {
			return nil, err
		}
		closing.Go(func() {
			<-ctx.Done()
			closeQuietly(conn)
		})
		if s.cfg.TLS != TLS {
			return conn, nil
		}
		secured := tls.Client(conn, s.tlsConfig())
		return secured, secured.HandshakeContext(inner)
	})
	if err != nil {
		return err
	}
	m := l.message(s.from)
	err = client.DialAndSendWithContext(ctx, m)
	if m.IsDelivered() { // what fails after that, such as a goodbye, does not make it less delivered
		return nil
	}
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// closeQuietly closes a connection of which nothing is expected any more.
func closeQuietly(c net.Conn) {
	_ = c.Close() // it may be closed already, which is all the same
}

func (s *Sender) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.cfg.Roots, MinVersion: tls.VersionTLS12}
}

// client is the library's client of one attempt.
func (s *Sender) client(dial smtp.DialContextFunc) (*smtp.Client, error) {
	options := []smtp.Option{
		smtp.WithPort(s.port), smtp.WithTimeout(s.cfg.Timeout), smtp.WithDialContextFunc(dial), smtp.WithTLSConfig(s.tlsConfig()),
		smtp.WithoutSMTPUTF8(), // addresses are ASCII
	}
	switch s.cfg.TLS {
	case TLS:
		options = append(options, smtp.WithSSL())
	case NoTLS:
		options = append(options, smtp.WithTLSPolicy(smtp.NoTLS))
	default:
		options = append(options, smtp.WithTLSPolicy(smtp.TLSMandatory))
	}
	if s.cfg.User != "" {
		options = append(options, smtp.WithUsername(s.cfg.User), smtp.WithPassword(s.cfg.Password),
			smtp.WithOpportunisticSMTPAuth(smtp.SMTPAuthSCRAMSHA256, smtp.SMTPAuthPlain, smtp.SMTPAuthLogin))
	}
	client, err := smtp.NewClient(s.host, options...)
	if err != nil {
		return nil, fmt.Errorf("make a client of SMTP: %w", err)
	}
	return client, nil
}

// codeOf is the code that the server refused with; 0: it said none.
func codeOf(err error) int {
	var refused *smtp.SendError
	if errors.As(err, &refused) && refused.ErrorCode() != 0 {
		return refused.ErrorCode()
	}
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

// reason is what the log may say of err. What a server says has the address in it that it does not like.
func reason(err error) string {
	var refused *smtp.SendError
	var network net.Error
	switch code := codeOf(err); {
	case code != 0:
		return fmt.Sprintf("the server says %d", code)
	case errors.As(err, &network) && network.Timeout():
		return "the server took too long"
	case errors.As(err, &refused):
		return "the connection broke: " + refused.Reason.String()
	}
	return err.Error()
}
