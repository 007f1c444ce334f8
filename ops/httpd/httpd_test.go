package httpd_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/httpd"
)

func TestServe(t *testing.T) {
	l, err := httpd.Listen("127.0.0.1:0", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpd.Listen(l.Addr().String(), "", ""); !errors.As(err, new(*config.Problem)) {
		t.Errorf("an address that is taken: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- l.Serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) }), slog.New(slog.DiscardHandler))
	}()
	resp, err := http.Get(l.URL() + "/a/../b")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if closing := resp.Body.Close(); err != nil || closing != nil || string(body) != "/a/../b" {
		t.Errorf("%s, %v, %v", body, err, closing)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := http.Get(l.URL()); err == nil {
		t.Error("it serves after its end")
	}
}

func TestACertificateThatIsNone(t *testing.T) {
	if _, err := httpd.Listen("127.0.0.1:0", "/nowhere.pem", "/nowhere.key"); !errors.As(err, new(*config.Problem)) {
		t.Errorf("%v", err)
	}
}

func TestReachable(t *testing.T) {
	for raw, want := range map[string]string{
		"http://[::]:8080":       "http://127.0.0.1:8080",
		"http://0.0.0.0:8080":    "http://127.0.0.1:8080",
		"https://192.0.2.1:8443": "https://192.0.2.1:8443",
		"http://chat.example":    "http://chat.example",
	} {
		if got := httpd.Reachable(raw); got != want {
			t.Errorf("%s is reached at %s, want %s", raw, got, want)
		}
	}
}
