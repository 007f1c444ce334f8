package wsconn_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// request is the handshake of RFC 6455 §1.2, changed by edits.
func request(edits ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://chat.example/socket", nil)
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	r.Header.Set("Sec-WebSocket-Version", "13")
	for _, edit := range edits {
		edit(r)
	}
	return r
}

// header sets the lines of a header; none takes it away.
func header(key string, lines ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Del(key)
		for _, line := range lines {
			r.Header.Add(key, line)
		}
	}
}

func TestCheckHandshake(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*http.Request)
		kind fault.Kind // empty: taken
	}{
		{"the example of the RFC", func(*http.Request) {}, ""},
		{"Upgrade in another case", header("Upgrade", "WebSocket"), ""},
		{"Upgrade among others", header("Upgrade", "h2c, websocket"), ""},
		{"no Upgrade", header("Upgrade"), fault.Invalid},
		{"another Upgrade", header("Upgrade", "h2c"), fault.Invalid},
		{"Connection among others", header("Connection", "keep-alive, Upgrade"), ""},
		{"Connection in a second line", header("Connection", "keep-alive", "upgrade"), ""},
		{"no Connection", header("Connection"), fault.Invalid},
		{"another Connection", header("Connection", "keep-alive"), fault.Invalid},
		{"a word that contains it", header("Connection", "upgrade-now"), fault.Invalid},
		{"no key", header("Sec-WebSocket-Key"), fault.Invalid},
		{"a short key", header("Sec-WebSocket-Key", "c2hvcnQ="), fault.Invalid},
		{"a key of 24 characters that are not base64", header("Sec-WebSocket-Key", "????????????????????????"), fault.Invalid},
		{"two keys", header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="), fault.Invalid},
		{"no version", header("Sec-WebSocket-Version"), fault.Invalid},
		{"another version", header("Sec-WebSocket-Version", "8"), fault.Invalid},
		{"two versions", header("Sec-WebSocket-Version", "13, 8"), fault.Invalid},
		{"a subprotocol that is not a token", header("Sec-WebSocket-Protocol", "canopy.bearer.a=b"), fault.Invalid},
		{"a subprotocol with a control character", header("Sec-WebSocket-Protocol", "a\x01b"), fault.Invalid},
		{"a POST", func(r *http.Request) { r.Method = http.MethodPost }, fault.Invalid},
		{"HTTP/1.0", func(r *http.Request) { r.ProtoMinor = 0 }, fault.Invalid},
		{"HTTP/2", func(r *http.Request) { r.ProtoMajor, r.ProtoMinor = 2, 0 }, fault.Invalid},
		{"no Host", func(r *http.Request) { r.Host = "" }, fault.Invalid},
		{"a body", func(r *http.Request) { r.ContentLength = 1 }, fault.Invalid},
		{"a body in chunks", func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, fault.Invalid},
	} {
		if err := wsconn.Check(request(c.edit), wsconn.Rules{}); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %q", c.name, err, c.kind)
		}
	}
}

func TestCheckOrigin(t *testing.T) {
	const listed = "https://app.example"
	rules := wsconn.Rules{AllowedOrigins: []string{listed, "http://localhost:5173", "null"}}
	own := wsconn.Rules{AllowedOrigins: []string{"https://chat.example"}}
	overTLS := func(r *http.Request) { r.TLS = &tls.ConnectionState{} }
	host := func(h string) func(*http.Request) { return func(r *http.Request) { r.Host = h } }
	origin := func(lines ...string) func(*http.Request) { return header("Origin", lines...) }
	for _, c := range []struct {
		name  string
		rules wsconn.Rules
		edits []func(*http.Request)
		kind  fault.Kind // empty: taken
	}{
		{name: "none: not a browser", rules: rules},
		{name: "an empty one: not a browser", rules: rules, edits: []func(*http.Request){origin("")}},
		{name: "listed", rules: rules, edits: []func(*http.Request){origin(listed)}},
		{name: "listed with its port", rules: rules, edits: []func(*http.Request){origin("http://localhost:5173")}},
		{name: "our own", edits: []func(*http.Request){origin("http://chat.example")}},
		{name: "our own, TLS ending in front of us", edits: []func(*http.Request){origin("https://chat.example")}},
		{name: "our own, over our TLS", edits: []func(*http.Request){origin("https://chat.example"), overTLS}},
		{name: "our own with its port", edits: []func(*http.Request){host("127.0.0.1:8080"), origin("http://127.0.0.1:8080")}},
		{name: "our own https, listed", rules: own, edits: []func(*http.Request){origin("https://chat.example")}},

		{name: "our own over http, and ours is TLS", edits: []func(*http.Request){origin("http://chat.example"), overTLS}, kind: fault.Forbidden},
		{name: "our own over http, and https is listed", rules: own, edits: []func(*http.Request){origin("http://chat.example")}, kind: fault.Forbidden},
		{name: "our own host, another port", edits: []func(*http.Request){origin("http://chat.example:81")}, kind: fault.Forbidden},
		{name: "our own host, another scheme", edits: []func(*http.Request){origin("ftp://chat.example")}, kind: fault.Forbidden},
		{name: "our own host as a user", edits: []func(*http.Request){origin("https://chat.example@evil.example")}, kind: fault.Forbidden},
		{name: "our own in another case", edits: []func(*http.Request){origin("HTTP://chat.example")}, kind: fault.Forbidden},
		{name: "our own with a path", edits: []func(*http.Request){origin("http://chat.example/")}, kind: fault.Forbidden},
		{name: "another", rules: rules, edits: []func(*http.Request){origin("https://evil.example")}, kind: fault.Forbidden},
		{name: "another, nothing listed", edits: []func(*http.Request){origin(listed)}, kind: fault.Forbidden},
		{name: "null, even when listed", rules: rules, edits: []func(*http.Request){origin("null")}, kind: fault.Forbidden},
		{name: "a listed one as a prefix", rules: rules, edits: []func(*http.Request){origin(listed + ".evil.example")}, kind: fault.Forbidden},
		{name: "a listed one as a suffix", rules: rules, edits: []func(*http.Request){origin("https://evilapp.example")}, kind: fault.Forbidden},
		{name: "a subdomain of a listed one", rules: rules, edits: []func(*http.Request){origin("https://a.app.example")}, kind: fault.Forbidden},
		{name: "a listed one's other port", rules: rules, edits: []func(*http.Request){origin(listed + ":8443")}, kind: fault.Forbidden},
		{name: "a listed one's default port written out", rules: rules, edits: []func(*http.Request){origin(listed + ":443")}, kind: fault.Forbidden},
		{name: "a listed one in another case", rules: rules, edits: []func(*http.Request){origin("https://App.example")}, kind: fault.Forbidden},
		{name: "a listed https over http", rules: rules, edits: []func(*http.Request){origin("http://app.example")}, kind: fault.Forbidden},
		{name: "a listed one with a space", rules: rules, edits: []func(*http.Request){origin(listed + " ")}, kind: fault.Forbidden},
		{name: "two, both listed", rules: rules, edits: []func(*http.Request){origin(listed, listed)}, kind: fault.Forbidden},
		{name: "two in one", rules: rules, edits: []func(*http.Request){origin(listed + ", " + listed)}, kind: fault.Forbidden},
		{name: "a star is no pattern", rules: wsconn.Rules{AllowedOrigins: []string{"*"}}, edits: []func(*http.Request){origin(listed)}, kind: fault.Forbidden},
	} {
		if err := wsconn.Check(request(c.edits...), c.rules); fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want %q", c.name, err, c.kind)
		}
	}
}

// upgraded is what the server's side of a test got from Upgrade.
type upgraded struct {
	early []byte
	rest  []byte
	err   error
}

// dial sends wire to a real server that upgrades, closes its own side, and returns the server's answer
// and what it got.
func dial(t *testing.T, rules wsconn.Rules, wire string) (*http.Response, []byte, upgraded) {
	t.Helper()
	results := make(chan upgraded, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, early, err := wsconn.Upgrade(w, r, rules)
		if err != nil {
			http.Error(w, err.Error(), fault.KindOf(err).Status())
			results <- upgraded{err: err}
			return
		}
		rest, err := io.ReadAll(conn)
		results <- upgraded{early, rest, errors.Join(err, conn.Close())}
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, wire); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	var after []byte
	if response.StatusCode == http.StatusSwitchingProtocols {
		if after, err = io.ReadAll(reader); err != nil {
			t.Fatal(err)
		}
	}
	return response, after, <-results
}

const handshake = "GET /socket HTTP/1.1\r\nHost: chat.example\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

func TestUpgrade(t *testing.T) {
	sent := string(text("early"))
	response, after, got := dial(t, wsconn.Rules{},
		handshake+"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"+sent)
	if response.StatusCode != http.StatusSwitchingProtocols || got.err != nil {
		t.Fatalf("answered %s, %v", response.Status, got.err)
	}
	want := http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}, // of RFC 6455 §1.3
	}
	for key := range response.Header {
		if !slices.Equal(response.Header[key], want[key]) {
			t.Errorf("the answer has %s: %q, want %q", key, response.Header[key], want[key])
		}
	}
	if len(response.Header) != len(want) || len(after) > 0 {
		t.Errorf("the answer has the headers %v and then %q", response.Header, after)
	}
	if all := string(got.early) + string(got.rest); all != sent {
		t.Errorf("the server got %q after the handshake, want %q", all, sent)
	}
}

func TestUpgradeChoosesASubprotocol(t *testing.T) {
	for _, c := range []struct{ offers, want string }{
		{"", ""},
		{"Sec-WebSocket-Protocol: canopy.v1\r\n", "canopy.v1"},
		{"Sec-WebSocket-Protocol: canopy.bearer.a.b.c, canopy.v1\r\n", "canopy.v1"},
		{"Sec-WebSocket-Protocol: canopy.bearer.a.b.c\r\nSec-WebSocket-Protocol: canopy.v1\r\n", "canopy.v1"},
		{"Sec-WebSocket-Protocol: canopy.bearer.a.b-c_d\r\n", "canopy.bearer.a.b-c_d"},
		{"Sec-WebSocket-Protocol: other, canopy.bearer.a\r\n", "canopy.bearer.a"},
		{"Sec-WebSocket-Protocol: other, canopy.v2\r\n", ""},
	} {
		response, _, got := dial(t, wsconn.Rules{}, handshake+c.offers+"\r\n")
		if chosen := response.Header.Get("Sec-WebSocket-Protocol"); got.err != nil || chosen != c.want {
			t.Errorf("%q: %q chosen, %v; want %q", c.offers, chosen, got.err, c.want)
		}
	}
}

// What is refused is refused before anything is written: the handler answers over HTTP.
func TestUpgradeRefusesBeforeItWrites(t *testing.T) {
	for wire, kind := range map[string]fault.Kind{
		handshake + "Origin: https://evil.example\r\n\r\n":            fault.Forbidden,
		handshake + "Sec-WebSocket-Version: 8\r\n\r\n":                fault.Invalid,
		strings.Replace(handshake, "GET", "DELETE", 1) + "\r\n":       fault.Invalid,
		"GET /socket HTTP/1.1\r\nHost: chat.example\r\n\r\n":          fault.Invalid,
		handshake + "Sec-WebSocket-Protocol: canopy.bearer./\r\n\r\n": fault.Invalid,
	} {
		response, _, got := dial(t, wsconn.Rules{}, wire)
		if fault.KindOf(got.err) != kind || response.StatusCode != kind.Status() {
			t.Errorf("answered %s, %v; want %s", response.Status, got.err, kind)
		}
	}
}

func TestUpgradeOfWhatCannotBeHijacked(t *testing.T) {
	w := httptest.NewRecorder()
	_, _, err := wsconn.Upgrade(w, request(), wsconn.Rules{})
	if !fault.Is(err, fault.Internal) || errors.Is(err, http.ErrHijacked) {
		t.Errorf("error %v, want %s", err, fault.Internal)
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("%q was written", w.Body)
	}
}

// watched is a connection that notes its deadlines and whether it was closed.
type watched struct {
	net.Conn
	read, write time.Time
	bounded     bool // a write was made under a deadline
	closed      bool
	fails       error // of every write
	written     bytes.Buffer
}

func (w *watched) SetDeadline(t time.Time) error      { w.read, w.write = t, t; return nil }
func (w *watched) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *watched) SetWriteDeadline(t time.Time) error { w.write = t; return nil }
func (w *watched) Close() error                       { w.closed = true; return nil }
func (w *watched) Write(p []byte) (int, error) {
	w.bounded = !w.write.IsZero()
	if w.fails != nil {
		return 0, w.fails
	}
	return w.written.Write(p)
}

// hijackable is a ResponseWriter whose connection is conn, with early already read from it.
type hijackable struct {
	*httptest.ResponseRecorder
	conn  *watched
	early string
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	reader := bufio.NewReader(strings.NewReader(h.early))
	if _, err := reader.Peek(len(h.early)); err != nil {
		return nil, nil, err
	}
	return h.conn, bufio.NewReadWriter(reader, bufio.NewWriter(h.conn)), nil
}

func TestUpgradeLeavesNoDeadline(t *testing.T) {
	conn := &watched{read: time.Unix(1, 0), write: time.Unix(1, 0)}
	got, early, err := wsconn.Upgrade(hijackable{httptest.NewRecorder(), conn, "early bytes"}, request(), wsconn.Rules{})
	if err != nil || got != net.Conn(conn) || string(early) != "early bytes" {
		t.Fatalf("%v, %q, %v", got, early, err)
	}
	if !conn.bounded {
		t.Error("the answer was written without a deadline")
	}
	if !conn.read.IsZero() || !conn.write.IsZero() || conn.closed {
		t.Errorf("left with deadlines %v and %v, closed %v", conn.read, conn.write, conn.closed)
	}
	if !strings.HasPrefix(conn.written.String(), "HTTP/1.1 101 ") {
		t.Errorf("answered %q", conn.written.String())
	}
}

func TestUpgradeWhoseAnswerFails(t *testing.T) {
	broken := errors.New("broken pipe")
	conn := &watched{fails: broken}
	w := hijackable{httptest.NewRecorder(), conn, ""}
	_, _, err := wsconn.Upgrade(w, request(), wsconn.Rules{})
	if !errors.Is(err, http.ErrHijacked) || !errors.Is(err, broken) || !conn.closed {
		t.Errorf("error %v, closed %v; want the reason, and the connection closed", err, conn.closed)
	}
}
