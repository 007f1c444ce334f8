package config_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/config"
)

func run() config.RunFile {
	return config.RunFile{
		HTTP: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:9",
		NATS:      config.RunNATS{Hub: "nats://u:p@127.0.0.1:1", Leaf: "nats://u:p@127.0.0.1:2"},
		Workspace: config.RunWorkspace{ID: "w1", Name: "Demo"},
		Logins:    []config.RunLogin{{Login: "alice", Password: "a"}, {Login: "bob", Password: "b"}},
	}
}

func TestRunFileForm(t *testing.T) {
	dir := t.TempDir()
	if err := run().Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"http": "http://127.0.0.1:8080", "admin": "http://127.0.0.1:9",
		"nats":      map[string]any{"hub": "nats://u:p@127.0.0.1:1", "leaf": "nats://u:p@127.0.0.1:2"},
		"workspace": map[string]any{"id": "w1", "name": "Demo"},
		"logins":    []any{map[string]any{"login": "alice", "password": "a"}, map[string]any{"login": "bob", "password": "b"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	read, err := config.ReadRunFile(dir)
	if diff := cmp.Diff(run(), read); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// Only the owner reads it, also when an older one was open to all; and nothing is left beside it.
func TestRunFilePermissions(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(config.RunFilePath(dir), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run().Write(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(config.RunFilePath(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestRunFileIsWhole(t *testing.T) {
	dir := t.TempDir()
	small, large := run(), run()
	large.Workspace.Name = strings.Repeat("x", 1<<20)
	if err := small.Write(dir); err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := range 50 {
			r := small
			if i%2 == 0 {
				r = large
			}
			if err := r.Write(dir); err != nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		if _, err := config.ReadRunFile(dir); err != nil {
			t.Fatal(err)
		}
	}
	writer.Wait()
}

func TestRunFileGone(t *testing.T) {
	dir := t.TempDir()
	if err := run().Write(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := config.RemoveRunFile(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := config.ReadRunFile(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := run().Write(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("written into a folder that does not exist")
	}
}

func TestRunFileDamaged(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "{}"} {
		dir := t.TempDir()
		if err := os.WriteFile(config.RunFilePath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.ReadRunFile(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
