package ring

import (
	"context"
	"crypto/sha1" // RFC 9562 names it for names; it keeps no secret
	"fmt"
	"strings"
	"time"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/cassandra/migration"
)

// prepare brings the keyspace up to date and returns the datacenter. With nothing to migrate it only reads.
func prepare(ctx context.Context, config Config, files []migration.File) (datacenter string, err error) {
	n, err := reach(ctx, config)
	if err != nil {
		return "", err
	}
	defer n.Close()
	done, err := n.upToDate(ctx, files)
	if err != nil || done {
		return n.datacenter, err
	}
	ring, err := n.whole(ctx)
	if err != nil {
		return "", err
	}
	if err := n.makeKeyspace(ctx, ring); err != nil {
		return "", err
	}
	if len(files) == 0 {
		return n.datacenter, nil
	}
	in, err := n.enter(ctx)
	if err != nil {
		return "", err
	}
	defer in.Close()
	return in.datacenter, in.migrate(ctx, files)
}

// enter connects to the node again, with the keyspace: the driver knows no USE. Another process may just be making the
// keyspace, and a node lists it some moments before it knows it.
func (n *node) enter(ctx context.Context) (*node, error) {
	for began := time.Now(); ; {
		in, err := dial(ctx, n.config, n.address, n.config.Keyspace)
		if err == nil || !fault.Is(err, fault.Unavailable) || time.Since(began) > agreeWait || !pause(ctx, agreeEvery) {
			return in, err
		}
	}
}

// upToDate reports whether nothing is to be migrated.
func (n *node) upToDate(ctx context.Context, files []migration.File) (bool, error) {
	if len(files) == 0 {
		return n.hasKeyspace(ctx)
	}
	todo, err := n.pending(ctx, files)
	return err == nil && len(todo) == 0, err
}

// pending is which of the files the keyspace has not. Without a table of what was migrated it has none.
func (n *node) pending(ctx context.Context, files []migration.File) ([]migration.File, error) {
	ctx, cancel := context.WithTimeout(ctx, patience*n.config.Timeout)
	defer cancel()
	rows := n.Query("SELECT number, name, sha256 FROM " + n.config.Keyspace + ".schema_migrations").WithContext(ctx).Iter().Scanner()
	var have []migration.Applied
	for rows.Next() {
		var a migration.Applied
		if err := rows.Scan(&a.Number, &a.Name, &a.Sum); err != nil {
			return nil, failed(err, "cassandra: read what was migrated")
		}
		have = append(have, a)
	}
	if err := rows.Err(); err != nil && !isAbsent(err) {
		return nil, failed(err, "cassandra: read what was migrated")
	}
	return migration.Pending(n.config.Keyspace, files, have)
}

// makeKeyspace makes the keyspace when it is missing.
func (n *node) makeKeyspace(ctx context.Context, ring []peer) error {
	is, err := n.hasKeyspace(ctx)
	if err != nil || is {
		return err
	}
	number := copies(ring, n.datacenter, n.config.Replication)
	if number < n.config.Replication {
		n.config.Logger.Warn("fewer copies of each row than asked for: the datacenter has too few nodes; when it has more, ALTER KEYSPACE and repair",
			"keyspace", n.config.Keyspace, "datacenter", n.datacenter, "copies", number, "asked", n.config.Replication)
	}
	n.config.Logger.Info("make the keyspace", "keyspace", n.config.Keyspace, "datacenter", n.datacenter, "copies", number)
	return n.change(ctx, Statement(fmt.Sprintf(
		"CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'NetworkTopologyStrategy', '%s': %d} AND durable_writes = true",
		n.config.Keyspace, escape(n.datacenter), number)))
}

// migrate runs what is pending, while no other process does.
func (n *node) migrate(ctx context.Context, files []migration.File) error {
	for _, table := range []struct{ name, columns string }{
		{"schema_lock", "what text PRIMARY KEY, holder text"},
		{"schema_migrations", "number int PRIMARY KEY, name text, sha256 text, applied_at timestamp"},
	} {
		// There is no lock yet, and two nodes that are told to make a table at once make two that are at odds,
		// unless both are told its id.
		err := n.change(ctx, Statement(fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s (%s) WITH id = %s",
			table.name, table.columns, tableID(n.config.Keyspace, table.name))))
		if err != nil {
			return err
		}
	}
	return n.alone(ctx, func(ctx context.Context) error {
		todo, err := n.pending(ctx, files)
		if err != nil || len(todo) == 0 {
			return err
		}
		if _, err := n.whole(ctx); err != nil { // again: it may have been long until it was our turn
			return err
		}
		for _, m := range todo {
			if err := n.apply(ctx, m); err != nil {
				return fmt.Errorf("migration %s: %w", m.Name, err)
			}
		}
		return nil
	})
}

// apply runs one file and notes it. If the process dies before the note, all of the file is run again.
func (n *node) apply(ctx context.Context, m migration.File) error {
	began := time.Now()
	for _, s := range m.Statements {
		if err := n.change(ctx, Statement(s)); err != nil {
			return err
		}
	}
	err := n.Query("INSERT INTO schema_migrations (number, name, sha256, applied_at) VALUES (?, ?, ?, ?)",
		m.Number, m.Name, m.Sum, time.Now()).WithContext(ctx).Exec()
	if err != nil {
		return failed(err, "cassandra: note a migration")
	}
	n.config.Logger.Info("migrated", "keyspace", n.config.Keyspace, "file", m.Name, "statements", len(m.Statements), "took", time.Since(began))
	return nil
}

// tableID is the id of a table that two processes may make at once: a UUID of the name (RFC 9562 §5.5).
func tableID(keyspace, table string) string {
	sum := sha1.Sum([]byte("canopy/" + keyspace + "/" + table))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	var id gocql.UUID
	copy(id[:], sum[:])
	return id.String()
}

// escape writes a string of CQL.
func escape(s string) string { return strings.ReplaceAll(s, "'", "''") }
