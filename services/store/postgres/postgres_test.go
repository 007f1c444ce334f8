package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/postgres"
	"github.com/canopychat/canopy/services/store/storetest"
)

// TestMain also checks that no test left a goroutine, or a database, behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := dropTemplate(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

var quiet = slog.New(slog.DiscardHandler)

// TestDirectory is the contract's suite on a real server. The cases come one after the other into one database, which is
// emptied for each: making one takes as long as ten cases.
func TestDirectory(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	storetest.RunDirectory(t, func(t *testing.T) store.Directory {
		if err := exec(dsn, `DO $$ BEGIN
			DELETE FROM secrets; DELETE FROM webhooks; DELETE FROM push_subscriptions; DELETE FROM follows; DELETE FROM preferences;
			DELETE FROM idempotency; DELETE FROM invites; DELETE FROM tickets; DELETE FROM refresh_tokens; DELETE FROM sign_ins;
			DELETE FROM recorded; DELETE FROM outbox; DELETE FROM signing_keys; DELETE FROM tenures; DELETE FROM channels;
			DELETE FROM members; DELETE FROM workspaces; DELETE FROM users; END $$`); err != nil {
			t.Fatal(err)
		}
		return open(t, dsn)
	})
	// Locks are taken in one order (relational.Change). The server would have mended a circle, after a second in it.
	if err := exec(dsn, `DO $$ BEGIN
		PERFORM pg_stat_clear_snapshot();
		ASSERT (SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()) = 0, 'there were deadlocks'; END $$`); err != nil {
		t.Error(err)
	}
}

// within is a context that a test must not outlast.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// template is a database with the tables, which those of the tests are copied from. Other test binaries have their own.
var template struct {
	once sync.Once
	name string // empty: there is none
	at   string // the DSN of the server
	err  error
}

// newDatabase makes a database with the tables and returns its DSN.
func newDatabase(t testing.TB) string {
	t.Helper()
	server := storetest.Server(t, storetest.Postgres)
	template.once.Do(func() {
		template.at, template.name = server, fmt.Sprintf("canopy_template_%d", os.Getpid())
		if template.err = exec(server, `CREATE DATABASE `+template.name); template.err != nil {
			return
		}
		d, err := postgres.Open(context.Background(), postgres.Config{DSN: inDatabase(t, server, template.name)})
		if template.err = err; err == nil {
			template.err = d.Close()
		}
	})
	if template.err != nil {
		t.Fatal(template.err)
	}
	return createDatabase(t, server, ` TEMPLATE `+template.name)
}

// emptyDatabase makes a database without tables.
func emptyDatabase(t testing.TB) string {
	t.Helper()
	return createDatabase(t, storetest.Server(t, storetest.Postgres), ` TEMPLATE template0 ENCODING 'UTF8'`)
}

// icuDatabase is like emptyDatabase, and its language sorts a before B.
func icuDatabase(t testing.TB) string {
	t.Helper()
	return createDatabase(t, storetest.Server(t, storetest.Postgres), ` TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
}

var databases struct {
	mu sync.Mutex
	n  int
}

func createDatabase(t testing.TB, server, like string) string {
	t.Helper()
	databases.mu.Lock()
	databases.n++
	name := fmt.Sprintf("canopy_test_%d_%d", os.Getpid(), databases.n)
	databases.mu.Unlock()
	if err := exec(server, `CREATE DATABASE `+name+like); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := exec(server, `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Error(err)
		}
	})
	return inDatabase(t, server, name)
}

func dropTemplate() error {
	if template.name == "" {
		return nil
	}
	return exec(template.at, `DROP DATABASE IF EXISTS `+template.name)
}

func inDatabase(t testing.TB, server, name string) string {
	t.Helper()
	at, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/" + name
	return at.String()
}

// exec runs some statements as somebody else would.
func exec(dsn, statement string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, statement).ReadAll()
	if err != nil {
		err = fmt.Errorf("%s: %w", statement, err)
	}
	if closed := conn.Close(ctx); err == nil {
		err = closed
	}
	return err
}

func open(t testing.TB, dsn string) *postgres.Directory {
	t.Helper()
	return openWith(t, postgres.Config{DSN: dsn})
}

func openWith(t testing.TB, cfg postgres.Config) *postgres.Directory {
	t.Helper()
	cfg.Logger = quiet
	d, err := postgres.Open(within(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}
