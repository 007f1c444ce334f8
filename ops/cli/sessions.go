package cli

import (
	"context"
	"log/slog"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/app/stores"
	"github.com/canopychat/canopy/ops/check"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/deadletters"
	"github.com/canopychat/canopy/ops/ledger"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/renew"
	"github.com/canopychat/canopy/ops/status"
	"github.com/canopychat/canopy/ops/verify"
	"github.com/canopychat/canopy/ops/workbench"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams/bus"
)

// status is the session as canopy status knows it.
func (s *session) status() *status.Session {
	terminal := isTerminal(s.Stdout)
	return &status.Session{
		Context: s.ctx, Stdout: s.Stdout, Stderr: s.Stderr, Terminal: terminal, Color: terminal && s.env("NO_COLOR") == "", Reach: s.reach,
	}
}

// check is the session as canopy check knows it.
func (s *session) check() *check.Session {
	return &check.Session{
		Context: s.ctx, Stdout: s.Stdout, Env: s.env, Version: app.Version(),
		Reach: s.reach,
		Schemas: func(cfg config.Config) map[string]check.SchemaOf {
			return stores.Schemas(cfg, slog.New(slog.DiscardHandler)) // what fails is a finding
		},
	}
}

// reach is for commands of other packages.
func (s *session) reach(w operator.Where) (*bus.Conn, config.Config, error) {
	conn, _, cfg, err := target{w}.reach(s)
	return conn, cfg, err
}

// deadletters is the session as canopy dlq knows it.
func (s *session) deadletters() *deadletters.Session {
	return &deadletters.Session{Context: s.ctx, Stdout: s.Stdout, Stderr: s.Stderr, Progress: newProgress(s.Stderr), Reach: func(w operator.Where) (*bus.Conn, error) {
		conn, _, err := s.reach(w)
		return conn, err
	}}
}

// ledger is the session as canopy delivery knows it.
func (s *session) ledger() *ledger.Session {
	return &ledger.Session{Context: s.ctx, Stdout: s.Stdout, Reach: func(w operator.Where) (*bus.Conn, chat.WorkspaceID, error) {
		conn, d, _, err := target{w}.reach(s)
		return conn, d.Workspace, err
	}}
}

// renew is the session as canopy hub renew knows it.
func (s *session) renew() *renew.Session {
	return &renew.Session{
		Context: s.ctx, Stdout: s.Stdout, Reach: s.reach,
		Settings: func(w operator.Where) (config.Config, error) {
			return source{Config: w.Config, Data: w.Data, Set: w.Set}.load(s, config.Together, nil)
		},
		RunHub: func(ctx context.Context, cfg config.Config, ready func(address string)) error {
			hub := Serving{Config: cfg, Roles: []app.Role{app.RoleHub}, Log: newLogger(cfg, s.Stderr)}
			return s.Serve(ctx, hub, func(r app.Running) { ready(r.Hub) })
		},
	}
}

// workbench is the session as canopy engines and canopy local know it.
func (s *session) workbench() *workbench.Session {
	return &workbench.Session{Context: s.ctx, Stdout: s.Stdout, Stderr: s.Stderr, Program: s.program(), Quote: shellQuote}
}

// verify is the session as canopy verify knows it.
func (s *session) verify() *verify.Session {
	return &verify.Session{
		Context: s.ctx, Stdout: s.Stdout, Stderr: s.Stderr, Env: s.env, Version: app.Version(),
		Password: func(file, login string) (string, error) { return passwordFile{PasswordFile: file}.known(s, login, "") },
	}
}
