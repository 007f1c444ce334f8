package streamstest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

// Nodes is how many hub servers a HubCluster has.
const Nodes = 3

// ElectionWait is how long a test waits for what needs an election, or several: each takes 4 to 9 s (nats.md §8), and the machine
// may be busy.
const ElectionWait = 60 * time.Second

// deadAddress is what members tell each other of third ones: nobody listens there, so that every connection between
// two of them runs through its Link.
const deadAddress = "127.0.0.1:1"

// A HubCluster is three hub servers that hold the streams together, and a leaf that is linked to one of them. Every
// connection between two members, and the leaf's to each of them, runs through a Link.
type HubCluster struct {
	HubConn  *nats.Conn          // a client of the hub, of whichever member is there
	LeafConn *nats.Conn          // a client of the leaf, as a gateway has
	HubJS    jetstream.JetStream // the hub's streams, asked directly
	LeafJS   jetstream.JetStream // the same streams, asked through the leaf and its link
	Wanted   *provision.Wanted   // what the hub was provisioned with; three replicas

	rig
	members [Nodes]*member
	leaf    *natsd.Leaf
}

// member is one of the servers.
type member struct {
	config natsd.HubConfig
	hub    *natsd.Hub
	stop   func()
	down   bool

	routes [Nodes]*Link // by which this member reaches the others; its own is nil
	edge   *Link        // by which the leaf reaches this member
}

// StartCluster is StartClusterWith for what most tests need.
func StartCluster(t testing.TB) *HubCluster {
	t.Helper()
	return StartClusterWith(t, Options{})
}

// StartClusterWith starts three hub servers and a leaf, makes the streams with three replicas and waits until they can
// be used through the leaf. It takes seconds: have one cluster do for much.
func StartClusterWith(t testing.TB, o Options) *HubCluster {
	t.Helper()
	if o.Provision.Replicas == 0 {
		o.Provision.Replicas = Nodes
	}
	c := &HubCluster{rig: newRig(t, o)}
	c.configure()
	for i := range Nodes {
		c.startMember(i)
	}
	c.WaitSettled()
	c.startLeaf()
	c.Wanted = c.wanted()
	c.HubConn, c.LeafConn = c.Dial(c.HubURL()), c.Dial(c.LeafURL())
	c.HubJS, c.LeafJS = c.jetStream(c.HubConn), c.jetStream(c.LeafConn)
	if !o.Empty {
		if _, err := c.Wanted.Ensure(c.Context(), c.HubJS, nil); err != nil {
			t.Fatal(err)
		}
		c.WaitLed()
	}
	c.WaitLinked()
	return c
}

// configure finds a port for each member, and lays the links.
func (c *HubCluster) configure() {
	c.t.Helper()
	var ports [Nodes]string
	for i := range Nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.t.Fatal(err)
		}
		defer l.Close() // all are held until all are found, so that they differ
		ports[i] = l.Addr().String()
	}
	for i := range Nodes {
		m := &member{edge: newLink(c.t)}
		cluster := &natsd.ClusterConfig{
			Name: "hub", Listen: ports[i], Advertise: deadAddress, Login: natsd.Login{User: "route", Password: "route-secret"},
		}
		if i < len(c.options.Tags) {
			cluster.Tags = []string{c.options.Tags[i]}
		}
		for j := range Nodes {
			if i == j {
				continue
			}
			m.routes[j] = newLink(c.t)
			m.routes[j].to(ports[j])
			cluster.Routes = append(cluster.Routes, m.routes[j].Addr())
		}
		m.config = natsd.HubConfig{
			Common: c.common(fmt.Sprintf("hub%d", i)), Leaf: natsd.Login{User: "leaf", Password: "leaf-secret"}, Cluster: cluster,
		}
		m.config.System = natsd.Login{User: "sys", Password: "sys-secret"}
		m.config.MaxStore = 8 << 30 // reserved, not used
		c.members[i] = m
	}
}

func (c *HubCluster) startMember(i int) {
	c.t.Helper()
	m := c.members[i]
	m.hub = natsd.NewHub(m.config)
	m.stop = c.run(m.hub)
	m.down = false
	// Another start gets the same ports, so that clients and the links find it.
	m.config.Listen, m.config.LeafListen = c.host(m.hub.ClientURL()), c.host(m.hub.LeafURL())
	m.edge.to(m.config.LeafListen)
}

func (c *HubCluster) startLeaf() {
	c.t.Helper()
	var hubs []string
	for _, m := range c.members {
		hubs = append(hubs, c.through(m.edge, m.hub.LeafURL()))
	}
	c.leaf = natsd.NewLeaf(natsd.LeafConfig{Common: c.common("leaf"), Region: Region, HubURLs: hubs, Reconnect: 50 * time.Millisecond})
	c.run(c.leaf)
}

// HubURL is where clients of the hub connect, to any member, credentials in it.
func (c *HubCluster) HubURL() string {
	var urls []string
	for i := range Nodes {
		urls = append(urls, c.NodeURL(i))
	}
	return strings.Join(urls, ",")
}

// NodeURL is where clients of one member connect, credentials in it.
func (c *HubCluster) NodeURL(i int) string { return c.members[i].hub.ClientURL() }

// LeafURL is where clients of the leaf connect, credentials in it.
func (c *HubCluster) LeafURL() string { return c.leaf.ClientURL() }

// WaitSettled waits until the members that run have a leader for the cluster itself.
func (c *HubCluster) WaitSettled() {
	c.t.Helper()
	c.within(ElectionWait, "the cluster has a leader", func() bool {
		return !slices.ContainsFunc(c.members[:], func(m *member) bool { return !m.down && !m.hub.Settled() })
	})
}

// Led is what a member says of the cluster's own leader: nil, or natsd.ErrNotLed.
func (c *HubCluster) Led(i int) error { return c.members[i].hub.Led() }

// WaitLed waits until every stream has a leader that answers.
func (c *HubCluster) WaitLed() {
	c.t.Helper()
	for _, stream := range streams.Streams() {
		c.within(ElectionWait, stream+" has a leader", func() bool { return c.leader(stream) >= 0 })
	}
}

// WaitLinked waits until a client of the leaf reaches the hub and its streams, and the hub its subscriptions, as
// Cluster.WaitLinked does.
func (c *HubCluster) WaitLinked() {
	c.t.Helper()
	if err := c.leaf.Ready(c.Context()); err != nil {
		c.t.Fatal(err)
	}
	for range 2 {
		c.within(ElectionWait, "the hub answers through the leaf", func() bool {
			_, err := c.LeafConn.Request(streams.HubInfoSubject(), nil, time.Second)
			return err == nil
		})
	}
}

// Leader is the member that leads a stream. It waits until there is one.
func (c *HubCluster) Leader(stream string) int {
	c.t.Helper()
	at := -1
	c.within(ElectionWait, stream+" has a leader", func() bool {
		at = c.leader(stream)
		return at >= 0
	})
	return at
}

// Follower is a member that runs and does not lead a stream, and the leaf is not linked to it.
func (c *HubCluster) Follower(stream string) int {
	c.t.Helper()
	leads, linked := c.Leader(stream), c.LinkedTo()
	for i, m := range c.members {
		if i != leads && i != linked && !m.down {
			return i
		}
	}
	c.t.Fatalf("no member can be spared of %s", stream)
	return -1
}

// LinkedTo is the member that the leaf is linked to; -1: none.
func (c *HubCluster) LinkedTo() int {
	return slices.IndexFunc(c.members[:], func(m *member) bool { return !m.down && m.hub.Leaves() > 0 })
}

// leader is the member that says of itself that it leads a stream; -1: none answers.
func (c *HubCluster) leader(stream string) int {
	info := c.cluster(stream)
	if info == nil {
		return -1
	}
	return c.index(info.Leader)
}

// cluster is what a stream's leader says of its replicas; nil: none answers.
func (c *HubCluster) cluster(stream string) *jetstream.ClusterInfo {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := c.HubJS.Stream(ctx, stream)
	if err != nil {
		return nil
	}
	return s.CachedInfo().Cluster
}

func (c *HubCluster) index(name string) int {
	return slices.IndexFunc(c.members[:], func(m *member) bool { return !m.down && m.config.Name == name })
}

// WaitCurrent waits until every member has all of a stream.
func (c *HubCluster) WaitCurrent(stream string) {
	c.t.Helper()
	c.within(ElectionWait, "every replica of "+stream+" is current", func() bool {
		info := c.cluster(stream)
		return info != nil && info.Leader != "" && len(info.Replicas) == Nodes-1 &&
			!slices.ContainsFunc(info.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline || p.Lag > 0 })
	})
}

// StopNode stops a member as an operator does: it hands over what it leads.
func (c *HubCluster) StopNode(i int) {
	c.t.Helper()
	c.members[i].down = true
	c.members[i].stop()
}

// KillNode ends a member without a word to the others: whatever it leads is elected anew, after they have missed its heartbeats.
// In one process its memory cannot be taken away from it, so it is cut off first; what it still writes into its
// files then, it had received before.
func (c *HubCluster) KillNode(i int) {
	c.t.Helper()
	c.members[i].down = true
	c.eachLink(i, (*Link).Cut)
	c.members[i].stop()
}

// StartNode starts a member again that was stopped or killed, on the same files and ports.
func (c *HubCluster) StartNode(i int) {
	c.t.Helper()
	c.eachLink(i, (*Link).Restore)
	c.startMember(i)
	c.WaitSettled()
}

// Isolate lets no byte through between a member and the others, and the leaf: as when a switch fails, or the
// process stands still. Its own clients still reach it, and what it has.
func (c *HubCluster) Isolate(i int) { c.eachLink(i, (*Link).HalfOpen) }

// Rejoin ends that.
func (c *HubCluster) Rejoin(i int) { c.eachLink(i, (*Link).Restore) }

func (c *HubCluster) eachLink(i int, do func(*Link)) {
	do(c.members[i].edge)
	for j := range Nodes {
		if i != j {
			do(c.members[i].routes[j])
			do(c.members[j].routes[i])
		}
	}
}

// StepDown asks a stream's leader to hand over, and waits until another member leads it.
func (c *HubCluster) StepDown(stream string) {
	c.t.Helper()
	before := c.Leader(stream)
	subject, err := streams.StepDownSubject(stream)
	if err == nil {
		_, err = c.HubConn.Request(subject, nil, Wait)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.within(ElectionWait, stream+" has another leader", func() bool {
		now := c.leader(stream)
		return now >= 0 && now != before
	})
}

// MetaStepDown makes another member lead the cluster itself, which decides where streams lie.
func (c *HubCluster) MetaStepDown() {
	c.t.Helper()
	system := c.Dial(c.members[0].hub.SystemURL())
	defer system.Close()
	c.within(ElectionWait, "the cluster's leader steps down", func() bool {
		answer, err := system.Request("$JS.API.META.LEADER.STEPDOWN", nil, time.Second)
		return err == nil && strings.Contains(string(answer.Data), `"success":true`)
	})
}
