package ring

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/services/store/cassandra/migration"
)

// node is a connection to one node and no other, for the schema: what a node says about its ring is compared with
// what the others say, and statements that change the schema all go the same way.
type node struct {
	*link
	config   Config
	address  string // host or host:port
	keyspace string // of the connection; empty: none

	datacenter string
	schema     string // the version of the node's schema, when it was asked
}

// reach connects to the first of the hosts that answers and is in the datacenter.
func reach(ctx context.Context, config Config) (*node, error) {
	var failures []error
	var elsewhere []string
	addresses, err := resolve(ctx, config.Hosts)
	if err != nil {
		failures = append(failures, err)
	}
	for _, host := range addresses {
		n, err := dial(ctx, config, host, "")
		switch {
		case err != nil:
			failures = append(failures, err)
		case config.Datacenter == "" || n.datacenter == config.Datacenter:
			return n, nil
		default:
			n.Close()
			elsewhere = append(elsewhere, host+" in "+strconv.Quote(n.datacenter))
		}
		if err := ctx.Err(); err != nil {
			failures = append(failures, failed(err, "cassandra: connect"))
			break
		}
	}
	if len(failures) == 0 {
		return nil, fmt.Errorf("cassandra: no host is in the datacenter %q: %s", config.Datacenter, strings.Join(elsewhere, ", "))
	}
	return nil, errors.Join(failures...)
}

// resolve is the hosts with the addresses of their names: a name may stand for many nodes. The error is of the names that
// have no address now; the others are good.
func resolve(ctx context.Context, hosts []string) (addresses []string, err error) {
	for _, host := range hosts {
		name, port := host, strconv.Itoa(defaultPort)
		if strings.Contains(host, ":") {
			var wrong error
			if name, port, wrong = net.SplitHostPort(host); wrong != nil {
				return nil, fmt.Errorf("cassandra: %q is not host or host:port: %w", host, wrong)
			}
			if _, wrong = strconv.ParseUint(port, 10, 16); wrong != nil {
				return nil, fmt.Errorf("cassandra: %q is not host or host:port: %w", host, wrong)
			}
		}
		found, failure := net.DefaultResolver.LookupHost(ctx, name)
		if failure != nil {
			err = errors.Join(err, unavailable(fmt.Errorf("cassandra: connect to %s: %w", host, failure)))
		}
		for _, address := range found {
			addresses = append(addresses, net.JoinHostPort(address, port))
		}
	}
	return addresses, err
}

// dial connects to one node and asks it who it is.
func dial(ctx context.Context, config Config, address, keyspace string) (*node, error) {
	session, err := config.connect(ctx, target{hosts: []string{address}, keyspace: keyspace, timeout: setupTimeout})
	if err != nil {
		return nil, err
	}
	n := &node{link: session, config: config, address: address, keyspace: keyspace}
	var schema gocql.UUID
	ctx, cancel := context.WithTimeout(ctx, config.Timeout)
	defer cancel()
	err = session.Query("SELECT data_center, schema_version FROM system.local WHERE key = 'local'").WithContext(ctx).
		Consistency(gocql.One).Scan(&n.datacenter, &schema)
	if err != nil {
		session.Close()
		return nil, failed(err, "cassandra: ask "+address+" who it is")
	}
	n.schema = schema.String()
	return n, nil
}

// local reads what the node itself knows, whichever others are down.
func (n *node) local(ctx context.Context, text string, args ...any) gocql.Scanner {
	return n.Query(text, args...).WithContext(ctx).Consistency(gocql.One).Iter().Scanner()
}

// hasKeyspace reports whether the keyspace is there.
func (n *node) hasKeyspace(ctx context.Context) (bool, error) {
	rows := n.local(ctx, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", n.config.Keyspace)
	found := false
	for rows.Next() {
		found = true
	}
	return found, failed(rows.Err(), "cassandra: look for the keyspace")
}

// change runs one statement that changes the schema, and waits until all nodes agree on it.
func (n *node) change(ctx context.Context, s Statement) error {
	if err := n.Query(string(s)).WithContext(ctx).Exec(); err != nil {
		return failed(err, "cassandra: "+migration.FirstWords(string(s)))
	}
	if err := n.AwaitSchemaAgreement(ctx); err != nil {
		return failed(noAgreement{err}, "cassandra: "+migration.FirstWords(string(s)))
	}
	return nil
}

// peers is the other nodes of the ring as this one knows them, each asked by itself.
func (n *node) peers(ctx context.Context) ([]peer, error) {
	rows := n.local(ctx, "SELECT peer, native_address, native_port, data_center FROM system.peers_v2")
	var all []peer
	for rows.Next() {
		var listen, native net.IP
		var port int
		var p peer
		if err := rows.Scan(&listen, &native, &port, &p.datacenter); err != nil {
			return nil, failed(err, "cassandra: read the ring's nodes")
		}
		if native == nil || native.IsUnspecified() {
			native = listen
		}
		if port == 0 {
			port = defaultPort
		}
		p.address = net.JoinHostPort(native.String(), strconv.Itoa(port))
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err, "cassandra: read the ring's nodes")
	}
	return all, nil
}

// defaultPort is Cassandra's, for a node that does not say its own.
const defaultPort = 9042
