package obs_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/obs"
)

const secret = "ey.secret.token"

// wrapped hides its text until a handler asks.
type wrapped struct{ text string }

func (w wrapped) LogValue() slog.Value { return slog.GroupValue(slog.String("inner", w.text)) }

func TestGuardFindsASecretWhereverItIs(t *testing.T) {
	for name, say := range map[string]func(*slog.Logger){
		"the message":         func(l *slog.Logger) { l.Info("token " + secret) },
		"an attribute":        func(l *slog.Logger) { l.Info("login", "token", secret) },
		"an error":            func(l *slog.Logger) { l.Warn("login", "err", errors.New("bad "+secret)) },
		"bytes":               func(l *slog.Logger) { l.Info("frame", "bytes", []byte(secret)) },
		"a struct":            func(l *slog.Logger) { l.Info("frame", "all", struct{ Token string }{secret}) },
		"a group":             func(l *slog.Logger) { l.Info("login", slog.Group("of", slog.String("token", secret))) },
		"a LogValuer":         func(l *slog.Logger) { l.Info("login", "of", wrapped{secret}) },
		"a logger of its own": func(l *slog.Logger) { l.With("token", secret).Info("login") },
		"inside a group":      func(l *slog.Logger) { l.WithGroup("g").Info("login", "token", secret) },
		"a level not shown":   func(l *slog.Logger) { l.Debug("login", "token", secret) },
	} {
		t.Run(name, func(t *testing.T) {
			leaks := 0
			guard := obs.NewGuard(slog.NewTextHandler(new(bytes.Buffer), nil), func(where ...any) {
				leaks++
				for _, w := range where {
					if text, ok := w.(string); !ok || strings.Contains(text, secret) {
						t.Errorf("the report holds the secret: %v", w)
					}
				}
			}, "", secret)
			say(slog.New(guard))
			if leaks != 1 {
				t.Errorf("it was reported %d times, want once", leaks)
			}
		})
	}
}

func TestGuardHandsOn(t *testing.T) {
	var lines bytes.Buffer
	log := slog.New(obs.NewGuard(slog.NewTextHandler(&lines, nil), t.Error, secret))
	log.With("component", "api").WithGroup("g").Info("served", "n", 1)
	log.Debug("not shown")
	if text := lines.String(); !strings.HasSuffix(text, "msg=served component=api g.n=1\n") || strings.Contains(text, "not shown") {
		t.Errorf("the line is %q", text)
	}
}
