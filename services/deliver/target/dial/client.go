package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

const (
	// DefaultTimeout is of one request, from the look-up of the name to the end of the answer.
	DefaultTimeout = 10 * time.Second

	maxAnswer    = 4 << 10  // bytes of an answer's body that are read
	maxHeader    = 16 << 10 // bytes of an answer's header
	maxRetry     = 24 * time.Hour
	idleConns    = 512
	idlePerHost  = 256 // as many as a process asks at once: with fewer, each notice to a gateway of thousands costs a TLS handshake
	idleTimeout  = 30 * time.Second
	maxExcerpt   = 200 // characters of an answer that an error tells
	plain, under = "http", "https"
)

// Config says where requests may go.
type Config struct {
	AllowPrivate []netip.Prefix // networks that are not of the public Internet and may be reached, on any port
	Timeout      time.Duration  // 0: DefaultTimeout
	Roots        *x509.CertPool // who certifies servers; nil: the system's
}

// Client sends requests. It may be used by many goroutines at once.
type Client struct {
	allowed []netip.Prefix
	timeout time.Duration
	http    *http.Client
}

// New makes a Client. It starts nothing.
func New(cfg Config) *Client {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	c := &Client{timeout: cfg.Timeout}
	for _, p := range cfg.AllowPrivate {
		if p.Addr().Is4In6() && p.Bits() >= 96 { // addresses are compared unmapped
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		c.allowed = append(c.allowed, p)
	}
	dialer := &net.Dialer{Timeout: cfg.Timeout, ControlContext: c.control}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil, // whoever sets a proxy would decide where we go
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
			TLSHandshakeTimeout:    cfg.Timeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // an answer is as long as it is
			MaxIdleConns:           idleConns,
			MaxIdleConnsPerHost:    idlePerHost,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Close ends connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// control is asked for each address before it is dialled, when its name is resolved.
func (c *Client) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errHidden
	}
	private, err := reach(at.Addr(), c.allowed)
	if err != nil {
		return err
	}
	if !private && at.Port() != 80 && at.Port() != 443 {
		return errPort
	}
	return nil
}

// ErrRefused is in the error of a request that we do not send, by our own rule: it says nothing about the server.
var ErrRefused = errors.New("refused here")

var errPort = errors.New("the port is neither 80 nor 443")

// Do sends a request and reads the answer. nil: it was a success (2xx). The error is a *fault.Error for operators: Forbidden
// when nobody may send there; Unavailable when there was no answer in time, or one of 5xx; else what fault.OfStatus says of the
// status, with what the server wrote. It tells the server's name and never the path of its address.
//
// Do also keeps the request from outliving ctx. Its URL must have passed Parse.
func (c *Client) Do(req *http.Request) error {
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	resp, err := c.http.Do(req.WithContext(ctx))
	if err != nil {
		return failure(req, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	kind := fault.OfStatus(resp.StatusCode)
	if kind == "" {
		return nil // what it writes about its success is of no interest, nor is its end
	}
	said := excerpt(req.URL, string(text))
	if err != nil && said == "" {
		said = "its answer broke off"
	}
	if resp.StatusCode/100 == 3 {
		said = "redirects are not followed"
	}
	if said != "" {
		said = ": " + said
	}
	f := fault.New(kind, "%s answered %d%s", Origin(req.URL), resp.StatusCode, said)
	return f.After(retryAfter(resp.Header.Get("Retry-After"), time.Now()))
}

// failure says why there is no answer. What net/http says has the whole address in it.
func failure(req *http.Request, err error) error {
	origin := Origin(req.URL)
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, errHidden):
		return fault.Wrap(fault.Forbidden, ErrRefused, "nothing is sent to %s: %v", origin, errHidden)
	case errors.Is(err, errPort):
		return fault.Wrap(fault.Forbidden, ErrRefused, "nothing is sent to %s: %v", origin, errPort)
	case errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Unavailable, context.Canceled, "asking %s was broken off", origin)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fault.New(fault.Unavailable, "%s does not answer in time", origin)
	case errors.As(err, &dns):
		return fault.New(fault.Unavailable, "the name of %s is not found", origin)
	case errors.As(err, &certificate):
		return fault.New(fault.Unavailable, "%s has no certificate that counts", origin)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault.New(fault.Unavailable, "%s takes no connections", origin)
	}
	return fault.New(fault.Unavailable, "the connection to %s broke", origin)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// Parse reads an address that requests may go to, as far as that is known before its name is resolved.
// The error is of kind Invalid.
func Parse(address string) (*url.URL, error) {
	if len(address) > chat.MaxHookURL {
		return nil, fault.New(fault.Invalid, "the address is longer than %d bytes", chat.MaxHookURL)
	}
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return nil, fault.New(fault.Invalid, "the address is not an http or https URL")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fault.New(fault.Invalid, "the address has a port that is none")
		}
	}
	switch {
	case u.Scheme != plain && u.Scheme != under:
		return nil, fault.New(fault.Invalid, "the address is neither http nor https")
	case u.User != nil:
		return nil, fault.New(fault.Invalid, "the address has a user or password in it")
	case endsInNumber(u.Hostname()):
		return nil, fault.New(fault.Invalid, "the address has a number for a host that is no IP address")
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// endsInNumber reports whether a host is one of the old ways to write an IPv4 address, such as 2130706433, 0x7f.1 or 127.1,
// which some resolvers read as one (WHATWG URL §3.5).
func endsInNumber(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	last := strings.ToLower(strings.TrimSuffix(host, "."))
	last = last[strings.LastIndexByte(last, '.')+1:]
	if last == "" {
		return true
	}
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// Origin is what of an address may be told: scheme://host:port.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{plain: "80", under: "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// excerpt is the beginning of what a server wrote, in one line and without the path that it was asked under.
func excerpt(u *url.URL, text string) string {
	for _, secret := range secrets(u) {
		text = strings.ReplaceAll(text, secret, "…")
	}
	text = strings.ToValidUTF8(text, "?")
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if r := []rune(text); len(r) > maxExcerpt {
		return string(r[:maxExcerpt])
	}
	return text
}

// secrets are what of an address must not be told: its path and query, and each part of them that is no mere word.
func secrets(u *url.URL) []string {
	const word = 8 // characters from which on a part may be a secret
	parts := []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	for _, path := range []string{u.EscapedPath(), u.Path} {
		parts = append(parts, strings.Split(path, "/")...)
	}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return len(s) < word })
	slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) }) // the longest first: it holds others
	return parts
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110 §10.2.3). 0: it says nothing of use.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetry)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetry)
}

// Post begins a request that brings body somewhere.
func Post(ctx context.Context, to *url.URL, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), body)
	if err != nil {
		return nil, fmt.Errorf("a request to %s cannot be made", Origin(to)) // the error would tell the address
	}
	req.Header.Set("User-Agent", "Canopy")
	return req, nil
}
