// Package stores opens the stores that the config names: files in the data folder, or servers.
package stores

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/postgres"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams/bus"
)

// storePause is between two tries to reach a database when a process starts: they start in any order.
const storePause = time.Second

// Messages opens the Messages store that the config names, and brings its tables up to date. It waits for a database
// that does not answer until ctx ends. Whoever gets it closes it.
func Messages(ctx context.Context, cfg config.Config, log *slog.Logger) (store.Messages, func() error, error) {
	if len(cfg.Cassandra.Hosts) == 0 {
		m, err := sqlite.OpenMessages(ctx, filepath.Join(cfg.Data, datadir.Messages))
		if err != nil {
			return nil, nil, err
		}
		return m, m.Close, nil
	}
	m, err := persistently(ctx, log, func() (*cassandra.Messages, error) { return cassandra.Open(ctx, cassandraConfig(cfg, log)) })
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

func cassandraConfig(cfg config.Config, log *slog.Logger) cassandra.Config {
	c := cfg.Cassandra
	return cassandra.Config{
		Hosts: c.Hosts, Keyspace: c.Keyspace, Datacenter: c.Datacenter, Replication: c.Replication,
		User: c.User, Password: c.Password, TLSCA: c.TLSCA, Timeout: c.Timeout, Through: c.Through, BucketRows: c.BucketRows, Logger: log,
	}
}

// Directory opens the Directory that the config names, and brings its tables up to date. It waits for a database
// that does not answer until ctx ends. Whoever gets it closes it.
func Directory(ctx context.Context, cfg config.Config, log *slog.Logger) (store.Directory, func() error, error) {
	if cfg.Postgres.DSN == "" {
		d, err := sqlite.OpenDirectory(ctx, filepath.Join(cfg.Data, datadir.Directory))
		if err != nil {
			return nil, nil, err
		}
		return d, d.Close, nil
	}
	d, err := persistently(ctx, log, func() (*postgres.Directory, error) { return postgres.Open(ctx, postgresConfig(cfg, log)) })
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

func postgresConfig(cfg config.Config, log *slog.Logger) postgres.Config {
	p := cfg.Postgres
	return postgres.Config{DSN: p.DSN, MaxConns: p.MaxConns, StatementTimeout: p.StatementTimeout, Logger: log}
}

// Schemas look at the servers of stores that the config names, by what is in them. An SQLite file is brought up to date
// by whoever opens it.
func Schemas(cfg config.Config, log *slog.Logger) map[string]func(context.Context) (have, known int64, err error) {
	all := map[string]func(context.Context) (int64, int64, error){}
	if len(cfg.Cassandra.Hosts) > 0 {
		all["messages"] = func(ctx context.Context) (int64, int64, error) {
			return cassandra.SchemaOf(ctx, cassandraConfig(cfg, log))
		}
	}
	if cfg.Postgres.DSN != "" {
		all["directory"] = func(ctx context.Context) (int64, int64, error) {
			return postgres.SchemaOf(ctx, postgresConfig(cfg, log))
		}
	}
	return all
}

// persistently opens something that may not answer yet.
func persistently[T any](ctx context.Context, log *slog.Logger, open func() (T, error)) (T, error) {
	for {
		opened, err := open()
		if err == nil || !fault.Is(err, fault.Unavailable) || ctx.Err() != nil {
			return opened, err
		}
		log.Warn("the database does not answer yet", "err", err)
		if err := bus.Pause(ctx, storePause); err != nil {
			return opened, err
		}
	}
}
