package outage_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines"
)

// patience bounds every wait: engines and streams are slow where machines are busy. Nothing that goes well waits for it.
const patience = 4 * time.Minute

// servers are engines that several tests use, one after the other. They are started by the first.
type servers struct {
	options engines.Options
	once    sync.Once
	run     *engines.Engines
	err     error
}

var (
	// databases are of the tests that take Cassandra away.
	databases = servers{options: engines.Options{Cassandra: 1, Postgres: true, Network: "127.0.61", NoSync: true}}
	// postgres is of the tests that take PostgreSQL away. It keeps what it has acknowledged when it is killed.
	postgres = servers{options: engines.Options{Postgres: true}}
	// three is of the tests that take one node of three away.
	three = servers{options: engines.Options{Cassandra: 3, Network: "127.0.62"}}
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range []*servers{&databases, &postgres, &three} {
		if err := s.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// start is the engines. What the machine lacks skips the test; in ops/test it fails.
func (s *servers) start(t *testing.T) *engines.Engines {
	t.Helper()
	s.once.Do(func() { s.run, s.err = startEngines(s.options) })
	if lacking := problemOf(s.err); lacking != nil && os.Getenv("CANOPY_ENGINES") != "required" {
		t.Skip(lacking)
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.run
}

// startEngines starts engines with a folder that others can pass: PostgreSQL runs as somebody else when this is root.
func startEngines(o engines.Options) (*engines.Engines, error) {
	dir, err := os.MkdirTemp("", "canopy-outage-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o.Dir = dir
	e, err := engines.Start(ctx, o)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return e, nil
}

func (s *servers) stop() error {
	if s.run == nil {
		return nil
	}
	return stopEngines(s.run)
}

// stopEngines stops engines and removes their folder, which is the one that a node's log is below.
func stopEngines(e *engines.Engines) error {
	err := e.Stop()
	for _, n := range append(e.Cassandra, e.Postgres) {
		if n == nil {
			continue
		}
		if root, _, ok := strings.Cut(n.Log, "canopy-outage-"); ok {
			rest, _, _ := strings.Cut(strings.TrimPrefix(n.Log, root), string(os.PathSeparator))
			err = errors.Join(err, os.RemoveAll(root+rest))
		}
	}
	return err
}

// problemOf is what the user is told who can mend it: something is not installed.
func problemOf(err error) *config.Problem {
	var p *config.Problem
	if errors.As(err, &p) && strings.Contains(p.Error(), "apt-get install") {
		return p
	}
	return nil
}

// The databases that a new server has. Each test takes one for itself.
const (
	firstDatabase  = "canopy"
	secondDatabase = "postgres"
)

// database is the DSN of a database on a server.
func database(t *testing.T, e *engines.Engines, name string) string {
	t.Helper()
	u, err := url.Parse(e.Addresses().Postgres.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = name
	return u.String()
}

// until looks at something again and again until it is so.
func until(t *testing.T, what string, is func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		ok, seen := is()
		if ok {
			return
		}
		if time.Now().After(deadline) || t.Context().Err() != nil {
			t.Fatalf("waited in vain until %s: %s", what, seen)
		}
	}
}
