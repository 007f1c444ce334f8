package obs

import (
	"context"
	"log/slog"
	"strings"
)

// Guard is a slog.Handler for tests that run a whole process: it hands every line on, and reports those that hold
// a secret, at any level and in any attribute: a token, a password, the text of a message.
type Guard struct {
	to      slog.Handler
	secrets []string
	leak    func(where ...any)
}

// NewGuard watches the lines that go to a handler. leak is called with the line's message or the attribute's key,
// from the goroutine that logs; (*testing.T).Error fits.
func NewGuard(to slog.Handler, leak func(where ...any), secrets ...string) *Guard {
	return &Guard{to: to, secrets: secrets, leak: leak}
}

// Enabled implements slog.Handler. What the handler behind would not write is looked at all the same: somebody
// else's settings may write it.
func (*Guard) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (g *Guard) Handle(ctx context.Context, r slog.Record) error {
	g.look("the message of a line", r.Message)
	r.Attrs(func(a slog.Attr) bool {
		g.lookAt(r.Message, a)
		return true
	})
	if !g.to.Enabled(ctx, r.Level) {
		return nil
	}
	return g.to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (g *Guard) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		g.lookAt("a logger", a)
	}
	return &Guard{to: g.to.WithAttrs(attrs), secrets: g.secrets, leak: g.leak}
}

// WithGroup implements slog.Handler.
func (g *Guard) WithGroup(name string) slog.Handler {
	return &Guard{to: g.to.WithGroup(name), secrets: g.secrets, leak: g.leak}
}

func (g *Guard) lookAt(line string, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		for _, inner := range value.Group() {
			g.lookAt(line, inner)
		}
		return
	}
	text := value.String()
	if raw, ok := value.Any().([]byte); ok {
		text = string(raw)
	}
	g.look(a.Key+" of "+line, text)
}

func (g *Guard) look(where, text string) {
	for _, secret := range g.secrets {
		if secret != "" && strings.Contains(text, secret) {
			g.leak("a secret is in " + where)
			return
		}
	}
}
