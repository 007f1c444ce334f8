package ring_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// answered is an error that a node answered.
type answered int

func (a answered) Code() int       { return int(a) }
func (a answered) Message() string { return "words" }
func (a answered) Error() string   { return "words" }

func TestWhatAFailureMeans(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want ring.Reason
	}{
		{answered(gocql.ErrCodeServer), ring.Broken},
		{answered(gocql.ErrCodeProtocol), ring.Refused},
		{answered(gocql.ErrCodeCredentials), ring.Refused},
		{answered(gocql.ErrCodeUnavailable), ring.TooFew},
		{answered(gocql.ErrCodeOverloaded), ring.Overloaded},
		{answered(gocql.ErrCodeBootstrapping), ring.Bootstrapping},
		{answered(gocql.ErrCodeTruncate), ring.Broken},
		{answered(gocql.ErrCodeWriteTimeout), ring.Timeout},
		{answered(gocql.ErrCodeReadTimeout), ring.Timeout},
		{answered(gocql.ErrCodeReadFailure), ring.Broken},
		{answered(gocql.ErrCodeWriteFailure), ring.Broken},
		{answered(gocql.ErrCodeCDCWriteFailure), ring.Broken},
		{answered(gocql.ErrCodeCASWriteUnknown), ring.Unknown},
		{answered(gocql.ErrCodeFunctionFailure), ring.Refused},
		{answered(gocql.ErrCodeSyntax), ring.Refused},
		{answered(gocql.ErrCodeUnauthorized), ring.Refused},
		{answered(gocql.ErrCodeInvalid), ring.Refused},
		{answered(gocql.ErrCodeConfig), ring.Refused},
		{answered(gocql.ErrCodeAlreadyExists), ring.Refused},
		{answered(gocql.ErrCodeUnprepared), ring.Refused},
		{&gocql.RequestErrUnavailable{}, ring.Broken}, // its code is 0 here; from a node it is that of its kind
		{gocql.ErrTimeoutNoResponse, ring.Timeout},
		{gocql.ErrTooManyTimeouts, ring.Timeout},
		{gocql.ErrUnavailable, ring.TooFew},
		{gocql.ErrNoConnections, ring.NoConnection},
		{gocql.ErrConnectionClosed, ring.NoConnection},
		{gocql.ErrSessionClosed, ring.NoConnection},
		{gocql.ErrNoConnectionsStarted, ring.NoConnection},
		{gocql.ErrNoStreams, ring.Overloaded},
		{gocql.ErrQueryArgLength, ring.Refused},
		{gocql.ErrKeyspaceDoesNotExist, ring.Refused},
		{io.EOF, ring.NoConnection},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, ring.NoConnection},
		{errors.New("gocql: heartbeat failed"), ring.NoConnection},
		{fmt.Errorf("unable to read frame body: read 3/9 bytes: %v", io.EOF), ring.NoConnection},
		{errors.New("gocql: unable to fetch prepared info: no connection available"), ring.NoConnection},
		{context.Canceled, ring.Ended},
		{context.DeadlineExceeded, ring.Ended},
		{errors.New("can not marshal"), ring.Refused},
	} {
		if got := ring.ReasonOf(fmt.Errorf("around it: %w", tt.err)); got != tt.want {
			t.Errorf("%T %v is %s, want %s", tt.err, tt.err, got, tt.want)
		}
		err := ring.Failure(tt.err, "read the thing")
		if is := fault.Is(err, fault.Unavailable); is != (tt.want != ring.Refused) || !errors.Is(err, tt.err) || !strings.Contains(err.Error(), "read the thing: ") {
			t.Errorf("%T is handed on as %v", tt.err, err)
		}
	}
	kind := fault.New(fault.Conflict, "It is there.")
	if err := ring.Failure(kind, "read"); err != error(kind) || ring.Failure(nil, "read") != nil || ring.ReasonOf(nil) != "" {
		t.Errorf("a failure with a kind becomes %v", err)
	}
}

// refused is an address where nobody listens.
func refused(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

func TestARingThatIsNotThereIsUnavailable(t *testing.T) {
	for name, host := range map[string]string{
		"nobody listens":  refused(t),
		"it says nothing": answering(t, 0, nil),
		"it is starting":  answering(t, 0x00, append(binary.BigEndian.AppendUint32(nil, gocql.ErrCodeBootstrapping), text("starting")...)),
		"it has no name":  "nobody.invalid",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ring.Open(t.Context(), ring.Config{Hosts: []string{host}, Keyspace: "k", Timeout: 300 * time.Millisecond})
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), host) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestWhatAnotherTryDoesNotMendIsNotUnavailable(t *testing.T) {
	badLogin := append(binary.BigEndian.AppendUint32(nil, gocql.ErrCodeCredentials), text("Provided username a and/or password are incorrect")...)
	none := t.TempDir() + "/not.pem"
	if err := os.WriteFile(none, []byte("not PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := ring.Config{Hosts: []string{"127.0.0.1:9"}, Keyspace: "k", Timeout: 5 * time.Second}
	for _, tt := range []struct {
		want   string
		change func(c *ring.Config)
	}{
		{"no hosts", func(c *ring.Config) { c.Hosts = nil }},
		{"is no keyspace", func(c *ring.Config) { c.Keyspace = `k"; DROP` }},
		{"a timeout of", func(c *ring.Config) { c.Timeout = -1 }},
		{"-1 copies", func(c *ring.Config) { c.Replication = -1 }},
		{"a password without a user", func(c *ring.Config) { c.Password = "secret" }},
		{"is not host or host:port", func(c *ring.Config) { c.Hosts = []string{"127.0.0.1:port"} }},
		{"is not host or host:port", func(c *ring.Config) { c.Hosts = []string{"a:b:c"} }},
		{"no such file", func(c *ring.Config) { c.TLSCA = none + ".none" }},
		{"no certificate in PEM", func(c *ring.Config) { c.TLSCA = none }},
		{"look at user and password", func(c *ring.Config) { c.Hosts, c.User = []string{answering(t, 0x00, badLogin)}, "a" }},
		{"asks for a user and a password", func(c *ring.Config) {
			c.Hosts = []string{answering(t, 0x03, text("org.apache.cassandra.auth.PasswordAuthenticator"))}
		}},
	} {
		c := good
		tt.change(&c)
		_, err := ring.Open(t.Context(), c)
		if err == nil || fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.want, err)
		}
	}
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	signer := t.TempDir() + "/signer.pem"
	if err := os.WriteFile(signer, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	other := certificate(t)
	refusal := append(binary.BigEndian.AppendUint32(nil, gocql.ErrCodeCredentials), text("no")...)
	for _, tt := range []struct {
		name, host, want string
		timeout          time.Duration
	}{
		// That the ring refuses us says that it was understood.
		{"of who signed", answeringWith(t, certified.TLS, 0x00, refusal), "look at user and password", time.Minute},
		{"of somebody else", answeringWith(t, &tls.Config{Certificates: []tls.Certificate{other}}, 0x00, refusal), "TLS does not come about", time.Minute},
		{"a node without", answering(t, 0x00, refusal), "", 200 * time.Millisecond},
	} {
		_, err := ring.Open(t.Context(), ring.Config{Hosts: []string{tt.host}, Keyspace: "k", Timeout: tt.timeout, TLSCA: signer})
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.Is(err, fault.Unavailable) != (tt.want == "") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// certificate is one that nobody signed but itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(nil, about, about, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ring.Open(ctx, ring.Config{Hosts: []string{answering(t, 0, nil)}, Keyspace: "k", Timeout: time.Minute})
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestARingIsMigratedOnlyWhenItIsWhole(t *testing.T) {
	for _, tt := range []struct {
		name string
		ring map[string]string // schemas
		want string            // empty: it may begin
	}{
		{"one node", map[string]string{"a": "1"}, ""},
		{"three that agree", map[string]string{"a": "1", "b": "1", "c": "1"}, ""},
		{"one does not answer", map[string]string{"a": "1", "b": "", "c": "1"}, "every node is up, and b does not answer: connection refused"},
		{"two do not answer", map[string]string{"a": "1", "b": "", "c": ""}, "b, c does not answer"},
		{"one has another schema", map[string]string{"a": "1", "b": "2", "c": "1"}, "map[1:[a c] 2:[b]]"},
		{"one is down, one differs", map[string]string{"a": "1", "b": "2", "c": ""}, "c does not answer"},
	} {
		err := ring.CheckRing(tt.ring)
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.want != "" && (!fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing was migrated") || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCopiesAreAtMostOneForEachNode(t *testing.T) {
	for _, tt := range []struct {
		nodes        []string
		wanted, want int
	}{
		{[]string{"eu"}, 3, 1},
		{[]string{"eu", "eu"}, 3, 2},
		{[]string{"eu", "us", "us", "us"}, 3, 1},
		{[]string{"eu", "eu", "us", "eu", "eu"}, 3, 3},
	} {
		if got := ring.Copies(tt.nodes, "eu", tt.wanted); got != tt.want {
			t.Errorf("%v: %d copies, want %d", tt.nodes, got, tt.want)
		}
	}
}
