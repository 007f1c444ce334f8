package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/ops/deploy/certs"
	"github.com/canopychat/canopy/ops/engines/child"
)

// Of the hub's streams: four shards and what is beside them fit.
const (
	hubStreams = "streams.max_bytes=1GB"
	hubStore   = "10GB"
)

// hub is a cluster of nats-server in processes of this program, with the configuration file of production.
type hub struct {
	dir     string
	program []string
	tls     certs.Set
	plan    hubPlan
	nodes   []*hubNode
}

// hubPlan is kept beside the data, as hub.json: who adds leaf nodes finds there what they need.
type hubPlan struct {
	App    string     `json:"nats_app"`    // password of the user canopy, for services
	System string     `json:"nats_system"` // of the user sys, for operators
	EU     string     `json:"leaf_eu"`     // of the leaf nodes of the region eu
	US     string     `json:"leaf_us"`     // of the leaf nodes of the region us
	Nodes  []hubPorts `json:"nodes"`
}

// hubPorts are one node's, all on 127.0.0.1.
type hubPorts struct {
	Client  int `json:"client"`
	Cluster int `json:"cluster"`
	Leaf    int `json:"leaf"`
	Monitor int `json:"monitor"`
}

func (p hubPorts) all() []int { return []int{p.Client, p.Cluster, p.Leaf, p.Monitor} }

// hubNode is one server of the hub.
type hubNode struct {
	hub   *hub
	n     int // from 0
	ports hubPorts
	dir   string
	node  *Node

	since int64 // how long its log was when it was started last
}

// newHub gets the folder of a hub ready: configuration file, certificates, passwords and ports.
func newHub(ctx context.Context, d *folder, o Options, failed chan<- error) (*hub, error) {
	h := &hub{dir: d.at("hub"), program: o.Program}
	if len(h.program) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		h.program = []string{self}
	}
	if err := h.furnish(ctx, o.Hub); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	for i, ports := range h.plan.Nodes {
		n := &hubNode{hub: h, n: i, ports: ports, dir: filepath.Join(h.dir, strconv.Itoa(i+1))}
		n.node = &Node{Name: fmt.Sprintf("hub %d", i+1), Log: filepath.Join(n.dir, "hub.log"), kind: n, failed: failed}
		h.nodes = append(h.nodes, n)
	}
	return h, nil
}

func (h *hub) furnish(ctx context.Context, nodes int) error {
	err := os.MkdirAll(h.dir, 0o700)
	if err == nil {
		err = os.WriteFile(h.conf(), deploy.HubConf, 0o600)
	}
	if err == nil {
		h.tls, err = certs.Make(h.dir) // anew each time: they do not last for ever
	}
	if err != nil {
		return config.Problemf("the folder %s: %w", h.dir, plain(err))
	}
	file := filepath.Join(h.dir, "hub.json")
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		h.plan = hubPlan{App: datadir.Password(), System: datadir.Password(), EU: datadir.Password(), US: datadir.Password()}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &h.plan); err != nil {
			return config.Problemf("%s is damaged: %w", file, err)
		}
	}
	if err := h.plan.choosePorts(ctx, nodes); err != nil {
		return err
	}
	if text, err = json.MarshalIndent(h.plan, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// choosePorts keeps the ports of last time if all are free, and takes others if not: the nodes must agree on them.
func (p *hubPlan) choosePorts(ctx context.Context, nodes int) error {
	kept := len(p.Nodes) == nodes
	for _, n := range p.Nodes {
		for _, port := range n.all() {
			kept = kept && awaitFree(ctx, local(port), "") == nil
		}
	}
	if kept {
		return nil
	}
	p.Nodes = nil
	taken := map[int]bool{}
	for range nodes {
		var n hubPorts
		for _, port := range []*int{&n.Client, &n.Cluster, &n.Leaf, &n.Monitor} {
			for *port == 0 || taken[*port] {
				var err error
				if *port, err = freePort(ctx); err != nil {
					return err
				}
			}
			taken[*port] = true
		}
		p.Nodes = append(p.Nodes, n)
	}
	return nil
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func (h *hub) conf() string { return filepath.Join(h.dir, "hub.conf") }

// url is where services and operators connect, with the services' password.
func (n *hubNode) url() string {
	u := url.URL{Scheme: "nats", User: url.UserPassword("canopy", n.hub.plan.App), Host: local(n.ports.Client)}
	return u.String()
}

// prepare is of kind.
func (n *hubNode) prepare(ctx context.Context) (child.Command, error) {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return child.Command{}, config.Problemf("the folder %s: %w", n.dir, plain(err))
	}
	for _, port := range n.ports.all() {
		if err := awaitFree(ctx, local(port), "the other nodes of the hub look for this one there"); err != nil {
			return child.Command{}, err
		}
	}
	n.since = logSize(n.node.Log)
	args := []string{
		"hub", "--server-config", n.hub.conf(), "--data", filepath.Join(n.dir, "data"), "--admin", "127.0.0.1:0",
		"--set", "streams.replicas=3", "--set", hubStreams,
	}
	return child.Command{
		Path: n.hub.program[0], Args: append(n.hub.program[1:len(n.hub.program):len(n.hub.program)], args...),
		Env:    child.Environ(n.variables(), "CANOPY_*"), // settings of another deployment are not for this one
		Orphan: syscall.SIGKILL,                          // what it has acknowledged is on the disk
	}, nil
}

// variables are what the configuration file asks for.
func (n *hubNode) variables() []string {
	h := n.hub
	routes := make([]string, len(h.plan.Nodes))
	for i, other := range h.plan.Nodes {
		routes[i] = "nats-route://" + local(other.Cluster)
	}
	return []string{
		fmt.Sprintf("CANOPY_HUB_NAME=hub%d", n.n+1),
		"CANOPY_HUB_TAGS=" + deploy.Quote("region:eu"),
		"CANOPY_HUB_LISTEN=" + local(n.ports.Client),
		"CANOPY_HUB_MONITOR=" + local(n.ports.Monitor),
		"CANOPY_HUB_CLUSTER_LISTEN=" + local(n.ports.Cluster),
		"CANOPY_HUB_ROUTES=" + deploy.List(routes...),
		"CANOPY_HUB_LEAF_LISTEN=" + local(n.ports.Leaf),
		"CANOPY_HUB_STORE=" + deploy.Quote(filepath.Join(n.dir, "streams")),
		"CANOPY_HUB_MAX_STORE=" + hubStore,
		"CANOPY_TLS_CERT=" + deploy.Quote(h.tls.Cert), "CANOPY_TLS_KEY=" + deploy.Quote(h.tls.Key), "CANOPY_TLS_CA=" + deploy.Quote(h.tls.CA),
		"CANOPY_APP_PASSWORD=" + deploy.Quote(h.plan.App), "CANOPY_SYS_PASSWORD=" + deploy.Quote(h.plan.System),
		"CANOPY_LEAF_EU_PASSWORD=" + deploy.Quote(h.plan.EU), "CANOPY_LEAF_US_PASSWORD=" + deploy.Quote(h.plan.US),
	}
}

// ready is of kind: the process says that it serves, which it does when the cluster has a leader and the streams are
// there.
func (n *hubNode) ready(context.Context, int) (bool, error) {
	text, err := readFrom(n.node.Log, n.since)
	return bytes.Contains(text, []byte("canopy hub serves\n")), err
}

// farewell is of kind: it hands its streams over before it ends.
func (n *hubNode) farewell() syscall.Signal { return syscall.SIGTERM }

// logSize is how long a log is; 0 when there is none.
func logSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// readFrom reads a log from a place on.
func readFrom(path string, since int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was read only
	return io.ReadAll(io.NewSectionReader(f, since, 1<<40))
}
