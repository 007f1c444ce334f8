// Package pushtest has what is at the other end of a delivery, for tests: a push service whose browsers really decrypt what they
// get (RFC 8291) and that really checks who sends it (RFC 8292), and a receiver of webhooks that checks signatures. Both listen on
// the loopback address, over TLS, and can be down, slow, full or gone.
//
// It uses none of the code that it tests.
package pushtest

import (
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// Mood is how a server answers. The zero value is well.
type Mood struct {
	Down       bool          // it breaks every connection before it answers
	Slow       time.Duration // it takes this long before it answers, unless whoever asks goes away
	Fail       fault.Kind    // it answers with this kind's status; empty: it takes what it is sent
	Status     int           // it answers with this status; 0: see Fail
	RetryAfter time.Duration // that a failure tells; 0: not said
	Redirect   string        // it answers with a redirect to there
	Says       string        // the body of a failure
}

const (
	created   = 201
	elsewhere = 307
	maxBody   = 1 << 20
)

// server is what a Push and a Hooks have in common.
type server struct {
	t    testing.TB
	http *httptest.Server

	mu    sync.Mutex // guards what follows
	mood  Mood
	asked int // requests, also those that failed
}

func (s *server) start(t testing.TB, take func(path string, r *http.Request, body []byte) (status int)) {
	s.t = t
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked++
		mood := s.mood
		s.mu.Unlock()
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return // whoever asked went away
		}
		if mood.answer(w, r) {
			return
		}
		w.WriteHeader(take(r.URL.Path, r, body))
	}))
	s.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // whoever does not trust it
	s.http.StartTLS()
	t.Cleanup(s.http.Close)
}

// answer answers as the mood says, if it has anything to say.
func (m Mood) answer(w http.ResponseWriter, r *http.Request) bool {
	if m.Down {
		panic(http.ErrAbortHandler) // net/http breaks the connection and says nothing
	}
	if m.Slow > 0 {
		timer := time.NewTimer(m.Slow)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler) // to return would answer 200, which may still be read by one who is going
		}
	}
	if m.Redirect != "" {
		w.Header().Set("Location", m.Redirect)
		w.WriteHeader(elsewhere)
		return true
	}
	status := m.Status
	if status == 0 && m.Fail != "" {
		status = m.Fail.Status()
	}
	if status == 0 {
		return false
	}
	if m.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(m.RetryAfter/time.Second)))
	}
	w.WriteHeader(status)
	if _, err := io.WriteString(w, m.Says); err != nil {
		return true // whoever asked went away
	}
	return true
}

// Be makes the server answer otherwise from now on.
func (s *server) Be(m Mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = m
}

// Asked counts the requests so far, also those that failed.
func (s *server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// URL is the server's address.
func (s *server) URL() string { return s.http.URL }

// Roots certify the server.
func (s *server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.http.Certificate())
	return pool
}
