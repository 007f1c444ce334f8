package app

import (
	"context"
	"log/slog"
	"path/filepath"

	"github.com/canopychat/canopy/ops/check"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// OpenMessages opens the Messages store that the config names, and brings its tables up to date. Whoever gets it closes it.
func OpenMessages(ctx context.Context, cfg config.Config, _ *slog.Logger) (store.Messages, func() error, error) {
	m, err := sqlite.OpenMessages(ctx, filepath.Join(cfg.Data, datadir.Messages))
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

// OpenDirectory opens the Directory that the config names, and brings its tables up to date. Whoever gets it closes it.
func OpenDirectory(ctx context.Context, cfg config.Config, _ *slog.Logger) (store.Directory, func() error, error) {
	d, err := sqlite.OpenDirectory(ctx, filepath.Join(cfg.Data, datadir.Directory))
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

func (a *App) openMessages(ctx context.Context) error {
	messages, closes, err := OpenMessages(ctx, a.cfg, a.log.With("component", "messages"))
	if err != nil {
		return err
	}
	a.messages = messages
	a.life.Closes("messages store", closes)
	return nil
}

func (a *App) openDirectory(ctx context.Context) error {
	directory, closes, err := OpenDirectory(ctx, a.cfg, a.log.With("component", "directory"))
	if err != nil {
		return err
	}
	a.directory = directory
	a.life.Closes("directory store", closes)
	return nil
}

// Schemas look at the servers of stores that the config names. An SQLite file is brought up to date by whoever opens it.
func Schemas(config.Config, *slog.Logger) map[string]check.SchemaOf { return nil }
