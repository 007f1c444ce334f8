package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/ops/deploy/certs"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

// wait is long: three servers elect leaders on a machine that may be busy.
const wait = 60 * time.Second

// Passwords begin with a digit and hold what URLs and the files' syntax could trip over.
const (
	appPassword     = "7e9$app"
	sysPassword     = "0x12sys"
	gatewayPassword = "1d gateway#"
	euPassword      = "12e5"
	usPassword      = "3us@/"
)

// variables are what the files read from the environment of one server.
type variables map[string]string

// file writes a shipped file for one server. The variables are put where the environment would be asked: several
// servers in one process have one environment. (TestTheOfficialServer uses the environment itself.)
func (v variables) file(t testing.TB, conf []byte) string {
	t.Helper()
	var text strings.Builder
	for name, value := range v {
		fmt.Fprintf(&text, "%s: %s\n", name, value)
	}
	text.Write(conf)
	path := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// free are addresses that nobody listens at, and not of the ports that systems give to connections, so that none takes
// one before its server does: members of a cluster must know each other's beforehand.
func free(t testing.TB, n int) []string {
	t.Helper()
	const first, ports, attempts = 20000, 10000, 100
	var addresses []string
	for range attempts {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+rand.N(ports)))
		if err != nil {
			continue // somebody has it
		}
		defer l.Close()
		if addresses = append(addresses, l.Addr().String()); len(addresses) == n {
			return addresses
		}
	}
	t.Fatalf("of %d ports, not %d are free", attempts, n)
	return nil
}

// site is a hub of three servers and leaves, from the shipped files.
type site struct {
	t     testing.TB
	tls   certs.Set
	hubs  []*natsd.Hub
	leafs []string // where the hub's servers listen for leaf nodes
	stops []func()
}

type server interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

// run starts a server; stop waits for its end.
func run(t testing.TB, s server) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("a server ended with: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func ready(t testing.TB, s server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func (s *site) certificates() variables {
	return variables{
		"CANOPY_TLS_CERT": deploy.Quote(s.tls.Cert), "CANOPY_TLS_KEY": deploy.Quote(s.tls.Key), "CANOPY_TLS_CA": deploy.Quote(s.tls.CA),
		"CANOPY_SYS_PASSWORD": deploy.Quote(sysPassword),
	}
}

// hub is what a server of the hub is told.
func (s *site) hub(i int, clusters []string) variables {
	routes := make([]string, len(clusters))
	for i, c := range clusters {
		routes[i] = "nats-route://" + c
	}
	v := s.certificates()
	v["CANOPY_HUB_NAME"] = fmt.Sprint("hub", i+1)
	v["CANOPY_HUB_TAGS"] = deploy.Quote("region:eu")
	v["CANOPY_HUB_LISTEN"] = "127.0.0.1:-1"
	v["CANOPY_HUB_MONITOR"] = "127.0.0.1:-1"
	v["CANOPY_HUB_CLUSTER_LISTEN"] = clusters[i]
	v["CANOPY_HUB_ROUTES"] = deploy.List(routes...)
	v["CANOPY_HUB_LEAF_LISTEN"] = s.leafs[i]
	v["CANOPY_HUB_STORE"] = deploy.Quote(s.t.TempDir())
	v["CANOPY_HUB_MAX_STORE"] = "10GB"
	v["CANOPY_APP_PASSWORD"] = deploy.Quote(appPassword)
	v["CANOPY_LEAF_EU_PASSWORD"] = deploy.Quote(euPassword)
	v["CANOPY_LEAF_US_PASSWORD"] = deploy.Quote(usPassword)
	return v
}

func silent() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.DiscardHandler)
}

// startHub starts the three servers and makes the streams, three copies of each.
func startHub(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	var err error
	if s.tls, err = certs.Make(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	at := free(t, 6)
	s.leafs = at[3:]
	for i := range 3 {
		h := natsd.NewHub(natsd.HubConfig{Common: natsd.Common{File: s.hub(i, at[:3]).file(t, deploy.HubConf), Logger: silent()}})
		s.hubs = append(s.hubs, h)
		s.stops = append(s.stops, run(t, h))
	}
	for _, h := range s.hubs {
		ready(t, h)
	}
	s.provision()
	return s
}

// services is a connection to the hub with all rights.
func (s *site) services() *nats.Conn { return dial(s.t, s.hubs[0].ClientURL()) }

// provision makes the streams from three processes at once, as three that run `canopy hub` do. What makes one of them
// give up is an error; what makes it try again is not.
func (s *site) provision() {
	s.t.Helper()
	wanted, err := provision.Load(streams.Files(), provision.Options{Replicas: 3, MaxBytes: 16 << 20})
	if err != nil {
		s.t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, h := range s.hubs {
		js, err := jetstream.NewWithDomain(dial(s.t, h.ClientURL()), streams.HubDomain)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Go(func() {
			eventually(s.t, "the streams are there", func() error {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := wanted.Ensure(ctx, js, nil)
				var refused *provision.RefusedError
				if errors.As(err, &refused) || errors.Is(err, provision.ErrEmptied) {
					s.t.Errorf("three at once: %v", err)
					return nil
				}
				return err
			})
		})
	}
	all.Wait()
	js, err := jetstream.NewWithDomain(s.services(), streams.HubDomain)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if changes, err := wanted.Ensure(ctx, js, nil); err != nil || len(changes) > 0 {
		s.t.Errorf("after three at once: %v, %v", changes, err)
	}
}

// leafOf is what a region's server is told.
func (s *site) leafOf(region, password string) variables {
	v := s.certificates()
	hubs := make([]string, len(s.leafs))
	for i, at := range s.leafs {
		hubs[i] = (&url.URL{Scheme: "tls", User: url.UserPassword(region, password), Host: at}).String()
	}
	v["CANOPY_REGION"] = region
	v["CANOPY_LEAF_NAME"] = "leaf-" + region
	v["CANOPY_LEAF_LISTEN"] = "127.0.0.1:-1"
	v["CANOPY_LEAF_MONITOR"] = "127.0.0.1:-1"
	v["CANOPY_LEAF_HUBS"] = deploy.List(hubs...)
	v["CANOPY_LEAF_STORE"] = deploy.Quote(s.t.TempDir())
	v["CANOPY_GATEWAY_PASSWORD"] = deploy.Quote(gatewayPassword)
	return v
}

// leaf starts a region's server.
func (s *site) leaf(region, password string) *natsd.Leaf {
	s.t.Helper()
	path := s.leafOf(region, password).file(s.t, deploy.LeafConf)
	l := natsd.NewLeaf(natsd.LeafConfig{Common: natsd.Common{File: path, Logger: silent()}, Region: region})
	run(s.t, l)
	ready(s.t, l)
	return l
}

func dial(t testing.TB, address string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(address, append([]nats.Option{nats.MaxReconnects(-1), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	end := time.Now().Add(wait)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Errorf("not within %v: %s: %v", wait, what, err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestTheShippedFiles starts the hub once for everything that can share it.
func TestTheShippedFiles(t *testing.T) {
	s := startHub(t)
	t.Run("nobody else gets in", s.testDoors)
	t.Run("what a region may send", s.testRegionSends)
	t.Run("what a region may hear", s.testRegionHears)
	eu, us := s.leaf("eu", euPassword), s.leaf("us", usPassword)
	t.Run("what a gateway may do", func(t *testing.T) { s.testGateway(t, eu) })
	t.Run("a region does not hear of the workspaces of another", func(t *testing.T) { s.testIsolation(t, eu, us) })
	t.Run("an edge works", func(t *testing.T) { s.testEdge(t, eu, us) })
}
