package directory_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/directory"
	"github.com/canopychat/canopy/services/store/storetest"
)

// TestMain also checks that no test left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDirectory is the contract's suite on a real file.
func TestDirectory(t *testing.T) {
	storetest.RunDirectory(t, func(t *testing.T) store.Directory { return open(t, newPath(t)) })
}

// newPath is a file that is not there yet.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "directory.db") }

func open(t testing.TB, path string) *directory.Directory {
	t.Helper()
	d, err := directory.Open(context.Background(), path)
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

func TestAFullDiskIsUnavailable(t *testing.T) {
	path := newPath(t)
	d := open(t, path)
	users := make([]store.NewUser, 0, 2000)
	for i := range cap(users) {
		id := fmt.Sprintf("u%d", i)
		users = append(users, store.NewUser{User: chat.User{ID: chat.UserID(id), Login: id, DisplayName: strings.Repeat("x", 200)}})
	}
	// A writer that cannot grow the file finds the same as one on a full disk.
	d.LimitPages(t, 40)
	if err := d.CreateUsers(context.Background(), users); !fault.Is(err, fault.Unavailable) {
		t.Errorf("CreateUsers: %v; want unavailable", err)
	}
	if _, err := d.User(context.Background(), users[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a part of the batch was written: %v", err)
	}
	d.LimitPages(t, 1<<20)
	if err := d.CreateUsers(context.Background(), users); err != nil {
		t.Errorf("CreateUsers with room again: %v", err)
	}
}
