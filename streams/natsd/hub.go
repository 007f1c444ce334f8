package natsd

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/canopychat/canopy/streams"
)

// HubConfig is what a Hub is told.
type HubConfig struct {
	Common

	LeafListen string // host:port for leaf nodes; empty or port 0: any free port of the loopback interface
	Leaf       Login  // what leaf nodes log in with; they act in the account streams.AccountApp

	Cluster *ClusterConfig // nil: it is alone
}

// leafWriteDeadline is how long a leaf may take to accept bytes. The server closes a slow client by
// itself, but would keep an unbounded queue for a slow leaf (nats.md §12).
const leafWriteDeadline = 5 * time.Second

// A Hub is the server that holds the streams: alone (every stream has one replica), or as a member of a cluster.
type Hub struct {
	node
	config HubConfig
}

// NewHub makes a Hub. It starts nothing and opens nothing.
func NewHub(c HubConfig) *Hub {
	h := &Hub{config: c}
	h.node = newNode("hub", c.Common, h.options)
	return h
}

// Ready waits until clients and leaf nodes are accepted and JetStream serves the streams it has. A member of a cluster
// that has a file waits for the cluster's leader, too: for one other member of three. (Whoever starts several in one
// process asks Settled when all of them run.)
func (h *Hub) Ready(ctx context.Context) error {
	if err := h.until(ctx, "JetStream is not up", (*server.Server).JetStreamEnabled); err != nil || h.config.File == "" {
		return err
	}
	return h.until(ctx, "the hub's cluster has no leader: fewer than half of its members are up", func(*server.Server) bool { return h.Settled() })
}

// LeafURL is where leaf nodes connect, with their credentials in it unless they are in a file. It is empty before the
// hub is up.
func (h *Hub) LeafURL() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.srv == nil {
		return ""
	}
	return loginURL("nats-leaf", h.config.Leaf, h.opts.LeafNode.Host, h.opts.LeafNode.Port)
}

// Leaves is how many leaf links are up.
func (h *Hub) Leaves() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.srv == nil {
		return 0
	}
	return h.srv.NumLeafNodes()
}

func (h *Hub) options() (*server.Options, error) {
	if h.config.File != "" {
		opts, err := readFile(h.config.File, streams.HubDomain)
		if err == nil {
			err = hubFits(opts)
		}
		return opts, err
	}
	opts, err := h.config.Common.options(streams.HubDomain)
	if err != nil {
		return nil, err
	}
	if h.config.Leaf.User == "" || h.config.Leaf.Password == "" {
		return nil, fmt.Errorf("leaf nodes need a user with a password")
	}
	leaf := &opts.LeafNode
	if leaf.Host, leaf.Port, err = address(h.config.LeafListen); err != nil {
		return nil, err
	}
	leaf.WriteDeadline = leafWriteDeadline
	leaf.WriteTimeout = server.WriteTimeoutPolicyClose
	if h.config.Cluster != nil {
		if err := h.config.Cluster.apply(opts); err != nil {
			return nil, err
		}
	}
	for _, account := range opts.Accounts {
		if account.Name == streams.AccountApp {
			leaf.Users = []*server.User{{Username: h.config.Leaf.User, Password: h.config.Leaf.Password, Account: account}}
		}
	}
	return opts, nil
}
