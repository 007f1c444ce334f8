package app_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// launched is a process that may not serve yet.
type launched struct {
	t     *testing.T
	app   *app.App
	admin string
	ready chan app.Running
	stop  func()
}

func launch(t *testing.T, cfg config.Config, roles ...app.Role) *launched {
	t.Helper()
	return launchWith(t, cfg, testLog(), roles...)
}

func launchWith(t *testing.T, cfg config.Config, log *slog.Logger, roles ...app.Role) *launched {
	t.Helper()
	cfg.Admin = freePort(t)
	a, err := app.New(cfg, roles, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &launched{t: t, app: a, admin: "http://" + cfg.Admin, ready: make(chan app.Running, 1)}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { l.ready <- r }) }()
	stopped := false
	l.stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("%v ended with: %v", roles, err)
		}
	}
	t.Cleanup(l.stop)
	return l
}

// becomes waits until /readyz?verbose has a status and a line.
func (l *launched) becomes(status int, line string) {
	l.t.Helper()
	var got int
	var text string
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, text = get(l.t, l.admin, "/readyz?verbose")
		if got == status && strings.Contains(text, line+"\n") {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("/readyz never becomes %d with %q: %d %s", status, line, got, text)
		}
	}
}

// A process says that it is not ready, and why: while it starts, when the hub is gone, until the hub is back. It lives all
// the while.
func TestReadinessFollowsTheHub(t *testing.T) {
	t.Parallel()
	cfg := config.Config{Data: t.TempDir(), Listen: "127.0.0.1:0"}
	cfg.Hub.Listen, cfg.Hub.LeafListen = freePort(t), "127.0.0.1:0"
	cfg.Hub.URL = "nats://" + cfg.Hub.Listen
	cfg.Hub.Monitor = "127.0.0.1:0"
	cfg = cfg.WithDefaults(config.Apart)
	api := launch(t, cfg, app.RoleAPI)
	api.becomes(http.StatusServiceUnavailable, "[-]start failed: starting")
	if status, text := get(t, api.admin, "/livez"); status != http.StatusOK {
		t.Errorf("it does not live while it starts: %d %s", status, text)
	}
	hub := launch(t, cfg, app.RoleHub)
	api.becomes(http.StatusOK, "[+]log ok")
	hub.becomes(http.StatusOK, "[+]hub ok")
	hub.becomes(http.StatusOK, "[+]quorum ok") // a hub that is alone needs no other
	hub.stop()
	api.becomes(http.StatusServiceUnavailable, "[-]hub failed: the hub does not answer")
	api.becomes(http.StatusServiceUnavailable, "[-]log failed: the log, which was asked to store a probe and to give it back, does not answer")
	if status, text := get(t, api.admin, "/livez"); status != http.StatusOK {
		t.Errorf("it does not live without a hub: %d %s", status, text)
	}
	launch(t, cfg, app.RoleHub)
	api.becomes(http.StatusOK, "[+]hub ok")
}

// A process whose message store is gone says so, and lives.
func TestReadinessFollowsTheStore(t *testing.T) {
	t.Parallel()
	l := launch(t, testConfig(t), app.AllRoles...)
	l.becomes(http.StatusOK, "[+]messages ok")
	if err := l.app.CloseMessages(); err != nil {
		t.Fatal(err)
	}
	l.becomes(http.StatusServiceUnavailable, "[-]messages failed: the message store does not answer")
	if status, text := get(t, l.admin, "/readyz"); status != http.StatusServiceUnavailable || !strings.HasPrefix(text, "the message store does not answer") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if status, _ := get(t, l.admin, "/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d", status)
	}
}
