package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/postgres"
)

// short is a budget that a test can wait for, and that a server which is there keeps on a slow machine.
const short = 2 * time.Second

func aUser(id string) store.NewUser {
	return store.NewUser{User: chat.User{ID: chat.UserID(id), Login: id, DisplayName: id, CreatedAt: time.Unix(1, 0).UTC()}}
}

// townOf makes ann, who owns the workspace ws.
func townOf(t *testing.T, d *postgres.Directory) {
	t.Helper()
	ctx := within(t)
	if err := d.CreateUsers(ctx, []store.NewUser{aUser("ann")}); err != nil {
		t.Fatal(err)
	}
	if err := d.CreateWorkspace(ctx, chat.Workspace{ID: "ws", Name: "Demo", Epoch: 1, CreatedAt: time.Unix(1, 0).UTC()}, "ann"); err != nil {
		t.Fatal(err)
	}
}

// isDown expects that reading, writing and the outbox say that the database does not answer.
func isDown(t *testing.T, d *postgres.Directory) {
	t.Helper()
	ctx := within(t)
	var calls sync.WaitGroup
	for what, call := range map[string]func() error{
		"a read":  func() error { _, err := d.User(ctx, "ann"); return err },
		"a list":  func() error { _, err := d.ListUsers(ctx, "", 10); return err },
		"a claim": func() error { _, err := d.Claim(ctx, 10, nil); return err },
		"a write": func() error { return d.CreateUsers(ctx, []store.NewUser{aUser("late")}) },
	} {
		calls.Go(func() {
			if err := call(); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v; want unavailable", what, err)
			}
		})
	}
	calls.Wait()
	if ctx.Err() != nil {
		t.Error("the test's own patience ended it, not the budget")
	}
}

// comesBack expects that all works, in the end, and that until then nothing but Unavailable is said.
func comesBack(t *testing.T, d *postgres.Directory) {
	t.Helper()
	eventually(t, "after the outage", func() error {
		_, err := d.User(within(t), "ann")
		if err == nil {
			_, err = d.UpdateUser(within(t), store.UserChange{UserID: "ann", By: "ann", DisplayName: time.Now().String()})
		}
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatalf("%v; want unavailable", err)
		}
		return err
	})
}

func TestConnectionsThatTheServerEnds(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	d := open(t, dsn)
	townOf(t, d)
	for range 3 {
		// Those that are in use, and those that are not.
		ended := make(chan error, 4)
		for range cap(ended) {
			go func() {
				var err error
				for range 20 {
					if _, one := d.User(within(t), "ann"); one != nil && !fault.Is(one, fault.Unavailable) {
						err = errors.Join(err, one)
					}
				}
				ended <- err
			}()
		}
		terminate(t, dsn)
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Errorf("a connection that was ended: %v; want unavailable", err)
			}
		}
		comesBack(t, d)
	}
}

// terminate ends all connections to a database, as an operator or a server that stops does.
func terminate(t *testing.T, dsn string) {
	t.Helper()
	err := exec(dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
}

func TestAServerThatIsCutOffOrSilent(t *testing.T) {
	t.Parallel()
	n, dsn := throughNetwork(t, newDatabase(t))
	d := openWith(t, postgres.Config{DSN: dsn, Budget: short})
	townOf(t, d)

	n.swallow() // connections that are open, and such as are made now
	isDown(t, d)
	n.pass()
	comesBack(t, d)

	n.swallow()
	n.cut()
	isDown(t, d)
	n.pass()
	comesBack(t, d)
}

func TestOpeningWithoutAServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := refused.Close(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for what, at := range map[string]string{"silent": l.Addr().String(), "refused": refused.Addr().String()} {
		d, err := postgres.Open(within(t), postgres.Config{DSN: "postgres://u:hunter2@" + at + "/db?sslmode=disable", Budget: 300 * time.Millisecond, Logger: quiet})
		if !fault.Is(err, fault.Unavailable) || d != nil {
			t.Fatalf("%s: %v; want unavailable", what, err)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the password is in %q", what, err)
		}
	}
	_, err = postgres.Open(within(t), postgres.Config{DSN: "postgres://u:hunter2@[::1/db"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a DSN that is none: %v", err)
	}
}

func TestAStatementThatTakesTooLong(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	d := openWith(t, postgres.Config{DSN: dsn, StatementTimeout: 300 * time.Millisecond, Budget: time.Minute})
	townOf(t, d)
	ctx := within(t)
	other, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	for _, statement := range []string{`BEGIN`, `LOCK TABLE users IN ACCESS EXCLUSIVE MODE`} {
		if _, err := other.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.User(ctx, "ann"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a read that waits for a lock: %v; want unavailable", err)
	}
	if err := d.CreateUsers(ctx, []store.NewUser{aUser("bob")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a write that waits for a lock: %v; want unavailable", err)
	}
	if _, err := other.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	comesBack(t, d)
}

func TestAServerThatOnlyReads(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	townOf(t, open(t, dsn))
	name := dsn[strings.LastIndex(dsn, "/")+1:]
	name, _, _ = strings.Cut(name, "?")
	if err := exec(dsn, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	d := open(t, dsn)
	if _, err := d.User(within(t), "ann"); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := d.CreateUsers(within(t), []store.NewUser{aUser("bob")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("writing: %v; want unavailable", err)
	}
	// As after a failover: the connections that found out are not used again.
	if err := exec(dsn+`&default_transaction_read_only=off`, `ALTER DATABASE `+name+` RESET default_transaction_read_only`); err != nil {
		t.Fatal(err)
	}
	comesBack(t, d)
}

func TestValuesThatCannotBeKept(t *testing.T) {
	t.Parallel()
	ctx, d := within(t), open(t, newDatabase(t))
	townOf(t, d)
	for _, bad := range []string{"zero\x00byte", "no UTF-8 \xff"} {
		u := aUser("bob")
		u.DisplayName = bad
		_, _, login := d.Credentials(ctx, bad)
		_, key, begin := d.Begin(ctx, store.IdempotencyKey{UserID: "ann", Key: bad, At: time.Unix(1, 0), Lease: time.Minute})
		for what, err := range map[string]error{
			"a new account": d.CreateUsers(ctx, []store.NewUser{u}), "a login": login, "a key": begin,
		} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%s with %q: %v; want invalid", what, bad, err)
			}
		}
		if key {
			t.Error("a key that cannot be kept was known")
		}
	}
	if _, err := d.UsersByID(ctx, []chat.UserID{"ann", "zero\x00byte"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a list of ids with a zero byte: %v; want invalid", err)
	}
}
