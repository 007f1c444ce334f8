package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// serve runs roles until a signal comes.
func (s *session) serve(c process, more []config.Flag, roles []app.Role) error {
	layout := config.Apart
	if len(roles) > 1 {
		layout = config.Together
	}
	cfg, err := c.load(s, layout, more)
	switch {
	case err != nil:
		return err
	case c.PrintConfig:
		return cfg.Print(s.Stdout)
	case c.Check:
		_, err := fmt.Fprintln(s.Stdout, "the settings are valid")
		return err
	}
	fmt.Fprintf(s.Stderr, "canopy: starting %s\n", rolesText(roles))
	var shown error
	err = s.Serve(s.ctx, Serving{Config: cfg, Roles: roles, Log: newLogger(cfg, s.Stderr)}, func(r app.Running) {
		text := roleText(r)
		if len(roles) > 1 {
			text = s.upText(r)
		}
		_, shown = io.WriteString(s.Stdout, text)
	})
	if err == nil && shown != nil && s.ctx.Err() == nil {
		err = fmt.Errorf("say that it serves: %w", shown)
	}
	if err == nil && s.ctx.Err() == nil {
		err = errors.New("it ended by itself")
	}
	return err
}

func rolesText(roles []app.Role) string {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return strings.Join(words, ", ")
}

// newLogger writes as the settings say.
func newLogger(cfg config.Config, to io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
		level = slog.LevelInfo // the settings were checked, so this is the zero value
	}
	options := &slog.HandlerOptions{Level: level}
	if cfg.LogFormat == "json" || (cfg.LogFormat != "text" && !isTerminal(to)) {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// upText is what canopy up prints when everything serves.
func (s *session) upText(r app.Running) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\nCanopy serves at %s\n\n", r.HTTP)
	label := "log in as"
	width := 0
	for _, l := range r.Logins {
		width = max(width, len(l.Login))
	}
	for _, l := range r.Logins {
		fmt.Fprintf(&text, "  %-10s %-*s  %s\n", label, width, l.Login, l.Password)
		label = ""
	}
	if r.Setup.Code != "" {
		text.WriteString("  Nobody has an account yet. Make the first one, with its workspace:\n\n")
		fmt.Fprintf(&text, "    %s setup --data %s --workspace NAME --login NAME\n\n", s.program(), shellQuote(r.Data))
		fmt.Fprintf(&text, "  or POST to %s with the code %s\n\n", r.Setup.URL, r.Setup.Code)
	}
	if r.Workspace.ID != "" {
		row(&text, "workspace", r.Workspace.Name+"  "+r.Workspace.ID)
	}
	row(&text, "data", r.Data)
	row(&text, "admin", r.Admin)
	text.WriteString("\nLook inside with the nats command:\n\n")
	hub := "nats -s " + shellQuote(r.Hub)
	fmt.Fprintf(&text, "  %s stream report\n", hub)
	fmt.Fprintf(&text, "  %s sub 'chat.>'\n", hub)
	if r.HubSystem != "" {
		fmt.Fprintf(&text, "  nats -s %s server report jetstream\n", shellQuote(r.HubSystem))
	}
	text.WriteString("\nCtrl-C drains and stops; the next start goes on with everything there.\n")
	return text.String()
}

// roleText is what a single role prints. It may end up in a log that many read, so no password is in it.
func roleText(r app.Running) string {
	var text strings.Builder
	fmt.Fprintf(&text, "canopy %s serves\n", rolesText(r.Roles))
	row(&text, "http", r.HTTP)
	row(&text, "hub", withoutPassword(r.Hub))
	row(&text, "leaf", withoutPassword(r.Leaf))
	row(&text, "admin", r.Admin)
	row(&text, "data", r.Data)
	return text.String()
}

func row(to *strings.Builder, name, value string) {
	if value != "" {
		fmt.Fprintf(to, "  %-10s %s\n", name, value)
	}
}

func withoutPassword(url string) string {
	if url == "" {
		return ""
	}
	return config.Redact(url)
}

// shellQuote makes s one word for a POSIX shell.
func shellQuote(s string) string {
	plain := func(c rune) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("_-./:@%+,=", c)
	}
	if s != "" && strings.IndexFunc(s, func(c rune) bool { return !plain(c) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
