package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/relational/directory"
	"github.com/canopychat/canopy/services/store/relational/reach"
	"github.com/canopychat/canopy/services/store/relational/signin"
)

const (
	// DefaultMaxConns is how many connections ask and write, when the config does not say.
	DefaultMaxConns = 16
	// DefaultStatementTimeout is when the server gives a statement up, when the config does not say.
	DefaultStatementTimeout = 5 * time.Second

	overStatement = time.Second      // that Budget has by default over StatementTimeout: who knows more gives up first
	lockWait      = 3 * time.Second  // how long a statement waits for a row that another transaction has
	connectTurn   = 3 * time.Second  // how long one host may take to let us in; the next one is asked then
	idleChange    = 15 * time.Second // after which the server ends a transaction that a stopped process left open
	idleHold      = time.Minute      // the same for what is held by a relay, which waits for the log meanwhile
	holders       = 4                // connections that hold: one relay a process, and such as are ending
	connLife      = 30 * time.Minute // of a connection, and up to half as much again, so that processes do not renew theirs together
	connIdle      = 5 * time.Minute  // after which one that nobody needs is closed
)

// Config says where the server is. DSN is needed.
type Config struct {
	DSN              string        // postgres://user:password@host:port/database?sslmode=…
	MaxConns         int           // that ask and write; 0: DefaultMaxConns
	StatementTimeout time.Duration // 0: DefaultStatementTimeout
	Budget           time.Duration // how long the server may leave a statement, or a connection, without an answer; 0: a second over StatementTimeout
	Logger           *slog.Logger  // nil: slog.Default
}

// Directory is a database with the users, workspaces, channels, memberships, sign-ins, keys and the outbox, and how
// people are reached.
type Directory = directory.Directory

// NewerSchemaError says that a newer version of Canopy made the tables, which this one must not touch.
type NewerSchemaError = relational.NewerSchemaError

// Open connects and brings the tables up to date, by one of all the processes that start at once. With the tables in place
// it takes no lock. The error is Unavailable when the server does not answer, and a *NewerSchemaError when a newer version
// of Canopy made the tables.
func Open(ctx context.Context, cfg Config) (*Directory, error) {
	s, err := serverOf(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, ddl.PostgresDirectory()); err != nil {
		return nil, err
	}
	db := &database{
		server: s,
		pool:   s.connections(s.cfg.MaxConns, s.cfg.StatementTimeout, idleChange),
		holds:  s.connections(holders, s.cfg.StatementTimeout, idleHold),
	}
	return directory.New(db, signin.New(db), reach.New(db)), nil
}

// serverOf is the server of a config, with its defaults. It connects to nothing.
func serverOf(cfg Config) (server, error) {
	cfg.MaxConns = cmp.Or(cfg.MaxConns, DefaultMaxConns)
	cfg.StatementTimeout = cmp.Or(cfg.StatementTimeout, DefaultStatementTimeout)
	cfg.Budget = cmp.Or(cfg.Budget, cfg.StatementTimeout+overStatement)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	at, err := pgx.ParseConfig(cfg.DSN)
	if err != nil {
		return server{}, fmt.Errorf("open the database: %w", err) // the driver leaves the password out
	}
	at.ConnectTimeout = cmp.Or(at.ConnectTimeout, min(connectTurn, cfg.Budget))
	return server{at: at, cfg: cfg}, nil
}

// server is where connections lead.
type server struct {
	at  *pgx.ConnConfig
	cfg Config
}

// name says where the server is, without a secret.
func (s server) name() string {
	return fmt.Sprintf("the database %s of %s:%d", s.at.Database, s.at.Host, s.at.Port)
}

// settings are those of one connection. What the DSN says itself stays.
func (s server) settings(statement, idle time.Duration) *pgx.ConnConfig {
	at := s.at.Copy()
	for name, value := range map[string]string{
		"application_name":                    "canopy",
		"statement_timeout":                   millis(statement),
		"lock_timeout":                        millis(lockWait),
		"idle_in_transaction_session_timeout": millis(idle),
	} {
		if at.RuntimeParams[name] == "" {
			at.RuntimeParams[name] = value
		}
	}
	return at
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// connections makes a pool of at most n connections. It opens none yet.
func (s server) connections(n int, statement, idle time.Duration) *sql.DB {
	db := stdlib.OpenDB(*s.settings(statement, idle))
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxIdleTime(connIdle)
	db.SetConnMaxLifetime(connLife + rand.N(connLife/2))
	return db
}

// Within implements relational.Dialect.
func (s server) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.Budget)
}

// Text implements relational.Dialect.
func (server) Text(text string) string { return textOf(text) }

// Meaning implements relational.Dialect.
func (server) Meaning(err error) relational.Trouble { return meaning(err) }

// Close implements relational.Database.
func (d *database) Close() error { return errors.Join(d.holds.Close(), d.pool.Close()) }
