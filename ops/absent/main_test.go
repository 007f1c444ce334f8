package absent_test

import (
	"context"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// patience bounds every wait, for machines that have much else to do. Nothing that goes well waits for it.
const patience = 5 * time.Minute

// TestMain has everything trust the receivers of pushtest, which all show one certificate.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "canopy-absent-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	receiver := httptest.NewTLSServer(http.NotFoundHandler())
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw})
	receiver.Close()
	path := filepath.Join(dir, "receivers.pem")
	if err := errors.Join(
		os.WriteFile(path, certificate, 0o600), os.Setenv("SSL_CERT_FILE", path),
		flag.Set("test.parallel", "8"), // they wait most of the time: for a breaker to close, for a delivery to come again
	); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

var databases atomic.Int64

// settings are of a deployment on the real engines, with a keyspace and a database of its own.
func settings(t *testing.T) config.Config {
	t.Helper()
	nodes := strings.Split(storetest.Server(t, storetest.Cassandra), ",")
	dsn, err := url.Parse(storetest.Server(t, storetest.Postgres))
	if err != nil {
		t.Fatal(err)
	}
	name := "absent_" + strconv.FormatInt(time.Now().UnixNano(), 36) + "_" + strconv.FormatInt(databases.Add(1), 36)
	psql(t, dsn, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		psql(t, dsn, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
		r, err := ring.Open(context.Background(), ring.Config{Hosts: nodes, Keyspace: name, Replication: 1, Migrations: ddl.CassandraMessages(), Timeout: 20 * time.Second})
		if err == nil {
			err = r.Exec(context.Background(), ring.Write{Statement: ring.Statement("DROP KEYSPACE IF EXISTS " + name)})
			_ = r.Close() // what it was for is done
		}
		if err != nil {
			t.Logf("the keyspace %s stays: %v", name, err)
		}
	})
	database := *dsn
	database.Path = "/" + name
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Cassandra.Hosts, cfg.Cassandra.Keyspace, cfg.Cassandra.Replication, cfg.Cassandra.Timeout = nodes, name, 1, 20*time.Second
	cfg.Postgres.DSN, cfg.Postgres.StatementTimeout = database.String(), time.Minute
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	cfg.NoLimits = true
	cfg.Deliver.AllowPrivate = []string{"127.0.0.0/8"}
	return cfg
}

func psql(t *testing.T, at *url.URL, sql string) {
	t.Helper()
	if out, err := exec.Command("psql", at.String(), "-c", sql).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v %s", sql, err, out)
	}
}

// launch runs all roles in this process until stop is called, or the test ends.
func launch(t *testing.T, cfg config.Config) (running app.Running, stop func()) {
	t.Helper()
	level := slog.LevelError
	switch os.Getenv("CANOPY_TEST_LOG") {
	case "debug":
		level = slog.LevelDebug
	case "warn":
		level = slog.LevelWarn
	}
	a, err := app.New(cfg, app.AllRoles, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Running, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	select {
	case r := <-ready:
		return r, stop
	case err := <-ended:
		stopped = true
		t.Fatalf("the deployment did not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	panic("unreachable")
}

// until looks at something again and again until it is so.
func until(t *testing.T, what string, is func() (bool, string)) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		ok, seen := is()
		if ok {
			return
		}
		if time.Now().After(deadline) || t.Context().Err() != nil {
			t.Fatalf("waited in vain until %s: %s", what, seen)
		}
	}
}
