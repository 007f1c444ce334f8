//go:build linux

package engines_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines"
)

// asEngines makes this test binary a process that runs engines, as its value says. asCanopy makes it the canopy command,
// which the nodes of the hub are; it begins otherwise than a setting, or they would not see it.
const (
	asEngines = "CANOPY_TEST_AS_ENGINES"
	asCanopy  = "TEST_AS_CANOPY"
)

// what is what a process of its own runs.
type what struct {
	Dir       string
	Cassandra int
	Network   string
}

func (w what) options() engines.Options {
	return engines.Options{Dir: w.Dir, Postgres: true, Cassandra: w.Cassandra, Network: w.Network, NoSync: true}
}

// patience is how long a slow machine may take. Nothing that goes well waits for it.
const patience = 4 * time.Minute

func TestMain(m *testing.M) {
	text := os.Getenv(asEngines)
	switch {
	case os.Getenv(asCanopy) != "":
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		os.Exit(cli.Main(os.Args[1:], cli.System{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ(), Signals: signals, Exit: os.Exit}))
	case text == "":
		os.Exit(m.Run())
	}
	var w what
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		panic(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := engines.Run(ctx, w.options(), func(engines.Addresses) { fmt.Println("serves") }); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// start starts engines, and stops them with the test. What the machine lacks skips the test, in ops/test it fails.
func start(t *testing.T, o engines.Options) *engines.Engines {
	t.Helper()
	o.NoSync = true
	o.Say = func(text string) { t.Log(text) }
	if o.Dir == "" {
		o.Dir = folder(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := engines.Start(ctx, o)
	lacking(t, err)
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// folder is one that others can pass, as PostgreSQL runs as somebody else when this is root.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lacking ends the test for an error: with a skip for what this machine has not.
func lacking(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case asProblem(err) != "" && strings.Contains(err.Error(), "apt-get install") && os.Getenv("CANOPY_ENGINES") != "required":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// asProblem is what the user is told who can mend it; empty for another error.
func asProblem(err error) string {
	for err != nil {
		if p, ok := err.(*config.Problem); ok {
			return p.Error()
		}
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			err = e.Unwrap()[0]
		default:
			return ""
		}
	}
	return ""
}
