package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/services/store/storetest"
)

// TestMain also checks that no test left a goroutine behind.
func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		applyForever(path)
	}
	goleak.VerifyTestMain(m)
}

// TestMessages is the contract's suite on a real file.
func TestMessages(t *testing.T) {
	storetest.RunMessages(t, func(t *testing.T) store.Messages { return openMessages(t, newPath(t)) })
}

// TestDirectory is the contract's suite on a real file.
func TestDirectory(t *testing.T) {
	storetest.RunDirectory(t, func(t *testing.T) store.Directory { return openDirectory(t, newPath(t)) })
}

// newPath is a file that is not there yet, in a folder whose name needs escaping.
func newPath(t testing.TB) string { return filepath.Join(t.TempDir(), "a #b%20?c.db") }

func openMessages(t testing.TB, path string) *sqlite.Messages {
	t.Helper()
	m, err := sqlite.OpenMessages(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func openDirectory(t testing.TB, path string) *sqlite.Directory {
	t.Helper()
	d, err := sqlite.OpenDirectory(context.Background(), path)
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
