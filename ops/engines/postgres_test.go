//go:build linux

package engines_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/canopychat/canopy/ops/engines"
)

func TestPostgres(t *testing.T) {
	o := engines.Options{Dir: folder(t), Postgres: true}
	e := start(t, o)
	before := e.Addresses().Postgres.DSN
	psql(t, before, "CREATE TABLE kept AS SELECT 42 AS id")
	psql(t, before, "CREATE DATABASE another")
	if got := psql(t, before, "SHOW password_encryption"); got != "scram-sha-256" {
		t.Errorf("passwords are kept as %s", got)
	}
	u, err := url.Parse(before)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("canopy", "guess")
	if out, err := ask(t, u.String(), "SELECT 1"); err == nil || !strings.Contains(out, "password authentication failed") {
		t.Errorf("with a wrong password: %v %s", err, out)
	}
	if info, err := os.Stat(filepath.Join(o.Dir, "postgres/access.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the password: %v %v", info.Mode(), err)
	}
	if os.Geteuid() == 0 && owner(t, e.Postgres.PID()) == 0 {
		t.Error("it is run by root")
	}

	e.Postgres.Kill()
	if err := e.Postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := psql(t, before, "SELECT id FROM kept"); got != "42" {
		t.Errorf("after a kill it holds %q", got)
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, o)
	if after := again.Addresses().Postgres.DSN; after != before {
		t.Errorf("the next run has another DSN: %s and %s", before, after)
	}
	if got := psql(t, before, "SELECT id FROM kept"); got != "42" {
		t.Errorf("after a stop it holds %q", got)
	}
}

func TestAFolderThatTheUnprivilegedCannotReach(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("nobody but root runs it as somebody else")
	}
	if _, err := engines.FindPostgres(os.Getenv("PATH"), "/usr/lib/postgresql"); err != nil {
		lacking(t, err)
	}
	closed := filepath.Join(folder(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := engines.Start(t.Context(), engines.Options{Dir: filepath.Join(closed, "d"), Postgres: true})
	if text := asProblem(err); !strings.Contains(text, ", whom "+closed+" is closed to: ") {
		t.Errorf("%v", err)
	}
}

func TestWhichPostgres(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"v/9/bin/initdb", "v/15/bin/initdb", "v/main/bin/initdb", "elsewhere/initdb"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ path, versions, want string }{
		{dir + "/elsewhere", dir + "/v", dir + "/v/15/bin"},
		{"/nowhere:" + dir + "/elsewhere", dir + "/none", dir + "/elsewhere"},
	} {
		if got, err := engines.FindPostgres(c.path, c.versions); got != c.want || err != nil {
			t.Errorf("%s: %s %v", c.path, got, err)
		}
	}
	_, err := engines.FindPostgres("", dir+"/none")
	if got, want := asProblem(err), fmt.Sprintf("PostgreSQL is missing: initdb is neither in %s/none/*/bin nor in the PATH (Debian: apt-get install postgresql)", dir); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// psql asks by PostgreSQL's own client; the answer has to come.
func psql(t *testing.T, dsn, query string) string {
	t.Helper()
	out, err := ask(t, dsn, query)
	if err != nil {
		t.Fatalf("%s: %v %s", query, err, out)
	}
	return out
}

func ask(t *testing.T, dsn, query string) (string, error) {
	t.Helper()
	bin, err := engines.FindPostgres(os.Getenv("PATH"), "/usr/lib/postgresql")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(bin, "psql"), "-X", "-A", "-t", "-c", query, dsn).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// owner is the user that a process is of.
func owner(t *testing.T, pid int) uint32 {
	t.Helper()
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Uid
}
