package site

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local"
)

// RunningOptions say where a deployment runs.
type RunningOptions struct {
	URL             map[string]string // by region: where people reach it
	Login, Password string            // of somebody with an account there; they will own the two workspaces that Settle makes

	Hub            string   // NATS URLs of the hub with the services' login, commas between; empty: the log is not looked at
	HubNodes       []string // names of its nodes
	CassandraHosts []string // host:port; empty: history is looked at over REST alone
	Keyspace       string   // in it
	Postgres       string   // DSN
}

// Running is a deployment that runs. Where a region's URL is plain http there is a proxy of ours before it, and the way to it can be
// broken; TLS is left alone, and nothing can. Nothing else is touched but two workspaces of its own.
func Running(ctx context.Context, o RunningOptions) (*Site, error) {
	if len(o.URL) == 0 {
		return nil, config.Problemf("a deployment that runs wants its address")
	}
	s := newSite("")
	s.hub, s.HubNodes, s.CassandraHosts, s.Keyspace, s.Postgres = o.Hub, o.HubNodes, o.CassandraHosts, o.Keyspace, o.Postgres
	s.keeper = account{o.Login, o.Password}
	for region := range o.URL {
		s.Regions = append(s.Regions, region)
	}
	slices.Sort(s.Regions)
	for _, region := range s.Regions {
		if err := s.approach(region, o.URL[region]); err != nil {
			s.life.Stop()
			return nil, err
		}
	}
	s.Name = o.URL[s.Regions[0]]
	in, err := client.Login(ctx, s.URL[s.Regions[0]], o.Login, o.Password, device)
	if err == nil {
		err = in.Logout(ctx)
	}
	if err != nil {
		s.life.Stop()
		return nil, fmt.Errorf("sign in at %s as %s: %w", s.Name, o.Login, err)
	}
	if len(s.ways) > 0 {
		s.offerWays()
		s.offerCrowd()
	}
	return s, nil
}

// approach finds the way to a region.
func (s *Site) approach(region, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return config.Problemf("the address of %s, %.200q, is not http://host or https://host", region, address)
	}
	s.URL[region] = strings.TrimRight(address, "/")
	if u.Scheme == "https" {
		return nil
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "80")
	}
	p, err := faultproxy.New(faultproxy.Config{Target: u.Host})
	if err != nil {
		return err
	}
	s.life.Start("the way to "+region, p.Run, nil)
	s.ways = append(s.ways, local.Way{From: local.Client, To: "front-" + region, Proxy: p})
	u.Host = p.Address()
	s.URL[region] = strings.TrimRight(u.String(), "/")
	return nil
}
