package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// httpTimeout is how long one request may take: longer than the server's own budget for it.
const httpTimeout = 40 * time.Second

// A Client is one sign-in at one deployment. It may be used from many goroutines.
type Client struct {
	// Immutable after New.
	url  string // without a slash at its end
	http *http.Client

	mu      sync.Mutex
	tokens  rest.Tokens
	expires time.Time     // of tokens.Token; zero: not known
	account rest.SignedIn // the user and workspaces of the sign-in; Tokens are not kept here
	renew   *renewal      // that is on its way; nil: none
}

// renewal is one refresh, for all who wait for it.
type renewal struct {
	done chan struct{} // closed by who does it, after err is set
	err  error
}

// New is a client that has not signed in. url is where the deployment serves REST and sockets, such as
// https://chat.example.
func New(address string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" {
		return nil, fmt.Errorf("%.100q is not the http:// or https:// address of a server", address)
	}
	return &Client{url: strings.TrimRight(u.String(), "/"), http: &http.Client{Timeout: httpTimeout}}, nil
}

// Login signs in. device is a name for the list of one's sessions and may be empty. The error is an *Error,
// unauthenticated for a wrong login or password.
func Login(ctx context.Context, url, login, password, device string) (*Client, error) {
	return signIn(ctx, url, "/login", rest.Login{Login: login, Password: password, Device: device})
}

// Setup makes the first account of a deployment, its workspace and that one's first channel, and signs in. The code
// is the one that the server printed when it started.
func Setup(ctx context.Context, url string, s rest.Setup) (*Client, error) {
	return signIn(ctx, url, "/setup", s)
}

// AcceptInvite makes an account by an invite and signs in.
func AcceptInvite(ctx context.Context, address, code string, a rest.AcceptInvite) (*Client, error) {
	return signIn(ctx, address, "/invites/"+url.PathEscape(code)+"/accept", a)
}

func signIn(ctx context.Context, address, path string, in any) (*Client, error) {
	c, err := New(address)
	if err != nil {
		return nil, err
	}
	var signed rest.SignedIn
	if err := c.do(ctx, call{method: http.MethodPost, path: path, in: in, out: &signed, open: true}); err != nil {
		return nil, err
	}
	c.take(signed.Tokens)
	signed.Tokens = rest.Tokens{}
	c.account = signed
	return c, nil
}

// FromToken is a client with an access token that somebody else got. It cannot refresh it.
func FromToken(url, token string) (*Client, error) {
	c, err := New(url)
	if err != nil {
		return nil, err
	}
	c.tokens.Token = token
	return c, nil
}

// FromSession is a client that goes on with the tokens of another one, as Session gave them. Only one of the two may
// be used from then on: a refresh token that is used twice ends the sign-in.
func FromSession(url string, t rest.Tokens) (*Client, error) {
	c, err := New(url)
	if err != nil {
		return nil, err
	}
	c.tokens = t
	c.expires = time.Unix(0, 0) // nobody knows how old they are
	return c, nil
}

// URL is the address of the deployment.
func (c *Client) URL() string { return c.url }

// Account is who signed in, and their workspaces at that time. It is empty after FromToken: ask Me.
func (c *Client) Account() rest.Me {
	return rest.Me{User: c.account.User, Workspaces: c.account.Workspaces}
}

// Session is the sign-in with its tokens as they are now: whoever has them is the user.
func (c *Client) Session() rest.Tokens {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens
}

// expiryMargin is how long before its end a token is refreshed: a request under way shall not meet it.
const expiryMargin = 30 * time.Second

// take keeps new tokens.
func (c *Client) take(t rest.Tokens) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = t
	life := time.Duration(t.ExpiresIn) * time.Second
	c.expires = time.Now().Add(life - min(expiryMargin, life/10))
}

// Distrust says that a token was refused. If it is still the one in use, the next who needs one refreshes it first. It
// reports whether that is possible.
func (c *Client) Distrust(token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tokens.RefreshToken == "" {
		return false
	}
	if c.tokens.Token == token {
		c.expires = time.Unix(0, 0)
	}
	return true
}

// Token is an access token that is good for some time. It refreshes the one in use when that ends soon; of those who
// ask meanwhile one does it, and all get the result.
func (c *Client) Token(ctx context.Context) (string, error) {
	for {
		c.mu.Lock()
		token, fresh := c.tokens.Token, c.expires.IsZero() || time.Now().Before(c.expires)
		if token == "" {
			c.mu.Unlock()
			return "", &Error{Code: fault.Unauthenticated, Message: "sign in first"}
		}
		if fresh || c.tokens.RefreshToken == "" {
			c.mu.Unlock()
			return token, nil
		}
		r := c.renew
		if r == nil {
			r = &renewal{done: make(chan struct{})}
			c.renew = r
			old := c.tokens.RefreshToken
			c.mu.Unlock()
			return c.refresh(ctx, r, old)
		}
		c.mu.Unlock()
		select {
		case <-r.done:
			// The end of another's patience is none of ours.
			if r.err != nil && !errors.Is(r.err, context.Canceled) && !errors.Is(r.err, context.DeadlineExceeded) {
				return "", r.err
			}
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// refresh does r. Using a refresh token again is safe within the server's grace, which a lost answer needs.
func (c *Client) refresh(ctx context.Context, r *renewal, old string) (string, error) {
	var t rest.Tokens
	r.err = c.do(ctx, call{
		method: http.MethodPost, path: "/token/refresh", in: rest.Refresh{RefreshToken: old}, out: &t, open: true, safe: true,
	})
	if r.err == nil {
		c.take(t)
	}
	c.mu.Lock()
	c.renew = nil
	if CodeOf(r.err) == fault.Unauthenticated && c.tokens.RefreshToken == old {
		c.tokens = rest.Tokens{} // the sign-in has ended, and asking again would not help
	}
	c.mu.Unlock()
	close(r.done)
	return t.Token, r.err
}

// Logout ends the sign-in at the server: its tokens are of no more use, and its sockets close.
func (c *Client) Logout(ctx context.Context) error {
	if err := c.do(ctx, call{method: http.MethodPost, path: "/logout"}); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = rest.Tokens{}
	return nil
}

// Accept makes the user a member of the workspace of an invite. Who has no account yet calls AcceptInvite.
func (c *Client) Accept(ctx context.Context, code string) (rest.Workspace, error) {
	var ws rest.Workspace
	err := c.do(ctx, call{method: http.MethodPost, path: "/invites/" + url.PathEscape(code) + "/accept", in: struct{}{}, out: &ws})
	return ws, err
}

// ChangePassword gives the user another password. All other sessions of theirs end.
func (c *Client) ChangePassword(ctx context.Context, from, to string) error {
	return c.do(ctx, call{method: http.MethodPut, path: "/me/password", in: rest.NewPassword{Old: from, New: to}})
}

// Me is who is signed in, and their workspaces.
func (c *Client) Me(ctx context.Context) (rest.Me, error) {
	var me rest.Me
	err := c.do(ctx, call{method: http.MethodGet, path: "/me", out: &me, safe: true})
	return me, err
}
