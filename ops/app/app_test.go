package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// patience bounds every wait of these tests: generous, because machines are slow under the race detector.
const patience = 30 * time.Second

// deployment is a whole Canopy in this process.
type deployment struct {
	t    *testing.T
	cfg  config.Config
	run  app.Running
	stop func()

	once   sync.Once
	client *http.Client // made by once; see http
}

// testLog shows warnings; CANOPY_TEST_LOG=debug shows everything.
func testLog() *slog.Logger {
	level := slog.LevelWarn
	if os.Getenv("CANOPY_TEST_LOG") == "debug" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func testConfig(t *testing.T) config.Config {
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	return cfg
}

// up starts everything, and stops it when the test ends.
func up(t *testing.T, cfg config.Config) *deployment {
	t.Helper()
	return start(t, cfg, app.AllRoles...)
}

// start runs some roles in one process, and stops them when the test ends.
func start(t *testing.T, cfg config.Config, roles ...app.Role) *deployment {
	t.Helper()
	return startLogged(t, cfg, testLog(), roles...)
}

// startLogged is start with another log.
func startLogged(t *testing.T, cfg config.Config, log *slog.Logger, roles ...app.Role) *deployment {
	t.Helper()
	a, err := app.New(cfg, roles, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan app.Running, 1)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	d := &deployment{t: t, cfg: cfg}
	stopped := false
	d.stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with: %v", err)
		}
	}
	t.Cleanup(d.stop)
	select {
	case d.run = <-ready:
	case err := <-ended:
		stopped = true
		t.Fatalf("the deployment did not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	return d
}
