package config

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Config is everything that can be set. A field at its zero value means its default, so Config{} is usable;
// WithDefaults fills it in. Its name in a file is the one behind `conf`, with its section's name and a dot
// before it elsewhere. What stands behind `is` names the check that its value must pass.
type Config struct {
	Data      string `conf:"data" is:"path"`         // the folder of everything that lasts; made when missing
	Listen    string `conf:"listen" is:"address"`    // REST and sockets, host:port; port 0: any free one
	Admin     string `conf:"admin" is:"address"`     // metrics and health, host:port; they need no login, so loopback only by default
	Empty     bool   `conf:"empty"`                  // make no demo at the first start: the first visitor makes owner and workspace
	NoLimits  bool   `conf:"no_limits"`              // no limits of rates and sockets: for measuring only
	LogLevel  string `conf:"log_level" is:"level"`   // debug, info, warn or error
	LogFormat string `conf:"log_format" is:"format"` // text, json or auto: text on a terminal
	Region    string `conf:"region" is:"region"`     // the name of the leaf's JetStream domain, an id and not "hub"
	PublicURL string `conf:"public_url" is:"origin"` // where people reach REST, https://host: for the links of invites; default the address of Listen

	TrustedProxies []string `conf:"trusted_proxies" is:"cidr"` // whose X-Forwarded-For is believed, such as 10.0.0.0/8; limits per address depend on it

	Hub       Hub       `conf:"hub"`
	Leaf      Leaf      `conf:"leaf"`
	Streams   Streams   `conf:"streams"`
	Cassandra Cassandra `conf:"cassandra"`
	Postgres  Postgres  `conf:"postgres"`
	Edge      Edge      `conf:"edge"`
	Auth      Auth      `conf:"auth"`
	Limits    Limits    `conf:"limits"`
	Mail      Mail      `conf:"mail"`
	Deliver   Deliver   `conf:"deliver"`
	Clock     Clock     `conf:"clock"`
}

// Hub is the NATS server that holds the streams, and how others reach it.
type Hub struct {
	Listen     string `conf:"listen" is:"address"`      // for clients
	LeafListen string `conf:"leaf_listen" is:"address"` // for leaf nodes
	Monitor    string `conf:"monitor" is:"address"`     // NATS's monitoring endpoints; they need no login
	SyncAlways bool   `conf:"sync_always"`              // fsync before each acknowledgement: nothing acknowledged is lost when the power goes
	MaxStore   int64  `conf:"max_store" is:"size"`      // bytes of files that the streams may reserve together
	URL        string `conf:"url" is:"urls"`            // where other roles find it, nats://host:port,…; without credentials those of the data folder are used
	Server     string `conf:"server" is:"path"`         // a configuration file of nats-server, which then says everything about the server in place of the fields above (ops/deploy/nats)
}

// Leaf is the NATS server of a region's edge, and how others reach it.
type Leaf struct {
	Listen  string `conf:"listen" is:"address"`    // for clients
	Monitor string `conf:"monitor" is:"address"`   // NATS's monitoring endpoints; they need no login
	HubURL  string `conf:"hub_url" is:"leaf-urls"` // where it finds the hub's leaf_listen, nats-leaf://host:port; credentials as in Hub.URL
	URL     string `conf:"url" is:"urls"`          // where other roles find it, nats://host:port,…; credentials as in Hub.URL
	Server  string `conf:"server" is:"path"`       // a configuration file of nats-server, as in Hub
}

// Streams are the limits of the CHAT streams. `canopy streams plan` shows what a change of them would do.
type Streams struct {
	Replicas    int           `conf:"replicas" is:"replicas"`   // copies of each stream; more than one needs a cluster
	DedupWindow time.Duration `conf:"dedup_window"`             // how long the log itself knows a repetition; at most MaxAge
	SendTimeout time.Duration `conf:"send_timeout"`             // after which a send that the log did not answer is unavailable; elections take 4 to 9 s
	MaxAge      time.Duration `conf:"max_age"`                  // how long the log keeps an event
	MaxBytes    int64         `conf:"max_bytes" is:"size"`      // bytes that each of them reserves; it takes no more events when they are used
	Placement   []string      `conf:"placement" is:"placement"` // the servers of shards by their tag, 0=region:eu,2=region:us; others may lie on any hub server
}

// Cassandra is where the Messages store lies. Without hosts it is an SQLite file in the data folder.
type Cassandra struct {
	Hosts       []string      `conf:"hosts" is:"host"`           // some nodes of the ring, host or host:port; the others are found through them
	Keyspace    string        `conf:"keyspace" is:"keyspace"`    // made at the first start
	Datacenter  string        `conf:"datacenter"`                // whose nodes are asked (LOCAL_QUORUM); empty: that of the first host that answers
	Replication int           `conf:"replication" is:"replicas"` // copies in the datacenter when the keyspace is made; never more than it has nodes
	User        string        `conf:"user"`                      // empty: no login
	Password    string        `conf:"password" is:"secret"`      // of User
	TLSCA       string        `conf:"tls_ca" is:"path"`          // PEM file of who signs the nodes' certificates; empty: no TLS
	Timeout     time.Duration `conf:"timeout"`                   // of one question to a node
	Through     []string      `conf:"through"`                   // nodes that are reached by another address, NODE=ADDRESS with ports: a proxy that leads there
	BucketRows  int           `conf:"bucket_rows" is:"count"`    // rows of a channel after which another partition begins
}

// Postgres is where the Directory lies. Without a DSN it is an SQLite file in the data folder.
type Postgres struct {
	DSN              string        `conf:"dsn" is:"dsn"`         // postgres://user:password@host:port/database?sslmode=…
	MaxConns         int           `conf:"max_conns" is:"count"` // of this process
	StatementTimeout time.Duration `conf:"statement_timeout"`    // after which the server gives a statement up
}

// Edge is what serves sockets.
type Edge struct {
	Listen         string        `conf:"listen" is:"address"`         // of sockets, where this role runs without the api; with it they share the Listen above
	Heartbeat      time.Duration `conf:"heartbeat"`                   // silence after which a client is pinged
	DrainSpread    time.Duration `conf:"drain_spread"`                // when it stops, clients come back at a random moment of this span
	StallTimeout   time.Duration `conf:"stall_timeout"`               // how long a socket may take none of the bytes that wait for it
	MaxSockets     int           `conf:"max_sockets" is:"count"`      // open at once
	AllowedOrigins []string      `conf:"allowed_origins" is:"origin"` // of web pages besides our own, https://host[:port], matched exactly
	RingEntries    int           `conf:"ring_entries" is:"count"`     // events of a workspace kept in memory
	RingBytes      int           `conf:"ring_bytes" is:"size"`        // bytes of them
	PublicURL      string        `conf:"public_url" is:"socket-url"`  // where people reach these sockets, wss://host[:port]: told by GET /gateways; default the address of Listen
	MaxBytes       int64         `conf:"max_bytes" is:"size"`         // of memory for sockets that are slow and sends on their way; close to it new ones are refused
	Admit          string        `conf:"admit" is:"rate"`             // sockets that are opened; more are told when to come back
	TLSCert        string        `conf:"tls_cert" is:"path"`          // PEM file; with TLSKey, Listen speaks TLS
	TLSKey         string        `conf:"tls_key" is:"path"`           // PEM file
}

// Auth is about signing in.
type Auth struct {
	TokenLife   time.Duration `conf:"token_life"`   // how long an access token is valid
	SessionLife time.Duration `conf:"session_life"` // how long a sign-in lasts that is not refreshed
}

// Limits are token buckets: so many a second, and so many at once after a pause. "off" is no limit. They hold in one
// process: with three gateways a user of all three has three times as much.
type Limits struct {
	ConnFrames      string `conf:"conn_frames" is:"rate"`      // frames of one socket
	ConnBytes       string `conf:"conn_bytes" is:"rate"`       // bytes of one socket
	UserSends       string `conf:"user_sends" is:"rate"`       // changes of one user, over all their sockets
	ChannelSends    string `conf:"channel_sends" is:"rate"`    // changes in one channel, by everybody
	AddressConnects string `conf:"address_connects" is:"rate"` // sockets that one IP address opens
	UserRequests    string `conf:"user_requests" is:"rate"`    // REST requests of one user
	AddressRequests string `conf:"address_requests" is:"rate"` // REST requests of one IP address
}

// Mail is how invites are sent. Without it a link is made all the same, for its maker to hand over.
type Mail struct {
	Server   string `conf:"server" is:"address"` // of SMTP, host:port; empty: no mail is sent
	From     string `conf:"from"`                // address of the sender
	User     string `conf:"user"`
	Password string `conf:"password" is:"secret"`
	TLS      string `conf:"tls" is:"mail-tls"` // starttls, tls or none
}

// Deliver is how people are reached who were not there when a message came.
type Deliver struct {
	Grace        time.Duration `conf:"grace"`                   // how long after a message those who are online have time to confirm it
	Attempts     int           `conf:"attempts" is:"count"`     // to reach somebody for a message; then it is a dead letter
	FirstRetry   time.Duration `conf:"first_retry"`             // the longest pause after the first attempt; each further one is four times as long
	MaxRetry     time.Duration `conf:"max_retry"`               // up to this
	MaxAge       time.Duration `conf:"max_age"`                 // of a message; an older one is no longer tried
	Contact      string        `conf:"contact" is:"contact"`    // whom push services write to about us: mailto:ops@example.org, or an https URL (RFC 8292)
	AllowPrivate []string      `conf:"allow_private" is:"cidr"` // private networks that webhooks and push services may lie in, such as 10.1.0.0/16; none by default
}

// Clock makes a process take it for another time than it is, wherever it decides by the time of day. It is for trials of clocks that are wrong
// (canopy verify), and for nothing else.
type Clock struct {
	Ahead  time.Duration `conf:"ahead"`  // of the system's clock
	Behind time.Duration `conf:"behind"` // it
}

// Now is the time by this clock.
func (c Clock) Now() time.Time { return time.Now().Add(c.Ahead - c.Behind) }

// Layout says which processes the roles run in. The ports of NATS depend on it.
type Layout uint8

const (
	// Together is all roles in one process. They know each other's ports, so any free one will do, and several
	// deployments fit on one machine.
	Together Layout = iota
	// Apart is a process for each role. They find each other at the ports that NATS is known by.
	Apart
)

// Default is every setting as it is when nobody says anything.
func Default(l Layout) Config {
	return Config{}.WithDefaults(l)
}

// WithDefaults is c with its zero fields filled in. It is the only place that has defaults.
func (c Config) WithDefaults(l Layout) Config {
	or(&c.Data, "./canopy-data")
	or(&c.Listen, "127.0.0.1:8080")
	or(&c.Admin, anyPort)
	or(&c.LogLevel, "info")
	or(&c.LogFormat, "auto")
	or(&c.Region, "local")
	if l == Apart {
		c.defaultPorts()
	}
	or(&c.Hub.Listen, anyPort)
	or(&c.Hub.LeafListen, anyPort)
	or(&c.Hub.Monitor, anyPort) // /metrics reads it
	or(&c.Hub.MaxStore, 8<<30)  // four CHAT streams of 1 GiB, jobs and dead letters, and room
	or(&c.Leaf.Listen, anyPort)
	or(&c.Leaf.Monitor, anyPort)

	or(&c.Streams.Replicas, 1)
	or(&c.Streams.MaxAge, 72*time.Hour)
	or(&c.Streams.DedupWindow, min(chat.DedupWindow, c.Streams.MaxAge))
	or(&c.Streams.SendTimeout, sendTimeout)
	if c.Streams.Replicas == 1 {
		or(&c.Streams.MaxBytes, 1<<30) // four of them fit on a laptop
	}
	or(&c.Streams.MaxBytes, 8<<30)

	or(&c.Cassandra.Keyspace, "canopy")
	or(&c.Cassandra.Replication, 3)
	or(&c.Cassandra.Timeout, 2*time.Second)
	or(&c.Cassandra.BucketRows, 100_000)
	or(&c.Postgres.MaxConns, 16)
	or(&c.Postgres.StatementTimeout, 5*time.Second)

	or(&c.Edge.Listen, "127.0.0.1:8081") // beside the api's
	or(&c.Edge.Heartbeat, 30*time.Second)
	or(&c.Edge.DrainSpread, 5*time.Second)
	or(&c.Edge.StallTimeout, 3*time.Minute)
	or(&c.Edge.MaxSockets, 100_000)
	or(&c.Edge.RingEntries, 2048)
	or(&c.Edge.RingBytes, 2<<20)
	or(&c.Edge.MaxBytes, 1<<30)
	or(&c.Edge.Admit, "1000/s burst 2000") // 5,000 that come back at once are in within some seconds
	or(&c.Auth.TokenLife, 15*time.Minute)
	or(&c.Auth.SessionLife, 30*24*time.Hour)
	c.Limits.defaults()
	or(&c.Mail.TLS, "starttls")
	or(&c.Deliver.Grace, 10*time.Second)
	or(&c.Deliver.Attempts, 10)
	or(&c.Deliver.FirstRetry, 30*time.Second)
	or(&c.Deliver.MaxRetry, 6*time.Hour)
	or(&c.Deliver.MaxAge, 7*24*time.Hour)
	or(&c.Deliver.Contact, "mailto:canopy@localhost.invalid")
	return c
}

// sendTimeout is longer than an election.
const sendTimeout = 15 * time.Second

// defaults are what nobody who types, and no bot that behaves, comes near; an office behind one address does not either.
func (l *Limits) defaults() {
	or(&l.ConnFrames, "200/s burst 2000")
	or(&l.ConnBytes, "512KB/s burst 4MB")
	or(&l.UserSends, "50/s burst 500")
	or(&l.ChannelSends, "500/s burst 2000")
	or(&l.AddressConnects, "100/s burst 2000")
	or(&l.UserRequests, "50/s burst 500")
	or(&l.AddressRequests, "200/s burst 2000")
}

const anyPort = "127.0.0.1:0"

// defaultPorts are those of NATS's own examples and charts. The leaf's clients take the one after the hub's,
// so that both fit on one machine. What listens elsewhere is also looked for there.
func (c *Config) defaultPorts() {
	or(&c.Hub.Listen, "127.0.0.1:4222")
	or(&c.Hub.LeafListen, "127.0.0.1:7422")
	or(&c.Hub.Monitor, "127.0.0.1:8222")
	or(&c.Leaf.Listen, "127.0.0.1:4223")
	or(&c.Hub.URL, "nats://"+reachable(c.Hub.Listen))
	or(&c.Leaf.HubURL, "nats-leaf://"+reachable(c.Hub.LeafListen))
	or(&c.Leaf.URL, "nats://"+reachable(c.Leaf.Listen))
}

func or[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}
