package site_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site"
)

// patience bounds every wait, for machines that have much else to do. Nothing that goes well waits for it.
const patience = 4 * time.Minute

// program is the canopy command, compiled once; TestMain takes it away.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "canopy-site-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "canopy")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/canopychat/canopy/ops/cmd/canopy").CombinedOutput(); err != nil {
		return path, fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, _ := program(); path != "" {
		if err := os.RemoveAll(filepath.Dir(path)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	os.Exit(code)
}

// place is a site with people.
type place struct {
	*site.Site
	t         *testing.T
	ctx       context.Context
	spaces    []record.Workspace
	passwords map[string]string
	rec       *record.Recorder
	text      *strings.Builder
}

func start(t *testing.T, o site.LocalOptions) *place {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	p := &place{t: t, ctx: ctx, text: new(strings.Builder)}
	p.rec = record.NewRecorder(p.text)
	p.rec.Add(record.Line{Run: &record.Run{}})
	o.Canopy, o.Dir, o.Rec = path, folder(t), func() *record.Recorder { return p.rec }
	began := time.Now()
	p.Site, err = site.Local(ctx, o)
	if o.Engines && lacking(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("ready after %v", time.Since(began).Round(100*time.Millisecond))
	if p.spaces, p.passwords, err = p.Settle(ctx, 7, 2); err != nil {
		t.Fatal(err)
	}
	t.Logf("settled after %v", time.Since(began).Round(100*time.Millisecond))
	return p
}

// folder is one that PostgreSQL, which refuses to be run by root, comes into as another user.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "canopy-site-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
