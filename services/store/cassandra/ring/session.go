package ring

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

const (
	protocol       = 4                      // of Cassandra 2.2 to 5; the driver's version 1 knows no later one well
	connections    = 2                      // to each node; one carries 32,768 questions at once
	pageRows       = 500                    // rows of a page when a Read does not say
	maxPageRows    = 5_000                  // rows of a page at most: a page is in memory on both sides
	reconnectEvery = 2 * time.Second        // a node that came back is asked again after this at the latest
	keepalive      = 15 * time.Second       // so that a peer that vanished is noticed without a question
	connectPause   = 100 * time.Millisecond // after a connection that failed
	setupTimeout   = 30 * time.Second       // of one statement of a migration: DDL is slower than any question
)

// link is one session of the driver, and what was the matter when it was made.
type link struct {
	*gocql.Session

	stop context.CancelFunc // ends connecting
}

func (l *link) Close() {
	l.stop()
	l.Session.Close()
}

// target is what a session is for.
type target struct {
	hosts      []string
	keyspace   string        // empty: none
	datacenter string        // empty: the hosts are asked as they are, and no others are looked for
	timeout    time.Duration // of one try
	retry      gocql.RetryPolicy
}

// connect makes a session. It takes one Timeout for each host at the most, and gives up when ctx ends. The error
// is Unavailable when no host answers, and says what is wrong when one answers that it will not have us.
func (c Config) connect(ctx context.Context, to target) (*link, error) {
	secured, err := c.secured()
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	seen := &witness{}
	cluster := gocql.NewCluster(to.hosts...)
	cluster.ProtoVersion = protocol
	cluster.Keyspace = to.keyspace
	cluster.Consistency = gocql.LocalQuorum
	cluster.SerialConsistency = gocql.LocalSerial
	cluster.DefaultTimestamp = false // a write says its own, or is given the node's
	cluster.DefaultIdempotence = true
	cluster.Timeout = to.timeout
	cluster.ConnectTimeout = c.Timeout
	cluster.NumConns = connections
	cluster.PageSize = pageRows
	cluster.RetryPolicy = to.retry
	cluster.ReconnectInterval = reconnectEvery
	cluster.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: connectPause}
	cluster.MaxWaitSchemaAgreement = setupTimeout
	cluster.ConnectObserver = seen
	cluster.Logger = quiet{c.Logger}
	cluster.Dialer = dialer{net.Dialer{KeepAlive: keepalive}, secured, c.Timeout, life, c.Through}
	if secured != nil {
		cluster.WriteCoalesceWaitTime = 0 // it gathers frames for one system call, which TLS does not make of them
	}
	if c.User != "" {
		cluster.Authenticator = gocql.PasswordAuthenticator{Username: c.User, Password: c.Password}
	}
	if to.datacenter == "" {
		cluster.NumConns = 1
		cluster.DisableInitialHostLookup = true
		cluster.Events.DisableNodeStatusEvents = true
		cluster.Events.DisableTopologyEvents = true
		cluster.Events.DisableSchemaEvents = true
	} else {
		// A node elsewhere would take LOCAL_QUORUM for a quorum of its own datacenter, and answer what is old here.
		cluster.HostFilter = gocql.HostFilterFunc(func(h *gocql.HostInfo) bool { return h.DataCenter() == to.datacenter })
		cluster.PoolConfig.HostSelectionPolicy = gocql.SingleHostReadyPolicy(newNearest(to.datacenter))
	}
	release := context.AfterFunc(ctx, stop)
	session, err := cluster.CreateSession()
	if goesOn := release(); err == nil && !goesOn {
		session.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		return nil, connectFailed(errors.Join(err, seen.last()), to.hosts)
	}
	return &link{session, stop}, nil
}

// dialer dials until the session ends, also while the driver makes it: the driver itself takes no context. It does TLS
// itself as well, because the driver's waits for ever for a node that says nothing.
type dialer struct {
	tcp     net.Dialer
	secured *tls.Config // nil: no TLS
	timeout time.Duration
	life    context.Context
	through []string
}

// reach connects to a node, where Config.Through says. The driver takes a node's port from its connection, so that one says the node's.
func (d dialer) reach(ctx context.Context, network, node string) (net.Conn, error) {
	for _, way := range d.through {
		of, address, ok := strings.Cut(way, "=")
		if !ok || of != node {
			continue
		}
		as, err := net.ResolveTCPAddr(network, node)
		if err != nil {
			return nil, err
		}
		conn, err := d.tcp.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return throughConn{conn, as}, nil
	}
	return d.tcp.DialContext(ctx, network, node)
}

// throughConn is a connection to a node by another address.
type throughConn struct {
	net.Conn
	node *net.TCPAddr
}

// RemoteAddr implements net.Conn.
func (c throughConn) RemoteAddr() net.Addr { return c.node }

// DialContext implements gocql.Dialer.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	plain, err := d.reach(ctx, network, address)
	if err != nil || d.secured == nil {
		return plain, err
	}
	node, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	settings := d.secured.Clone()
	settings.ServerName = node
	secured := tls.Client(plain, settings)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	return secured, nil
}

// witness remembers why the last connection failed: the driver hands on the text of it only.
type witness struct {
	mu  sync.Mutex
	err error // guarded by mu
}

// ObserveConnect implements gocql.ConnectObserver.
func (w *witness) ObserveConnect(o gocql.ObservedConnect) {
	if o.Err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = o.Err
}

func (w *witness) last() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// quiet is the driver's log. What matters of it comes back as an error from a call, so all of it is for
// debugging; the driver writes about connections and hosts, never about statements or their arguments.
type quiet struct{ log *slog.Logger }

const maxLogLine = 300 // bytes; the driver prints whole hosts

func (q quiet) line(s string) {
	if len(s) > maxLogLine {
		s = s[:maxLogLine]
	}
	q.log.Debug("cassandra driver", "says", s)
}

func (q quiet) Print(v ...any)                 { q.line(fmt.Sprint(v...)) }
func (q quiet) Printf(format string, v ...any) { q.line(fmt.Sprintf(format, v...)) }
func (q quiet) Println(v ...any)               { q.line(fmt.Sprintln(v...)) }
