package natsd

import (
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/nats-io/nats-server/v2/server"
)

// ClusterConfig makes a Hub one of several servers that hold the streams together. In production they are processes of
// their own with configuration files; this is for several in one process, and for whoever embeds one.
type ClusterConfig struct {
	Name      string   // of the cluster; the same on every member
	Listen    string   // host:port for the other members. The port is fixed: the others are told it
	Advertise string   // host:port that members tell each other of this one; empty: Listen
	Routes    []string // host:port by which this member reaches each of the others; all of them, or a group that is too small is founded
	Login     Login    // what members log in with at each other; the same on every member
	Tags      []string // what a stream's placement may ask for, such as region:eu
}

// apply sets the options of a member.
func (c *ClusterConfig) apply(opts *server.Options) error {
	if c.Name == "" || c.Listen == "" || c.Login.User == "" || c.Login.Password == "" {
		return errors.New("a member of a cluster needs the cluster's name, a port for the others, and a user with a password")
	}
	host, port, err := address(c.Listen)
	if err != nil {
		return err
	}
	if port == server.RANDOM_PORT {
		return fmt.Errorf("%q: the other members must know the port", c.Listen)
	}
	opts.Cluster = server.ClusterOpts{
		Name: c.Name, Host: host, Port: port,
		Username: c.Login.User, Password: c.Login.Password,
		Advertise:   c.Advertise,
		NoAdvertise: true, // clients and leaf nodes are told where all members are
		PoolSize:    -1,   // one connection between two members, and no compression: they are near each other
		Compression: server.CompressionOpts{Mode: server.CompressionOff},
	}
	for _, r := range c.Routes {
		if _, _, err := net.SplitHostPort(r); err != nil {
			return fmt.Errorf("%q is not host:port", r)
		}
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword(c.Login.User, c.Login.Password), Host: r})
	}
	opts.Tags = append(opts.Tags, c.Tags...)
	return nil
}

// ErrNotLed says that a member of a cluster is not in contact with the cluster's leader: so many members are down or out of reach that
// none can lead, or this one is cut off, or it has not caught up yet.
var ErrNotLed = errors.New("this node of the hub has no contact with a leader of the hub's cluster")

// ErrStreamsOff says that the server runs without its streams: it turns them off for the rest of its life when it cannot write
// (nats-server, handleOutOfSpace).
var ErrStreamsOff = errors.New("this node of the hub has stopped its streams, as it does when its disk is full: its log says why; make room, and restart it")

// Led reports ErrNotLed or ErrStreamsOff as long as this member can do nothing for the streams, as far as it knows. It asks nobody, and answers within
// some milliseconds. A follower notices within seconds that it hears no leader; a leader that hears nobody steps down after 10 to 20 s
// (the server's own lostQuorumInterval), and leads until then. A server that is alone needs no leader.
func (h *Hub) Led() error {
	h.mu.Lock()
	srv, opts := h.srv, h.opts
	h.mu.Unlock()
	switch {
	case srv == nil:
		return ErrNotLed
	case !srv.JetStreamEnabled():
		return ErrStreamsOff
	case opts.Cluster.Port == 0:
		return nil
	}
	// The leader of the cluster itself, and not those of all streams: what a stream of this member lacks after a restart, it gets from the
	// other replicas, while it serves the rest.
	if srv.Healthz(&server.HealthzOptions{JSMetaOnly: true}).Error != "" { // it may name files, and whoever asks /readyz reads what we say
		return ErrNotLed
	}
	return nil
}

// Settled reports whether the cluster has a leader of its own, and this member knows it and is up to date. A server that
// is alone always is.
func (h *Hub) Settled() bool {
	h.mu.Lock()
	srv := h.srv
	h.mu.Unlock()
	if srv == nil || !srv.JetStreamEnabled() {
		return false
	}
	return !srv.JetStreamIsClustered() || srv.JetStreamIsCurrent() && h.Led() == nil
}
