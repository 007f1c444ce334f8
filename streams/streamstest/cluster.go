package streamstest

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

// Wait is how long a test waits for what must happen: long, for the machine may be busy.
const Wait = time.Minute

// Region is the leaf's JetStream domain.
const Region = "test"

// Options change what Start makes. The zero value is right for most tests.
type Options struct {
	// Provision adapts the streams; MaxBytes is 64 MiB if it is not given. Replicas is 1 with a hub that is alone, and
	// 3 in a cluster if it is not given.
	Provision    provision.Options
	Tags         []string // of a cluster's members, one each
	SyncAlways   bool
	PingInterval time.Duration // of the servers; a half-open link is noticed after two; zero: 2 s
	Empty        bool          // make no streams
	Logger       *slog.Logger  // of the servers; nil: silent
}

// A Cluster is a hub and a leaf node with a connection to each.
type Cluster struct {
	HubConn  *nats.Conn          // a client of the hub
	LeafConn *nats.Conn          // a client of the leaf, as a gateway has
	HubJS    jetstream.JetStream // the hub's streams, asked directly
	LeafJS   jetstream.JetStream // the same streams, asked through the leaf and its link
	Link     *Link               // between the leaf and the hub
	Wanted   *provision.Wanted   // what the hub was provisioned with

	rig
	hubConfig natsd.HubConfig
	hub       *natsd.Hub
	stopHub   func()
	leaf      *natsd.Leaf
	leafAt    natsd.LeafConfig
	stopLeaf  func()
}

// Start is StartWith for what most tests need.
func Start(t testing.TB) *Cluster {
	t.Helper()
	return StartWith(t, Options{})
}

// StartWith starts a hub and a leaf, makes the streams and waits until they can be used through the leaf.
func StartWith(t testing.TB, o Options) *Cluster {
	t.Helper()
	o.Provision.Replicas = 1
	c := &Cluster{rig: newRig(t, o), Link: newLink(t)}
	c.hubConfig = natsd.HubConfig{
		Common: c.common("hub"),
		Leaf:   natsd.Login{User: "leaf", Password: "leaf-secret"},
	}
	c.hubConfig.System = natsd.Login{User: "sys", Password: "sys-secret"}
	c.startHub()
	c.startLeaf()

	c.Wanted = c.wanted()
	c.HubConn, c.LeafConn = c.Dial(c.HubURL()), c.Dial(c.LeafURL())
	c.HubJS, c.LeafJS = c.jetStream(c.HubConn), c.jetStream(c.LeafConn)
	if !o.Empty {
		c.Provision()
	}
	return c
}

func (c *Cluster) startHub() {
	c.t.Helper()
	c.hub = natsd.NewHub(c.hubConfig)
	c.stopHub = c.run(c.hub)
	// A second start gets the same ports, so that clients and the link find it.
	c.hubConfig.Listen = c.host(c.hub.ClientURL())
	c.hubConfig.LeafListen = c.host(c.hub.LeafURL())
	c.Link.to(c.hubConfig.LeafListen)
	if c.HubConn != nil { // a client that has not noticed the end of the old hub would lose a request to it
		c.answers(c.HubConn, "the hub answers its own client again")
	}
}

func (c *Cluster) startLeaf() {
	c.t.Helper()
	c.leafAt = natsd.LeafConfig{
		Common: c.common("leaf"), Region: Region, HubURLs: []string{c.through(c.Link, c.hub.LeafURL())}, Reconnect: 50 * time.Millisecond,
	}
	c.runLeaf()
}

func (c *Cluster) runLeaf() {
	c.t.Helper()
	c.leaf = natsd.NewLeaf(c.leafAt)
	c.stopLeaf = c.run(c.leaf)
	c.leafAt.Listen = c.host(c.leaf.ClientURL()) // a second start gets the same port, so that clients find it
}

// RestartLeaf stops the leaf and starts it on the same files and port: what it had in memory is gone. It waits until
// the hub can be used through it. The link must not be cut.
func (c *Cluster) RestartLeaf() {
	c.t.Helper()
	c.stopLeaf()
	c.runLeaf()
	c.WaitLinked()
}

// HubURL is where clients of the hub connect, credentials in it.
func (c *Cluster) HubURL() string { return c.hub.ClientURL() }

// LeafURL is where clients of the leaf connect, credentials in it.
func (c *Cluster) LeafURL() string { return c.leaf.ClientURL() }

// Provision makes the streams that are not there, and waits until they can be used through the leaf.
func (c *Cluster) Provision() {
	c.t.Helper()
	if _, err := c.Wanted.Ensure(c.Context(), c.HubJS, nil); err != nil {
		c.t.Fatal(err)
	}
	c.WaitLinked()
}

// StopHub stops the hub; its files and ports stay.
func (c *Cluster) StopHub() { c.stopHub() }

// StartHub starts a stopped hub again, and waits until it can be used through the leaf. The link must not be cut.
func (c *Cluster) StartHub() {
	c.t.Helper()
	c.startHub()
	c.WaitLinked()
}

// RestartHub stops the hub and starts it on the same files and ports.
func (c *Cluster) RestartHub() {
	c.t.Helper()
	c.StopHub()
	c.StartHub()
}

// EmptyHub replaces the hub by one that has never stored anything, as when its disk was lost. It has no streams.
func (c *Cluster) EmptyHub() {
	c.t.Helper()
	c.StopHub()
	if err := os.RemoveAll(c.hubConfig.StoreDir); err != nil {
		c.t.Fatal(err)
	}
	c.startHub()
}

// WaitLinked waits until a client of the leaf reaches the hub and its streams, and the hub its subscriptions. Interest
// crosses the link in order with everything else: the first answer means that ours is on its way, for the hub
// knew where to send it; the second, that all of it is there. While the link is cut or deaf it fails the test.
func (c *Cluster) WaitLinked() {
	c.t.Helper()
	if err := c.leaf.Ready(c.Context()); err != nil {
		c.t.Fatal(err)
	}
	for range 2 {
		c.answers(c.LeafConn, "the hub answers through the leaf")
	}
}

// WaitUnlinked waits until the leaf knows that the link is down: at once after a cut, after two pings for a
// half-open link.
func (c *Cluster) WaitUnlinked() {
	c.t.Helper()
	c.eventually("the leaf notices that the link is down", func() bool { return !c.leaf.Linked() })
}

// Forget removes a stream's messages up to and including upTo, as if they had grown too old. (A CHAT
// stream denies a purge.)
func (c *Cluster) Forget(stream string, upTo uint64) {
	c.t.Helper()
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	for seq := s.CachedInfo().State.FirstSeq; seq <= min(upTo, s.CachedInfo().State.LastSeq); seq++ {
		if err := s.DeleteMsg(c.Context(), seq); err != nil {
			c.t.Fatal(err)
		}
	}
}

// LoseRepublished stores what during publishes on a stream, and republishes nothing of it: what happens when a stream's
// leader dies between storing an event and sending it out.
func (c *Cluster) LoseRepublished(stream string, during func()) {
	c.t.Helper()
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		c.t.Fatal(err)
	}
	config := s.CachedInfo().Config
	republish := config.RePublish
	config.RePublish = nil
	if _, err := c.HubJS.UpdateStream(c.Context(), config); err != nil {
		c.t.Fatal(err)
	}
	during()
	config.RePublish = republish
	if _, err := c.HubJS.UpdateStream(c.Context(), config); err != nil {
		c.t.Fatal(err)
	}
}

// AnnounceLeader says what the hub of a cluster says when a stream has a new leader. A hub that is alone never does.
func (c *Cluster) AnnounceLeader(stream string) {
	c.t.Helper()
	subject, err := streams.LeaderElectedSubject(stream)
	if err != nil {
		c.t.Fatal(err)
	}
	advisory := `{"type":"io.nats.jetstream.advisory.v1.stream_leader_elected","stream":"` + stream + `","domain":"` + streams.HubDomain + `"}`
	if err := c.HubConn.Publish(subject, []byte(advisory)); err != nil {
		c.t.Fatal(err)
	}
	if err := c.HubConn.Flush(); err != nil {
		c.t.Fatal(err)
	}
}
