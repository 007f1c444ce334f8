package natsd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/canopychat/canopy/streams"
)

// DefaultReconnect is the time between two attempts to reach the hub.
const DefaultReconnect = time.Second

// LeafConfig is what a Leaf is told.
type LeafConfig struct {
	Common

	Region    string        // the name of its JetStream domain; not that of the hub, nor of another leaf
	HubURLs   []string      // the hub's leaf addresses (Hub.LeafURL), credentials in them
	Reconnect time.Duration // zero: DefaultReconnect
}

// A Leaf is the server of an edge: gateways connect to it, and it keeps one link to the hub.
type Leaf struct {
	node
	config LeafConfig
}

// NewLeaf makes a Leaf. It starts nothing and opens nothing.
func NewLeaf(c LeafConfig) *Leaf {
	l := &Leaf{config: c}
	l.node = newNode("leaf", c.Common, l.options)
	return l
}

// Ready waits until clients are accepted, the link to the hub is up and a request for the hub's
// JetStream would find it. Until then clients can connect, and requests to the hub find nobody.
func (l *Leaf) Ready(ctx context.Context) error {
	return l.until(ctx, "there is no link to the hub", func(s *server.Server) bool {
		return s.JetStreamEnabled() && linked(s)
	})
}

// Linked reports whether the link to the hub is up, as far as the leaf knows: a link that the network
// swallowed is noticed after two pings.
func (l *Leaf) Linked() bool {
	l.mu.Lock()
	srv := l.srv
	l.mu.Unlock()
	return srv != nil && linked(srv)
}

// linked looks for the hub's interest in its JetStream API, which arrives after the link is up.
func linked(s *server.Server) bool {
	if s.NumLeafNodes() == 0 {
		return false
	}
	account, err := s.LookupAccount(streams.AccountApp)
	return err == nil && account.SubscriptionInterest(streams.HubInfoSubject())
}

func (l *Leaf) options() (*server.Options, error) {
	switch l.config.Region {
	case "":
		return nil, errors.New("it needs a region")
	case streams.HubDomain:
		// The same domain on both sides would join them into one JetStream.
		return nil, fmt.Errorf("its region may not be called %q", streams.HubDomain)
	}
	if l.config.File != "" {
		opts, err := readFile(l.config.File, l.config.Region)
		if err == nil {
			err = leafFits(opts)
		}
		return opts, err
	}
	opts, err := l.config.Common.options(l.config.Region)
	if err != nil {
		return nil, err
	}
	hub := &server.RemoteLeafOpts{
		LocalAccount: streams.AccountApp,
		// What the hub tells about its other addresses is often not reachable from here, and would lead
		// around whatever stands between: the configuration lists them all.
		IgnoreDiscoveredServers: true,
	}
	for _, s := range l.config.HubURLs {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return nil, errors.New("the hub's leaf address is not a URL") // not quoted: there is a password in it
		}
		hub.URLs = append(hub.URLs, u)
	}
	if len(hub.URLs) == 0 {
		return nil, errors.New("it needs the hub's leaf address")
	}
	opts.LeafNode.Remotes = []*server.RemoteLeafOpts{hub}
	opts.LeafNode.ReconnectInterval = positive(l.config.Reconnect, DefaultReconnect)
	opts.LeafNode.WriteDeadline = leafWriteDeadline
	opts.LeafNode.WriteTimeout = server.WriteTimeoutPolicyClose
	return opts, nil
}
