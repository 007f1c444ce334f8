package ring_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

const more = "-- and what it costs\nALTER TABLE items ADD IF NOT EXISTS price int;\nCREATE TABLE IF NOT EXISTS others (a int PRIMARY KEY); // last\n"

var changes = []string{"CREATE ", "ALTER ", "INSERT ", "UPDATE ", "DELETE "}

func TestMigrationsAreRunOnce(t *testing.T) {
	t.Parallel()
	c := config(t, items, more)
	w := tap(t, c.Hosts[0])
	c.Hosts = []string{w.address}
	r := open(t, c)
	// Keyspace, two tables of the package, two of the files.
	if said := w.mentions(changes...); said["CREATE "] != 5 || said["ALTER "] != 1 {
		t.Errorf("the first start says %v", said)
	}
	type row struct {
		name, sum string
		at        time.Time
	}
	list := func() []row {
		t.Helper()
		all, err := ring.List(t.Context(), r, ring.Read{Statement: "SELECT name, sha256, applied_at FROM schema_migrations"},
			func(from ring.Row) (v row, err error) { return v, from.Scan(&v.name, &v.sum, &v.at) })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := list()
	if len(before) != 2 || len(before[0].sum) != 64 || before[0].at.IsZero() {
		t.Errorf("%+v", before)
	}
	w.mentions()
	again, err := ring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	// The whole of what a second start says to the ring: nothing that changes anything, not even the lock.
	for word, n := range w.mentions(append(changes, "SELECT ")...) {
		if (n > 0) != (word == "SELECT ") {
			t.Errorf("the second start says %s %d times", word, n)
		}
	}
	if after := list(); len(after) != 2 || after[0] != before[0] && after[0] != before[1] {
		t.Errorf("%+v, was %+v", after, before)
	}
}

func TestMigrationsThatCameLaterAreRun(t *testing.T) {
	t.Parallel()
	c := config(t, items)
	open(t, c)
	c.Migrations = files(items, more)
	r, err := ring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Exec(t.Context(), ring.Write{Statement: "INSERT INTO items (shelf, n, price) VALUES ('s', 1, 5)"}); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefusedBeforeItBegins(t *testing.T) {
	t.Parallel()
	c := config(t, items, more)
	open(t, c)
	t.Run("an edited file", func(t *testing.T) {
		c := c
		c.Migrations = files(items+" ", more)
		_, err := ring.Open(t.Context(), c)
		if err == nil || fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "00001_words.cql was edited after it was applied") {
			t.Errorf("%v", err)
		}
	})
	t.Run("a keyspace of a newer version", func(t *testing.T) {
		c := c
		c.Migrations = files(items)
		_, err := ring.Open(t.Context(), c)
		var newer *ring.NewerSchemaError
		if !errors.As(err, &newer) || *newer != (ring.NewerSchemaError{Keyspace: c.Keyspace, Have: 2, Known: 1}) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a datacenter that no host is in", func(t *testing.T) {
		c := c
		c.Datacenter = "atlantis"
		_, err := ring.Open(t.Context(), c)
		if err == nil || fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), `no host is in the datacenter "atlantis"`) {
			t.Errorf("%v", err)
		}
	})
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"00001_a.sql", items, "it is not named like 00001_words.cql"},
		{"1_a.cql", items, "it is not named like 00001_words.cql"},
		{"00002_a.cql", items, "it is file 1: a number is missing or used twice"},
		{"00001_a.cql", "-- nothing", "it has no statement"},
		{"00001_a.cql", "CREATE TABLE 'a", "a string has no end"},
		{"00001_a.cql", "CREATE TABLE a (a int PRIMARY KEY)", `"CREATE TABLE a (a int PRIMARY" may not be run twice`},
		{"00001_a.cql", "ALTER TABLE a ADD b int", "may not be run twice"},
		{"00001_a.cql", "DROP TABLE a", "may not be run twice"},
		{"00001_a.cql", "TRUNCATE a", "may not be run twice"},
		{"00001_a.cql", "INSERT INTO a (a) VALUES (1)", "may not be run twice"},
		{"00001_a.cql", items + ";CREATE KEYSPACE IF NOT EXISTS a WITH x", "may not be run twice"},
	} {
		_, err := ring.Open(t.Context(), ring.Config{Hosts: []string{"127.0.0.1:9"}, Keyspace: "k", Timeout: 300 * time.Millisecond,
			Migrations: fstest.MapFS{tt.name: {Data: []byte(tt.text)}}})
		if err == nil || fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.name) {
			t.Errorf("%s %q: %v", tt.name, tt.text, err)
		}
	}
	good := "create table\n if not exists a (a int PRIMARY KEY); CREATE CUSTOM INDEX IF NOT EXISTS b ON a (b) USING 'sai'; DROP INDEX IF EXISTS c;" +
		"ALTER TABLE a ADD IF NOT EXISTS d int; ALTER TABLE a DROP IF EXISTS e; ALTER TABLE a WITH comment = 'f;'"
	_, err := ring.Open(t.Context(), ring.Config{Hosts: []string{refused(t)}, Keyspace: "k", Migrations: files(good)})
	if !fault.Is(err, fault.Unavailable) { // the files are looked at first
		t.Errorf("%v", err)
	}
}

func TestSeveralProcessesMayStartAtOnce(t *testing.T) {
	t.Parallel()
	c := config(t, items, more)
	var starts sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		starts.Go(func() {
			r, err := ring.Open(t.Context(), c)
			if err == nil {
				err = r.Exec(t.Context(), ring.Write{Statement: "INSERT INTO items (shelf, n, price) VALUES ('s', ?, 5)", Args: []any{i}})
				err = errors.Join(err, r.Close())
			}
			errs[i] = err
		})
	}
	starts.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	open(t, c)
}

// hold makes the lock's row, as a process does that dies then.
func hold(t *testing.T, r *ring.Ring, ttl int) {
	t.Helper()
	applied, err := r.ExecIf(t.Context(), ring.Write{
		Statement: "INSERT INTO schema_lock (what, holder) VALUES ('migrations', 'the dead') IF NOT EXISTS USING TTL ?", Args: []any{ttl}})
	if err != nil || !applied {
		t.Fatalf("%v, %v", applied, err)
	}
}

func TestTheLockOfADeadProcessLapses(t *testing.T) {
	t.Parallel()
	c := config(t, items)
	hold(t, open(t, c), 2)
	c.Migrations = files(items, more)
	r, err := ring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhoWaitsForALockEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := config(t, items)
	hold(t, open(t, c), 300)
	c.Migrations = files(items, more)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := ring.Open(ctx, c)
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	c.Migrations = files(items)
	r, err := ring.Open(t.Context(), c) // nothing to migrate: the lock does not matter
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestALockIsKeptWhileItsHolderLives(t *testing.T) {
	t.Parallel()
	c := config(t, items).WithLockTTL(4 * time.Second)
	r := open(t, c)
	holder := func() (string, error) {
		return ring.One(t.Context(), r, ring.Read{Statement: "SELECT holder FROM schema_lock WHERE what = 'migrations'", Serial: true}, "lock", name)
	}
	err := ring.Alone(t.Context(), c, func(ctx context.Context) error {
		first, err := holder()
		if err != nil {
			return err
		}
		for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
			if now, err := holder(); err != nil || now != first {
				return fmt.Errorf("after %v the holder is %q: %w", time.Since(began), now, err)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
	if now, err := holder(); !fault.Is(err, fault.NotFound) {
		t.Errorf("the lock was not given back: %q, %v", now, err)
	}
}

func TestWhoLosesTheLockStops(t *testing.T) {
	t.Parallel()
	c := config(t, items).WithLockTTL(6 * time.Second)
	r := open(t, c)
	err := ring.Alone(t.Context(), c, func(ctx context.Context) error {
		taken, err := r.ExecIf(ctx, ring.Write{Statement: "UPDATE schema_lock SET holder = 'another' WHERE what = 'migrations' IF EXISTS"})
		if err != nil || !taken {
			return fmt.Errorf("%v: %w", taken, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Minute):
			return errors.New("it goes on")
		}
	})
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "the lock for migrations was lost") {
		t.Errorf("%v", err)
	}
	if now, err := ring.One(t.Context(), r, ring.Read{Statement: "SELECT holder FROM schema_lock WHERE what = 'migrations'"}, "lock", name); err != nil || now != "another" {
		t.Errorf("another's lock became %q, %v", now, err)
	}
}
