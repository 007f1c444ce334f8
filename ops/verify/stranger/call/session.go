package call

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// early is how long before its end a token is replaced.
const early = 30 * time.Second

// ErrNobody is why a client asks nothing before its first sign-in: no server refused it.
var ErrNobody = errors.New("nobody has signed in on this device")

// session is one sign-in: its tokens, and who may replace them.
type session struct {
	renewing chan struct{} // holds a token while somebody replaces the tokens; a lock that a context can give up

	mu      sync.Mutex
	tokens  tokens
	expires time.Time
}

// tokens is what a sign-in answers.
type tokens struct {
	Token     string `json:"token"`
	ExpiresIn int    `json:"expires_in"` // seconds
	Refresh   string `json:"refresh_token"`
}

// SignIn signs in, in place of what was there. With one, the first answer counts. Who waits for a new token of the sign-in before it does
// not touch this one.
func (c *Client) SignIn(ctx context.Context, one bool) answer.Answer {
	var got tokens
	a := c.Do(ctx, Call{Method: http.MethodPost, Path: "/login", Bare: true, Again: true, Reads: true, One: one, Out: &got,
		In: map[string]string{"login": c.as.Login, "password": c.as.Password, "device": c.as.Device}})
	if a.Outcome != record.OK {
		return a
	}
	s := &session{renewing: make(chan struct{}, 1)}
	s.hold(got)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = s
	return a
}

// signedIn is the last sign-in; nil: there was none.
func (c *Client) signedIn() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// with does something with a token; with a new one once more when the first does not count any more.
func (s *session) with(ctx context.Context, c *Client, do func(token string) answer.Answer) answer.Answer {
	token, a := s.fresh(ctx, c, "")
	if a.Outcome != record.OK {
		a.Unsent = true
		return a
	}
	a = do(token)
	if a.Code != answer.Unauthenticated {
		return a
	}
	if token, again := s.fresh(ctx, c, token); again.Outcome == record.OK {
		return do(token)
	}
	return a
}

// hold takes new tokens.
func (s *session) hold(t tokens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens, s.expires = t, time.Now().Add(time.Duration(t.ExpiresIn)*time.Second)
}

// now are the tokens, and whether the first of them still counts.
func (s *session) now() (tokens, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := time.Until(s.expires)
	return s.tokens, left > early || left > time.Duration(s.tokens.ExpiresIn)*time.Second/2
}

// fresh is a token that counts and is not old. It is fetched by one at a time, since a refresh token is used up by its use.
func (s *session) fresh(ctx context.Context, c *Client, old string) (string, answer.Answer) {
	if t, counts := s.now(); t.Token != "" && counts && t.Token != old {
		return t.Token, answer.OK()
	}
	select {
	case s.renewing <- struct{}{}:
		defer func() { <-s.renewing }()
	case <-ctx.Done():
		return "", answer.Lost(ctx.Err())
	}
	t, counts := s.now()
	if t.Token != "" && counts && t.Token != old {
		return t.Token, answer.OK()
	}
	if t.Refresh == "" {
		return "", answer.Refusal(answer.Unauthenticated, 0)
	}
	var got tokens
	a := c.exchange(ctx, Call{Method: http.MethodPost, Path: "/token/refresh", In: map[string]string{"refresh_token": t.Refresh}, Out: &got}, "")
	if a.Outcome != record.OK {
		return "", a
	}
	s.hold(got)
	return got.Token, answer.OK()
}
