package call

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Bounds of what is waited for and taken.
const (
	Wait      = 20 * time.Second // for an answer, with all tries
	maxAnswer = 16 << 20
	maxIdle   = 2 // connections that are kept: few, since there are many clients
)

// Account is who signs in.
type Account struct {
	Login    string
	Password string
	Device   string // of the sign-in, which others revoke it by
}

// Client makes requests for one sign-in. It may be used from many goroutines.
type Client struct {
	// immutable after New
	base string
	as   Account
	http *http.Client

	mu sync.Mutex
	// guarded by mu
	session *session // nil: nobody has signed in
}

// New makes a client of the server at a base URL. It has not signed in, and starts nothing.
func New(base string, as Account) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("the server: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the server: %q is no base URL", base)
	}
	return &Client{base: strings.TrimSuffix(base, "/"), as: as, http: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// URL is the base URL, without a slash at its end.
func (c *Client) URL() string { return c.base }

// HTTP is what requests go over, for who upgrades one.
func (c *Client) HTTP() *http.Client { return c.http }

// Shut closes the connections that are kept.
func (c *Client) Shut() { c.http.CloseIdleConnections() }

// Call is one request.
type Call struct {
	Method, Path string
	In           any    // the body; nil: none
	Out          any    // what a success is read into; nil: nothing
	Raw          bool   // In is a text that goes out as it is
	Once         string // Idempotency-Key; empty: none
	Again        bool   // it may be done twice: another try is made after any answer that leaves it open
	Reads        bool   // it changes nothing
	One          bool   // its first answer counts
	Bare         bool   // without a token
	Header       http.Header
}

// NewKey names a request that is to be done once.
func NewKey() string { return rand.Text() }

// Do makes a call until its answer is for good, or the time is over.
func (c *Client) Do(ctx context.Context, k Call) answer.Answer {
	ctx, cancel := context.WithTimeout(ctx, Wait)
	defer cancel()
	p := answer.Patience{One: k.One, Reads: k.Reads, Again: func(answer.Answer) bool { return k.Again }}
	if k.Bare {
		return answer.Persist(ctx, p, func(bool) answer.Answer { return c.exchange(ctx, k, "") })
	}
	s := c.signedIn()
	if s == nil {
		return answer.Lost(ErrNobody)
	}
	return answer.Persist(ctx, p, func(bool) answer.Answer {
		return s.with(ctx, c, func(token string) answer.Answer { return c.exchange(ctx, k, token) })
	})
}

// With does something with a token; with a new one once more when the first does not count any more.
func (c *Client) With(ctx context.Context, do func(token string) answer.Answer) answer.Answer {
	if s := c.signedIn(); s != nil {
		return s.with(ctx, c, do)
	}
	return answer.Lost(ErrNobody)
}

// exchange sends a call and reads its answer.
func (c *Client) exchange(ctx context.Context, k Call, token string) answer.Answer {
	req, err := c.request(ctx, k, token)
	if err != nil {
		return answer.Lost(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer.Lost(err)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return answer.Lost(err)
	}
	return answer.Of(resp, text, k.Out)
}

func (c *Client) request(ctx context.Context, k Call, token string) (*http.Request, error) {
	var body io.Reader
	if k.In != nil {
		text, err := json.Marshal(k.In)
		if err != nil {
			return nil, err
		}
		if as, ok := k.In.(string); ok && k.Raw {
			text = []byte(as)
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, k.Method, c.base+k.Path, body)
	if err != nil {
		return nil, err
	}
	if k.In != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if k.Once != "" {
		req.Header.Set("Idempotency-Key", k.Once)
	}
	for name, values := range k.Header {
		req.Header[name] = values
	}
	return req, nil
}
