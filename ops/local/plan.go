package local

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/ops/deploy/certs"
	"github.com/canopychat/canopy/ops/local/ports"
)

// hubNodes are as many as the hub has in production: one may be gone at any time.
const hubNodes = 3

// Users of the NATS servers, as their files have them.
const (
	userServices = "canopy"
	userGateway  = "gateway"
	userSystem   = "sys"
)

// Room for the streams on a machine that has other things on its disk.
const (
	streamBytes = 1 << 30
	storeBytes  = 8 << 30
)

// ConfigName is the file in a deployment's folder by which the commands of operators find it, and know what its streams
// and stores should be: canopy … --config.
const ConfigName = "canopy.conf"

// hubNode is where a node of the hub listens.
type hubNode struct{ clients, leaves, members string }

// plan is who runs where, made before anything starts.
type plan struct {
	o       Options
	at      ports.Free
	secrets datadir.Secrets
	tls     certs.Set

	hubs      []hubNode
	ways      []wayPlan
	fronts    map[string]string // by region: where its front listens
	outside   map[string]string // by name of front, gateway or api: where people reach it
	passwords struct {
		services, system string
		leaf, gateway    map[string]string // by region
	}
	processes []*Process
	err       error // the first
}

// newPlan finds addresses for all, and makes passwords.
func newPlan(o Options, secrets datadir.Secrets) (*plan, error) {
	p := &plan{o: o, secrets: secrets, fronts: map[string]string{}, outside: map[string]string{}}
	p.passwords.services, p.passwords.system = datadir.Password(), datadir.Password()
	p.passwords.leaf, p.passwords.gateway = map[string]string{}, map[string]string{}
	for range hubNodes {
		p.hubs = append(p.hubs, hubNode{clients: p.address(), leaves: p.address(), members: p.address()})
	}
	for _, region := range o.Regions {
		p.fronts[region] = p.address()
		p.open(frontOf(region), p.fronts[region])
		p.passwords.leaf[region], p.passwords.gateway[region] = datadir.Password(), datadir.Password()
	}
	for _, dir := range []string{"conf", "logs", "data", "tls"} {
		p.note(os.MkdirAll(filepath.Join(o.Dir, dir), 0o700))
	}
	set, err := certs.Make(filepath.Join(o.Dir, "tls"))
	p.note(err)
	p.tls = set
	p.fill()
	p.note(p.at.Release())
	return p, p.err
}

// fill plans the processes, in the order in which they need each other.
func (p *plan) fill() {
	p.operators()
	for i := range p.hubs {
		p.hub(i)
	}
	for _, region := range p.o.Regions {
		p.leaf(region)
	}
	if p.o.shared() {
		for _, region := range p.o.Regions {
			p.service("api", region, region)
			p.service("persist", region, region)
			p.service("deliver", region, region)
		}
	} else {
		p.service("api", "", "services")
		p.service("persist", "", "services")
		p.service("deliver", "", "services")
	}
	for _, leaf := range p.of("leaf", "") {
		for n := range p.o.Gateways {
			p.gateway(leaf, n+1)
		}
	}
}

func (p *plan) note(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *plan) address() string {
	address, err := p.at.Next()
	p.note(err)
	return address
}

// of are the processes of a role in a region, or in all of them when that is empty.
func (p *plan) of(role, region string) []*Process {
	var all []*Process
	for _, process := range p.processes {
		if process.Role == role && (region == "" || process.Region == region) {
			all = append(all, process)
		}
	}
	return all
}

// add plans a process; settings are lines of its file.
func (p *plan) add(process *Process, settings ...string) {
	admin := p.address()
	process.canopy, process.settings, process.env = p.o.Canopy, p.o.Settings, p.o.Env
	process.AdminURL = "http://" + admin
	process.Log = filepath.Join(p.o.Dir, "logs", process.Name+".log")
	process.Config = filepath.Join(p.o.Dir, "conf", process.Name+".conf")
	if process.Data == "" {
		process.Data = process.Name
	}
	process.Data = filepath.Join(p.o.Dir, "data", process.Data)
	lines := []string{setting("data", process.Data), setting("admin", admin), setting("log_format", "text")}
	if process.Region != "" {
		lines = append(lines, setting("region", process.Region))
	}
	lines = append(append(lines, settings...), "")
	p.note(config.WritePrivate(process.Config, []byte(strings.Join(lines, "\n"))))
	p.processes = append(p.processes, process)
}

func setting(key, value string) string { return key + ": " + deploy.Quote(value) }

func hubName(i int) string { return fmt.Sprintf("hub-%d", i+1) }

func frontOf(region string) string { return "front-" + region }

// hub plans a node of the hub, from the file that we ship.
func (p *plan) hub(i int) {
	h, name := p.hubs[i], hubName(i)
	monitor := p.address()
	var routes []string
	for n, other := range p.hubs {
		from := name
		if n == i {
			from = "" // it finds that this is itself
		}
		routes = append(routes, "nats-route://"+p.way(from, hubName(n), other.members))
	}
	process := &Process{Name: name, Role: "hub", Address: h.clients}
	file := p.server(name, p.hubConf())
	p.add(process, setting("hub.server", file), p.streams())
	process.env = append(slices.Concat(process.env, p.serverEnv()),
		"CANOPY_HUB_NAME="+deploy.Quote(name),
		"CANOPY_HUB_TAGS="+deploy.Quote("region:"+p.o.Regions[i%len(p.o.Regions)]),
		"CANOPY_HUB_LISTEN="+h.clients, "CANOPY_HUB_MONITOR="+monitor,
		"CANOPY_HUB_CLUSTER_LISTEN="+h.members, "CANOPY_HUB_ROUTES="+deploy.List(routes...), "CANOPY_HUB_LEAF_LISTEN="+h.leaves,
		"CANOPY_HUB_STORE="+deploy.Quote(filepath.Join(process.Data, datadir.Hub)), fmt.Sprintf("CANOPY_HUB_MAX_STORE=%d", storeBytes),
		"CANOPY_APP_PASSWORD="+deploy.Quote(p.passwords.services),
	)
	for _, region := range shippedRegions() { // the file wants a word for each that it has
		password := p.passwords.leaf[region]
		if password == "" {
			password = datadir.Password()
		}
		process.env = append(process.env, "CANOPY_LEAF_"+strings.ToUpper(region)+"_PASSWORD="+deploy.Quote(password))
	}
}

// leaf plans the leaf node of a region, from the file that we ship.
func (p *plan) leaf(region string) {
	name := leafPrefix + region
	at, monitor := p.address(), p.address()
	var hubs []string
	for i, h := range p.hubs {
		hubs = append(hubs, withLogin("tls", region, p.passwords.leaf[region], p.way(name, hubName(i), h.leaves)))
	}
	process := &Process{Name: name, Role: "leaf", Region: region, Address: at}
	file := p.server(name, deploy.LeafConf)
	p.add(process, setting("leaf.server", file))
	process.env = append(slices.Concat(process.env, p.serverEnv()),
		"CANOPY_REGION="+region, "CANOPY_LEAF_NAME="+deploy.Quote(name), "CANOPY_LEAF_LISTEN="+at, "CANOPY_LEAF_MONITOR="+monitor,
		"CANOPY_LEAF_HUBS="+deploy.List(hubs...), "CANOPY_LEAF_STORE="+deploy.Quote(filepath.Join(process.Data, datadir.Leaf)),
		"CANOPY_GATEWAY_PASSWORD="+deploy.Quote(p.passwords.gateway[region]),
	)
}

// server puts a file of a NATS server where its process finds it.
func (p *plan) server(name string, text []byte) string {
	path := filepath.Join(p.o.Dir, "conf", name+".nats.conf")
	p.note(config.WritePrivate(path, text))
	return path
}

// serverEnv is what the files of all NATS servers want.
func (p *plan) serverEnv() []string {
	return []string{
		"CANOPY_SYS_PASSWORD=" + deploy.Quote(p.passwords.system),
		"CANOPY_TLS_CERT=" + deploy.Quote(p.tls.Cert), "CANOPY_TLS_KEY=" + deploy.Quote(p.tls.Key), "CANOPY_TLS_CA=" + deploy.Quote(p.tls.CA),
	}
}

// streams are their limits, the same for all who would make them.
func (p *plan) streams() string {
	return fmt.Sprintf("streams { replicas: %d, max_bytes: %d }", hubNodes, streamBytes)
}

// service plans an api, a persister or a deliverer, near the hub.
func (p *plan) service(role, region, data string) {
	process := &Process{Name: role, Role: role, Region: region}
	if region != "" {
		process.Name += "-" + region
	}
	lines := []string{setting("hub.url", p.hubURL(process.Name, userServices, p.passwords.services)), p.streams()}
	lines = append(lines, p.stores(process.Name)...)
	if p.o.shared() {
		data = process.Name
	}
	process.Data = data
	if role == "api" {
		process.Address = p.address()
		p.open(process.Name, process.Address)
		front := region
		if front == "" {
			front = p.o.Regions[0]
		}
		lines = append(lines, setting("listen", process.Address), setting("public_url", "http://"+p.outside[frontOf(front)]), proxies)
	}
	p.add(process, lines...)
	p.note(p.share(process.Data))
}

// stores are where Messages and Directory lie for a process, when they are servers. One without a name is an operator's.
func (p *plan) stores(from string) []string {
	if !p.o.shared() {
		return nil
	}
	var through []string // the driver goes by what nodes say of themselves, so they keep their addresses
	for i, node := range p.o.Cassandra {
		if at := p.way(from, fmt.Sprintf("cassandra-%d", i+1), node); at != node {
			through = append(through, node+"="+at)
		}
	}
	dsn := p.o.Postgres
	if u, err := url.Parse(dsn); err == nil && p.o.Proxies {
		u.Host = p.way(from, "postgres", u.Host)
		dsn = u.String()
	}
	return []string{
		fmt.Sprintf("cassandra { hosts: %s, keyspace: %s, through: %s }", deploy.List(p.o.Cassandra...), deploy.Quote(p.o.Keyspace), deploy.List(through...)),
		setting("postgres.dsn", dsn),
	}
}

// operators writes the settings that commands of operators want: what the streams and stores should be.
func (p *plan) operators() {
	lines := append([]string{setting("data", p.o.Dir), p.streams()}, p.stores("")...)
	p.note(config.WritePrivate(filepath.Join(p.o.Dir, ConfigName), []byte(strings.Join(append(lines, ""), "\n"))))
}

// share writes the setup code into the data folder of an api, so that all of them know the same one.
func (p *plan) share(path string) error {
	folder, err := datadir.Open(path, nil, false)
	if err != nil {
		return err
	}
	defer folder.Close() // what is kept is on the disk
	folder.Secrets.Setup = p.secrets.Setup
	return folder.Save()
}

// proxies has the front believed, who says where people come from.
const proxies = `trusted_proxies: ["127.0.0.0/8"]`

// gateway plans a gateway of a region.
func (p *plan) gateway(leaf *Process, n int) {
	process := &Process{Name: fmt.Sprintf("gateway-%s-%d", leaf.Region, n), Role: "edge", Region: leaf.Region, Address: p.address()}
	p.open(process.Name, process.Address)
	p.add(process,
		setting("leaf.url", withLogin("nats", userGateway, p.passwords.gateway[leaf.Region], p.way(process.Name, leaf.Name, leaf.Address))),
		setting("edge.listen", process.Address), setting("edge.public_url", "ws://"+p.outside[process.Name]), proxies,
	)
}

// hubURL is all nodes of the hub as a process finds them, with a login. One without a name is an operator's.
func (p *plan) hubURL(from, user, password string) string {
	var all []string
	for i, h := range p.hubs {
		all = append(all, withLogin("nats", user, password, p.way(from, hubName(i), h.clients)))
	}
	return strings.Join(all, ",")
}

func withLogin(scheme, user, password, host string) string {
	u := url.URL{Scheme: scheme, User: url.UserPassword(user, password), Host: host}
	return u.String()
}

// shippedRegions are those that the hub's file has a user for.
func shippedRegions() []string {
	return slices.DeleteFunc(slices.Clone(DefaultRegions), func(region string) bool {
		return !strings.Contains(string(deploy.HubConf), "{ user: "+region+",")
	})
}
