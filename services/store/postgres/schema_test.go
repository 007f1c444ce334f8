package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/postgres"
)

func TestManyProcessesThatStartAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	dsn := emptyDatabase(t)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			<-start
			d, err := postgres.Open(within(t), postgres.Config{DSN: dsn, Logger: quiet})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := d.SigningKeys(within(t)); err != nil {
				t.Error(err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	files, err := fs.Glob(ddl.PostgresDirectory(), "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	n := 0
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM goose_db_version WHERE version_id > 0`).Scan(&n); err != nil || n != len(files) {
		t.Errorf("%d migrations were run, %v; want %d", n, err, len(files))
	}
}

// TestTablesThatAreThereAreLeftAlone opens a Directory while somebody else migrates, and holds every table against all but readers.
func TestTablesThatAreThereAreLeftAlone(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	ctx := within(t)
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range []string{
		`BEGIN`, `SELECT pg_advisory_lock(4097083626)`, // of the migrations' runner
		`LOCK TABLE goose_db_version, users, workspaces, members, channels, tenures, outbox, outbox_claims IN EXCLUSIVE MODE`,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	d := open(t, dsn)
	if _, err := d.ListUsers(ctx, "", 10); err != nil {
		t.Error(err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	if err := exec(dsn, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`); err != nil {
		t.Fatal(err)
	}
	secret := strings.Replace(dsn, "canopy@", "canopy:hunter2@", 1)
	_, err := postgres.Open(within(t), postgres.Config{DSN: secret, Logger: quiet})
	var newer *postgres.NewerSchemaError
	if !errors.As(err, &newer) || newer.Have != 999 || newer.Known < 1 {
		t.Fatalf("%v; want a NewerSchemaError", err)
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
		t.Errorf("it says %q", err)
	}
}

// TestIdsSortByTheirBytes in a database whose language sorts otherwise.
func TestIdsSortByTheirBytes(t *testing.T) {
	t.Parallel()
	d := open(t, icuDatabase(t))
	want := []chat.UserID{"0", "B", "Z", "a", "z", "ä"}
	for _, id := range want {
		if err := d.CreateUsers(within(t), []store.NewUser{aUser(string(id))}); err != nil {
			t.Fatal(err)
		}
	}
	var got []chat.UserID
	for after := chat.UserID(""); ; after = got[len(got)-1] {
		list, err := d.ListUsers(within(t), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, u := range list {
			got = append(got, u.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the order is %v; want %v", got, want)
	}
}

// TestTheMigrationsCanBeTakenBack runs the way down, which the program itself never does, and up again.
func TestTheMigrationsCanBeTakenBack(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	names, err := fs.Glob(ddl.PostgresDirectory(), "*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for n := len(names); n > 0; n-- {
		text, err := fs.ReadFile(ddl.PostgresDirectory(), names[n-1])
		if err != nil {
			t.Fatal(err)
		}
		_, down, found := strings.Cut(string(text), "-- +goose Down")
		if !found {
			t.Fatalf("%s has no way down", names[n-1])
		}
		if err := exec(dsn, down+fmt.Sprintf(`; DELETE FROM goose_db_version WHERE version_id = %d`, n)); err != nil {
			t.Fatal(err)
		}
	}
	townOf(t, open(t, dsn))
}
