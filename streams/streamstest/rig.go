package streamstest

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

// rig is what a Cluster and a HubCluster have in common: a test, and how servers and clients are started for it.
type rig struct {
	t       testing.TB
	options Options
}

func newRig(t testing.TB, o Options) rig {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.PingInterval == 0 {
		o.PingInterval = 2 * time.Second
	}
	if o.Provision.MaxBytes == 0 {
		o.Provision.MaxBytes = 64 << 20
	}
	return rig{t: t, options: o}
}

// common is what every server is told.
func (r *rig) common(name string) natsd.Common {
	return natsd.Common{
		Name: name, StoreDir: r.t.TempDir(), App: natsd.Login{User: "canopy", Password: "canopy-secret"},
		SyncAlways: r.options.SyncAlways, PingInterval: r.options.PingInterval, Logger: r.options.Logger,
	}
}

func (r *rig) wanted() *provision.Wanted {
	r.t.Helper()
	wanted, err := provision.Load(streams.Files(), r.options.Provision)
	if err != nil {
		r.t.Fatal(err)
	}
	return wanted
}

// server is what natsd.Hub and natsd.Leaf have in common.
type server interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

// run starts a server and returns what stops it and waits for its end.
func (r *rig) run(s server) (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("a NATS server ended with: %v", err)
		}
	})
	r.t.Cleanup(stop)
	waiting, done := context.WithTimeout(ctx, Wait)
	defer done()
	if err := s.Ready(waiting); err != nil {
		r.t.Fatal(err)
	}
	return stop
}

// host is the host:port of a URL.
func (r *rig) host(address string) string {
	r.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	return u.Host
}

// through is a URL that leads to the same server through a link.
func (r *rig) through(l *Link, address string) string {
	r.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	u.Host = l.Addr()
	return u.String()
}

// Dial makes another connection, which lives as long as the test and reconnects for ever.
func (r *rig) Dial(address string, options ...nats.Option) *nats.Conn {
	r.t.Helper()
	nc, err := nats.Connect(address, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0),
	}, options...)...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

func (r *rig) jetStream(nc *nats.Conn) jetstream.JetStream {
	r.t.Helper()
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		r.t.Fatal(err)
	}
	return js
}

// Context is one that ends after Wait, or with the test.
func (r *rig) Context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Wait)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) answers(nc *nats.Conn, what string) {
	r.t.Helper()
	r.eventually(what, func() bool {
		_, err := nc.Request(streams.HubInfoSubject(), nil, 100*time.Millisecond)
		return err == nil
	})
}

func (r *rig) eventually(what string, cond func() bool) {
	r.t.Helper()
	r.within(Wait, what, cond)
}

func (r *rig) within(limit time.Duration, what string, cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(limit); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
