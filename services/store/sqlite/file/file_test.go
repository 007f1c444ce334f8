package file_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational/directory"
	"github.com/canopychat/canopy/services/store/relational/reach"
	"github.com/canopychat/canopy/services/store/relational/signin"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// TestMain also checks that no test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAFullDiskIsUnavailable(t *testing.T) {
	ctx := context.Background()
	f, err := file.Open(ctx, filepath.Join(t.TempDir(), "directory.db"), ddl.SQLiteDirectory())
	if err != nil {
		t.Fatal(err)
	}
	d := directory.New(f, signin.New(f), reach.New(f))
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	limitPages := func(pages int) {
		t.Helper()
		if _, err := f.Writer.Exec(fmt.Sprintf("PRAGMA max_page_count=%d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	users := make([]store.NewUser, 0, 2000)
	for i := range cap(users) {
		id := fmt.Sprintf("u%d", i)
		users = append(users, store.NewUser{User: chat.User{ID: chat.UserID(id), Login: id, DisplayName: strings.Repeat("x", 200)}})
	}
	// A writer that cannot grow the file finds the same as one on a full disk.
	limitPages(40)
	if err := d.CreateUsers(ctx, users); !fault.Is(err, fault.Unavailable) {
		t.Errorf("CreateUsers: %v; want unavailable", err)
	}
	if _, err := d.User(ctx, users[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a part of the batch was written: %v", err)
	}
	limitPages(1 << 20)
	if err := d.CreateUsers(ctx, users); err != nil {
		t.Errorf("CreateUsers with room again: %v", err)
	}
}

// Who opens a file, moves its log or closes it last has all of it for a moment. A first write meanwhile waits, as any other.
func TestAFirstWriteWaitsForWhoHasTheWholeFile(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "directory.db")
	f, err := file.Open(ctx, path, ddl.SQLiteDirectory())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, text := range []string{"PRAGMA locking_mode=EXCLUSIVE", "BEGIN EXCLUSIVE"} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	written := make(chan error, 1)
	go func() { written <- f.Write(ctx, func(*sql.Tx) error { return nil }) }()
	time.Sleep(200 * time.Millisecond) // longer than SQLite itself waits. If it is late, the test shows less.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("a write meanwhile: %v", err)
	}
}
