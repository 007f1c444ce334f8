package ring

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"time"
)

// Config says where the ring is and how it is asked.
type Config struct {
	Hosts       []string      // some nodes of the ring, host or host:port; the others are found through them
	Keyspace    string        // made when it is missing
	Datacenter  string        // whose nodes are asked; empty: that of the first host that answers
	Replication int           // copies in the datacenter when the keyspace is made, never more than it has nodes; 0: 3
	User        string        // empty: no login
	Password    string        // of User
	TLSCA       string        // PEM file of who signs the nodes' certificates, which name their addresses; empty: no TLS
	Timeout     time.Duration // of one try; 0: 2 s
	Through     []string      // nodes that are reached by another address, NODE=ADDRESS with ports: a proxy that leads there
	Logger      *slog.Logger  // nil: none
	Migrations  fs.FS         // files like 00001_words.cql; nil: none, the tables are somebody else's

	// Observe is told how long a call took, tries and pauses included; op is exec, batch, exec_if, list or one.
	// It may be nil, and is called by many goroutines.
	Observe func(op string, took time.Duration)

	lockTTL time.Duration // after how long a lock lapses whose holder died; 0: 30 s
}

const (
	defaultTimeout     = 2 * time.Second
	defaultReplication = 3
	defaultLockTTL     = 30 * time.Second
)

// keyspaceName is what Cassandra takes without quotes, at most as long as it allows.
var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// checked is c with its defaults, or what is wrong with it.
func (c Config) checked() (Config, error) {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Replication == 0 {
		c.Replication = defaultReplication
	}
	if c.lockTTL == 0 {
		c.lockTTL = defaultLockTTL
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(string, time.Duration) {}
	}
	switch {
	case len(c.Hosts) == 0:
		return c, errors.New("cassandra: no hosts")
	case !keyspaceName.MatchString(c.Keyspace):
		return c, fmt.Errorf("cassandra: %.80q is no keyspace: small letters, digits and _, at most 48", c.Keyspace)
	case c.Timeout < 0:
		return c, fmt.Errorf("cassandra: a timeout of %v", c.Timeout)
	case c.Replication < 0:
		return c, fmt.Errorf("cassandra: %d copies", c.Replication)
	case c.User == "" && c.Password != "":
		return c, errors.New("cassandra: a password without a user")
	}
	return c, nil
}

// secured is what TLS needs; nil without TLS.
func (c Config) secured() (*tls.Config, error) {
	if c.TLSCA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.TLSCA)
	if err != nil {
		return nil, fmt.Errorf("cassandra: who signs the nodes' certificates: %w", err)
	}
	signers := x509.NewCertPool()
	if !signers.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cassandra: %s has no certificate in PEM", c.TLSCA)
	}
	return &tls.Config{RootCAs: signers, MinVersion: tls.VersionTLS12}, nil
}
