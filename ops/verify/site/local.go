package site

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site/hook"
)

// LocalOptions say what to start.
type LocalOptions struct {
	Dir     string // of everything; made when missing
	Canopy  string // path of the program
	Engines bool   // start a Cassandra and a PostgreSQL, which can be broken, too

	// Engines that run already, in place of ones of our own: the ways to them can be broken.
	Cassandra []string // host:port
	Keyspace  string   // in it
	Postgres  string   // DSN

	Settings []string                // more settings for every process, KEY=VALUE; they win over ours
	Say      func(text string)       // is told what happens; may be nil
	Rec      func() *record.Recorder // who writes down what webhooks are told; it and what it returns may be nil
}

// quick has a deployment do in seconds what takes minutes in production, and not hold back a load that few people make from one
// address. Limits stay in place: what a server does when it has too much to do is a part of what is looked at. That of
// a user's sends is one that a single person reaches by a burst (workload/burst), and those who measure capacity together do not.
var quick = []string{
	"edge.drain_spread=100ms", "edge.heartbeat=5s",
	"deliver.grace=1s", "deliver.first_retry=200ms", "deliver.max_retry=2s", "deliver.allow_private=127.0.0.0/8",
	"limits.conn_frames=2000/s burst 5000", "limits.conn_bytes=8MB/s burst 32MB", "limits.user_sends=500/s burst 150",
	"limits.channel_sends=5000/s burst 10000", "limits.address_connects=2000/s burst 5000",
	"limits.user_requests=2000/s burst 5000", "limits.address_requests=10000/s burst 20000",
}

// keeperName is who makes the workspaces on this machine.
const keeperName = "keeper"

// Local starts a deployment on this machine and waits until all of it is ready; ctx has no say afterwards. When something does not
// start, what runs is stopped.
func Local(ctx context.Context, o LocalOptions) (*Site, error) {
	s := newSite("local")
	s.told = o.Say
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.breakable(ctx)
	s.offerRenewal(o)
	return s, nil
}

func (s *Site) start(ctx context.Context, o LocalOptions) error {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return config.Problemf("the folder %s: %v", o.Dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { // PostgreSQL, as another user, must come through
		return config.Problemf("the folder %s: %v", o.Dir, err)
	}
	s.CassandraHosts, s.Keyspace, s.Postgres = o.Cassandra, o.Keyspace, o.Postgres
	if o.Engines {
		if err := s.startEngines(ctx, filepath.Join(dir, "engines"), o.Say); err != nil {
			return err
		}
	}
	if s.hook, err = hook.New(filepath.Join(dir, "hook"), o.Rec); err != nil {
		return err
	}
	s.life.Start("webhook", s.hook.Run, nil)
	tells, err := faultproxy.New(faultproxy.Config{Target: s.hook.Address()})
	if err != nil {
		return err
	}
	s.life.Start("the way to the webhook", tells.Run, nil)
	s.Hook = hook.URL(tells.Address())
	s.deployment, err = local.Start(ctx, local.Options{
		Dir: filepath.Join(dir, "site"), Canopy: o.Canopy, Proxies: true, Cassandra: s.CassandraHosts, Keyspace: s.Keyspace, Postgres: s.Postgres,
		Settings: append(append([]string(nil), quick...), o.Settings...), Env: []string{"SSL_CERT_FILE=" + s.hook.CA}, Say: o.Say,
	})
	if err != nil {
		return err
	}
	s.ways = append(s.deployment.Ways, local.Way{From: "deliver", To: "hook", Proxy: tells})
	s.know()
	return s.makeKeeper(ctx)
}

// know notes what is where.
func (s *Site) know() {
	d := s.deployment
	s.Dir, s.Regions, s.hub = d.Dir, d.Regions, d.HubURL()
	for _, region := range d.Regions {
		s.URL[region] = d.URL(region)
		for _, g := range d.Gateways[region] {
			s.Gateways = append(s.Gateways, Gateway{g.Name, region, d.Socket(g)})
		}
	}
	for _, p := range d.APIs {
		s.APIs = append(s.APIs, API{p.Name, p.Region, d.REST(p)})
	}
	for _, p := range d.Hubs {
		s.HubNodes = append(s.HubNodes, p.Name)
	}
	for _, p := range d.Processes() {
		s.Processes = append(s.Processes, Process{p.Name, tierOf(p), p.AdminURL + "/metrics", p.PID})
	}
}

// makeKeeper makes the first account, or finds it.
func (s *Site) makeKeeper(ctx context.Context) error {
	if _, err := s.deployment.Settle(ctx, "Keepers", []local.Person{{Login: keeperName, Region: s.Regions[0]}}); err != nil {
		return fmt.Errorf("the first account: %w", err)
	}
	for _, l := range s.deployment.File().Logins {
		if l.Login == keeperName {
			s.keeper = account{l.Login, l.Password}
		}
	}
	return nil
}

// startEngines starts a Cassandra and a PostgreSQL at addresses that are free.
func (s *Site) startEngines(ctx context.Context, dir string, say func(string)) error {
	network, err := freeNetwork()
	if err != nil {
		return err
	}
	s.engines, err = engines.Start(ctx, engines.Options{Dir: dir, Cassandra: 1, Postgres: true, Network: network, NoSync: true, Say: say})
	if err != nil {
		return err
	}
	at := s.engines.Addresses()
	s.CassandraHosts, s.Keyspace, s.Postgres = []string{net.JoinHostPort(at.Cassandra[0].Host, strconv.Itoa(at.Cassandra[0].Port))}, config.Default(config.Apart).Cassandra.Keyspace, at.Postgres.DSN
	return nil
}

// Ports that a node of Cassandra takes at its address: for clients, and for other nodes.
const cqlPort, storagePort = "9042", "7000"

// freeNetwork is three numbers of loopback addresses that no other ring has.
func freeNetwork() (string, error) {
	const guesses = 100
	var err error
	for range guesses {
		network := fmt.Sprintf("127.%d.%d", 64+rand.IntN(64), 1+rand.IntN(254))
		if err = errors.Join(tryListen(network+".1", cqlPort), tryListen(network+".1", storagePort)); err == nil {
			return network, nil
		}
	}
	return "", fmt.Errorf("no loopback address is free for Cassandra: %w", err)
}

func tryListen(host, port string) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	return l.Close()
}
