package cli

import (
	"context"
	"log/slog"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/app/stores"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/replay"
	"github.com/canopychat/canopy/services/persist"
)

type persistCmd struct {
	Run    persistRunCmd `cmd:"" default:"withargs" help:"Run the role; what canopy persist does without another word."`
	Replay replay.Cmd    `cmd:"" help:"Write history again from the log."`
}

type persistRunCmd struct {
	process   `embed:""`
	databases `embed:""`
}

// Help is shown by canopy persist --help.
func (persistCmd) Help() string {
	return `It looks for the hub at nats://127.0.0.1:4222 (hub.url).` + roleHelp + ` canopy persist run --help shows the flags.`
}

func (c persistRunCmd) Run(s *session) error {
	return s.serve(c.process, c.databases.flags(), []app.Role{app.RolePersist})
}

// replay is the session as canopy persist replay knows it.
func (s *session) replay() *replay.Session {
	return &replay.Session{
		Context: s.ctx, Stdout: s.Stdout, Stderr: s.Stderr, Program: s.program(), Quote: shellQuote, Progress: newProgress(s.Stderr),
		Reach: s.reach,
		Open: func(ctx context.Context, cfg config.Config) (persist.Store, func() error, error) {
			return stores.Messages(ctx, cfg, slog.New(slog.DiscardHandler))
		},
	}
}
