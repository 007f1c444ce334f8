package wsconn

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/schemas/fault"
)

// Version is the one version of the protocol. Who answers a request that Check refused as Invalid
// sets the header Sec-WebSocket-Version to it (RFC 6455 §4.4).
const Version = "13"

// answerTimeout is how long the answer to the upgrade, some 200 bytes, may take to be written.
const answerTimeout = 5 * time.Second

// The headers of the handshake, spelled as net/http keys them.
const (
	headerOrigin     = "Origin"
	headerUpgrade    = "Upgrade"
	headerConnection = "Connection"
	headerKey        = "Sec-Websocket-Key"
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
)

// keySize is how many bytes a client's key has before base64 (RFC 6455 §4.1).
const keySize = 16

// Rules say whom Upgrade lets in. The zero value lets in clients that are not browsers, and pages of
// this server's own origin.
type Rules struct {
	// AllowedOrigins are the origins of the other pages that may connect, as browsers write them:
	// "https://chat.example", with the port only where it is not the scheme's own. They match
	// exactly; there are no patterns.
	AllowedOrigins []string
}

// Check reports whether Upgrade would take r, and touches nothing. The *fault.Error is Forbidden for a
// page of an origin that is not allowed and Invalid for a request that is not a WebSocket handshake.
func Check(r *http.Request, rules Rules) error {
	if err := checkHandshake(r); err != nil {
		return err
	}
	return checkOrigin(r, rules)
}

// Upgrade answers r with 101 and returns its connection, with the bytes that the client has already
// sent after its request, if any: they come before everything that is read from the connection.
//
// The connection has no deadline: net/http's own end with the hijacking, and gobwas/ws sets its
// deadline for the answer and clears that. From here on the caller alone says what is late. No
// extension is negotiated, so no frame is compressed.
//
// A request that Check refuses gives Check's error. With that, and with an Internal error when w
// cannot be hijacked, nothing has been written and the caller answers. When writing the answer
// failed, the error is http.ErrHijacked (errors.Is): the connection has been closed and nobody can be
// answered.
func Upgrade(w http.ResponseWriter, r *http.Request, rules Rules) (net.Conn, []byte, error) {
	if err := Check(r, rules); err != nil {
		return nil, nil, err
	}
	// Hijacked here and not by gobwas/ws, which would write its own answer when that fails.
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fault.Wrap(fault.Internal, err, "the connection cannot be upgraded")
	}
	upgrader := ws.HTTPUpgrader{
		Timeout:  answerTimeout,
		Protocol: func(string) bool { return true }, // handshake leaves none but the one that we chose
	}
	if _, _, _, err = upgrader.Upgrade(handshake(r), taken{w, conn, rw}); err != nil {
		_ = conn.Close() // the error that matters is why the answer failed
		return nil, nil, fmt.Errorf("wsconn: answer the upgrade: %w: %w", http.ErrHijacked, err)
	}
	early, err := rw.Reader.Peek(rw.Reader.Buffered())
	if err != nil {
		_ = conn.Close() // as above
		return nil, nil, fmt.Errorf("wsconn: take over the read buffer: %w: %w", http.ErrHijacked, err)
	}
	return conn, bytes.Clone(early), nil
}

// taken is a ResponseWriter whose connection has been hijacked already.
type taken struct {
	http.ResponseWriter
	conn net.Conn
	rw   *bufio.ReadWriter
}

// Hijack hands over what was taken.
func (t taken) Hijack() (net.Conn, *bufio.ReadWriter, error) { return t.conn, t.rw, nil }

// handshake is r, which passed Check, as gobwas/ws wants it: it looks only at the first line of each
// header, and refuses some forms that are legal. The subprotocol is the one that we answer.
func handshake(r *http.Request) *http.Request {
	header := http.Header{
		headerUpgrade:    {"websocket"},
		headerConnection: {"Upgrade"},
		headerKey:        r.Header[headerKey],
		headerVersion:    {Version},
	}
	if protocol := choose(offered(r)); protocol != "" {
		header[headerProtocol] = []string{protocol}
	}
	return &http.Request{Method: http.MethodGet, ProtoMajor: 1, ProtoMinor: 1, Host: r.Host, Header: header}
}

// checkHandshake is the client's part of RFC 6455 §4.2.1.
func checkHandshake(r *http.Request) error {
	switch {
	case r.Method != http.MethodGet:
		return fault.New(fault.Invalid, "a WebSocket is opened with GET")
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return fault.New(fault.Invalid, "a WebSocket is opened over HTTP/1.1")
	case r.Host == "":
		return fault.New(fault.Invalid, "the Host header is missing")
	case !hasToken(r.Header[headerUpgrade], "websocket"):
		return fault.New(fault.Invalid, "this address takes WebSocket connections: Upgrade: websocket is missing")
	case !hasToken(r.Header[headerConnection], "upgrade"):
		return fault.New(fault.Invalid, "Connection: Upgrade is missing")
	case !slices.Equal(r.Header[headerVersion], []string{Version}):
		return fault.New(fault.Invalid, "Sec-WebSocket-Version must be %s", Version)
	case !validKey(r.Header[headerKey]):
		return fault.New(fault.Invalid, "Sec-WebSocket-Key must be 16 bytes in base64")
	case slices.ContainsFunc(offered(r), notToken):
		return fault.New(fault.Invalid, "Sec-WebSocket-Protocol has a name that is not a token")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// A body would be read as frames.
		return fault.New(fault.Invalid, "a WebSocket is opened without a body")
	}
	return nil
}

// checkOrigin refuses browsers' pages of other origins. Who sends no Origin is not a browser, and can
// claim any; tokens and not cookies say who asks, so an origin that lies gains nothing by it.
//
// Every comparison is of whole strings, as browsers write them, so there is nothing to be parsed
// otherwise than a browser would. An origin of "null" is every sandboxed frame and every local file
// of everybody, so listing it would list all: it is never allowed.
func checkOrigin(r *http.Request, rules Rules) error {
	origins := r.Header[headerOrigin]
	if len(origins) == 0 || len(origins) == 1 && origins[0] == "" {
		return nil
	}
	origin := origins[0]
	if len(origins) == 1 && origin != "null" {
		if slices.Contains(rules.AllowedOrigins, origin) || sameOrigin(origin, r, rules) {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "pages of this origin may not connect")
}

// sameOrigin reports whether origin is the address that r was sent to. TLS may end in front of us, so
// https is believed. http is a downgrade, and refused, where this server is known to be reached over
// https: by its own TLS, or because its https origin is listed.
func sameOrigin(origin string, r *http.Request, rules Rules) bool {
	secure := "https://" + r.Host
	if origin == secure {
		return true
	}
	return origin == "http://"+r.Host && r.TLS == nil && !slices.Contains(rules.AllowedOrigins, secure)
}

// hasToken reports whether the header of these lines lists token, in any case.
func hasToken(lines []string, token string) bool {
	return slices.ContainsFunc(list(lines), func(s string) bool { return strings.EqualFold(s, token) })
}

func validKey(lines []string) bool {
	if len(lines) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(lines[0])
	return err == nil && len(key) == keySize
}

// notToken reports whether s has a character that a token may not have (RFC 9110 §5.6.2).
func notToken(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}
