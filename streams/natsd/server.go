package natsd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/canopychat/canopy/streams"
)

var (
	// ErrNotStarted says that a server could not start: a port is taken, a folder cannot be written,
	// or what it was given contradicts itself.
	ErrNotStarted = errors.New("the embedded NATS server did not start")
	// ErrFailed says that a server that ran gave up.
	ErrFailed = errors.New("the embedded NATS server failed")
	// ErrRanTwice says that Run was called a second time; a new value is needed for another run.
	ErrRanTwice = errors.New("Run may be called once")
)

// Defaults of fields that were left at zero.
const (
	DefaultMaxStore     = 8 << 30          // bytes of streams in files that may be reserved: what provision.Alone asks for, and room
	DefaultMaxMemory    = 256 << 20        // bytes of streams in memory
	DefaultPingInterval = 10 * time.Second // two pings without an answer end a connection or link (nats.md §3)
	maxPingsOut         = 2
	reconnectReports    = 60                   // attempts to reach the hub for one line in the log
	pollInterval        = 5 * time.Millisecond // between two looks at a server that cannot be waited for
)

// A Login is a user of the server and their password, in plain text. Keys and permissions of a user
// would be fields here.
type Login struct {
	User     string
	Password string
}

// Common is what every embedded server is told.
type Common struct {
	// File is the path of a configuration file of nats-server. With it, the file says everything about the server, and of
	// the other fields only App, System and Logger count: App and System are then how this process logs in, and where
	// they are empty, the first users of those accounts that the file has with a password in plain text.
	File string

	Name    string // of the server; unique among those that are connected
	Listen  string // host:port for clients; empty or port 0: any free port of the loopback interface
	Monitor string // host:port of the monitoring endpoints; empty: none
	App     Login  // the user of the account streams.AccountApp
	System  Login  // the user of the account streams.AccountSystem; an empty User: none

	StoreDir  string // the folder of JetStream's files; no other server may use it
	MaxStore  int64  // bytes; see DefaultMaxStore
	MaxMemory int64  // bytes; see DefaultMaxMemory

	// SyncAlways makes the server fsync before it acknowledges: nothing acknowledged is lost when the
	// machine loses power. Without it, files are synced every SyncInterval (zero: two minutes), and
	// only a killed process loses nothing.
	SyncAlways   bool
	SyncInterval time.Duration

	PingInterval time.Duration // zero: DefaultPingInterval
	Logger       *slog.Logger  // warnings and errors, and debug lines if it takes them; nil: slog.Default
}

// node is what Hub and Leaf have in common: one server from Run to its end.
type node struct {
	// immutable after New
	kind     string // for messages: hub or leaf
	log      *slog.Logger
	build    func() (*server.Options, error)
	up, done chan struct{} // closed by Run: started; ended

	mu    sync.Mutex // guards what follows
	ran   bool
	srv   *server.Server  // nil until up
	opts  *server.Options // with the ports that were found
	app   Login           // of the account streams.AccountApp
	sys   Login           // of the account streams.AccountSystem
	ended error           // of Run, valid once done is closed
}

func newNode(kind string, c Common, build func() (*server.Options, error)) node {
	log := c.Logger
	if log == nil {
		log = slog.Default()
	}
	return node{
		kind: kind, app: c.App, sys: c.System, log: log.With("nats", kind), build: build,
		up: make(chan struct{}), done: make(chan struct{}),
	}
}

// Run starts the server and blocks until ctx ends and the server has shut down, its connections closed
// and its files written; then it returns nil. The error wraps ErrNotStarted or ErrFailed.
// Killing the process instead is safe: JetStream recovers from its files.
func (n *node) Run(ctx context.Context) error {
	n.mu.Lock()
	ran := n.ran
	n.ran = true
	n.mu.Unlock()
	if ran {
		return ErrRanTwice
	}
	err := n.run(ctx)
	n.mu.Lock()
	n.ended = err
	n.mu.Unlock()
	close(n.done)
	return err
}

func (n *node) run(ctx context.Context) error {
	opts, err := n.build()
	if err != nil {
		return n.failed(ErrNotStarted, err.Error())
	}
	opts.LameDuckDuration, opts.LameDuckGracePeriod = closeClients, beforeClients
	srv, err := server.NewServer(opts)
	if err != nil {
		return n.failed(ErrNotStarted, err.Error())
	}
	logger := newLogger(n.log)
	srv.SetLoggerV2(logger, logger.debug, false, false)
	srv.Start() // returns when every listener listens and every stream is recovered, or after a Fatalf
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	select {
	case reason := <-logger.fatal:
		if strings.Contains(reason, "JetStream") {
			reason += " (its files are in " + opts.StoreDir + ")" // the server does not say where
		}
		return n.failed(ErrNotStarted, reason)
	default:
	}

	n.mu.Lock()
	n.srv, n.opts = srv, opts
	if n.app.User == "" {
		n.app = firstLogin(opts, streams.AccountApp)
	}
	if n.sys.User == "" {
		n.sys = firstLogin(opts, streams.AccountSystem)
	}
	n.mu.Unlock()
	close(n.up)

	select {
	case <-ctx.Done():
		yield(srv)
		return nil
	case reason := <-logger.fatal:
		return n.failed(ErrFailed, reason)
	}
}

func (n *node) failed(kind error, reason string) error {
	return fmt.Errorf("%s: %w: %s", n.kind, kind, reason)
}

// started waits for the server, and returns Run's error if there will be none.
func (n *node) started(ctx context.Context) (*server.Server, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is not up: %w", n.kind, context.Cause(ctx))
	case <-n.done:
	case <-n.up:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.done: // it may have been up before
		if n.ended != nil {
			return nil, n.ended
		}
		return nil, n.failed(ErrNotStarted, "it has been stopped")
	default:
		return n.srv, nil
	}
}

// until looks at the server until cond holds, the server ends or ctx does.
func (n *node) until(ctx context.Context, what string, cond func(*server.Server) bool) error {
	srv, err := n.started(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(pollInterval) // the server has no event for this
	defer tick.Stop()
	for !cond(srv) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %s: %w", n.kind, what, context.Cause(ctx))
		case <-n.done:
			return n.failed(ErrFailed, what)
		case <-tick.C:
		}
	}
	return nil
}

// ClientURL is where clients of the account streams.AccountApp connect, with their credentials in it.
// It is empty before the server is up, and without a user (see Common.File).
func (n *node) ClientURL() string { return n.url(func() Login { return n.app }) }

// SystemURL is the same for the system account. It is empty if that has no user.
func (n *node) SystemURL() string { return n.url(func() Login { return n.sys }) }

func (n *node) url(login func() Login) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	as := login()
	if n.srv == nil || as.User == "" {
		return ""
	}
	return loginURL("nats", as, n.opts.Host, n.opts.Port)
}

// MonitorURL is the root of the monitoring endpoints; empty if there are none or the server is not up.
func (n *node) MonitorURL() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil || n.srv.MonitorAddr() == nil {
		return ""
	}
	return "http://" + n.srv.MonitorAddr().String()
}

// InProcessConn is a connection to the server without a socket: what nats.InProcessServer asks for.
// The client must still log in.
func (n *node) InProcessConn() (net.Conn, error) {
	n.mu.Lock()
	srv := n.srv
	n.mu.Unlock()
	if srv == nil {
		return nil, fmt.Errorf("%s: %w: it is not up yet", n.kind, ErrNotStarted)
	}
	return srv.InProcessConn()
}

// options are those that hub and leaf share.
func (c Common) options(domain string) (*server.Options, error) {
	if c.Name == "" || c.StoreDir == "" || c.App.User == "" || c.App.Password == "" {
		return nil, errors.New("it needs a name, a store folder and a user with a password")
	}
	opts := &server.Options{
		ServerName:             c.Name,
		NoSigs:                 true, // signals belong to the process
		PingInterval:           positive(c.PingInterval, DefaultPingInterval),
		MaxPingsOut:            maxPingsOut,
		JetStream:              true,
		JetStreamDomain:        domain,
		JetStreamMaxStore:      positive(c.MaxStore, DefaultMaxStore),
		JetStreamMaxMemory:     positive(c.MaxMemory, DefaultMaxMemory),
		JetStreamLimits:        server.JSLimitOpts{DefaultMaxConsumers: -1}, // 2.15 allows 1,000 a stream otherwise (nats.md §6)
		StoreDir:               c.StoreDir,
		SyncAlways:             c.SyncAlways,
		SyncInterval:           max(c.SyncInterval, 0),
		DisableJetStreamBanner: true,
		ReconnectErrorReports:  reconnectReports,
	}
	// Only the text form of the configuration can say that an account has JetStream from the first
	// moment; done by calls after the start, a leaf link could come up before it.
	accounts := "accounts { " + streams.AccountApp + ": { jetstream: enabled }, " + streams.AccountSystem + ": {} }\n" +
		"system_account: " + streams.AccountSystem
	if err := opts.ProcessConfigString(accounts); err != nil {
		return nil, err
	}
	for _, account := range opts.Accounts {
		switch account.Name {
		case streams.AccountApp:
			opts.Users = append(opts.Users, &server.User{Username: c.App.User, Password: c.App.Password, Account: account})
		case streams.AccountSystem:
			if c.System.User != "" {
				opts.Users = append(opts.Users, &server.User{Username: c.System.User, Password: c.System.Password, Account: account})
			}
		}
	}
	var err error
	if opts.Host, opts.Port, err = address(c.Listen); err != nil {
		return nil, err
	}
	if c.Monitor != "" {
		opts.HTTPHost, opts.HTTPPort, err = address(c.Monitor)
	}
	return opts, err
}

// address reads host:port as the server's options want it: a port that is free is -1 there.
func address(listen string) (host string, port int, err error) {
	const loopback = "127.0.0.1"
	if listen == "" {
		return loopback, server.RANDOM_PORT, nil
	}
	host, digits, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", listen)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port", listen)
	}
	if host == "" {
		host = loopback
	}
	if n == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(n), nil
}

// loginURL names the loopback interface where the server listens on all of them.
func loginURL(scheme string, as Login, host string, port int) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: scheme, Host: net.JoinHostPort(host, strconv.Itoa(port))}
	if as.User != "" {
		u.User = url.UserPassword(as.User, as.Password)
	}
	return u.String()
}

func positive[T ~int64](n, otherwise T) T {
	if n > 0 {
		return n
	}
	return otherwise
}
