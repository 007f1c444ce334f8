package app

import (
	"context"

	"github.com/canopychat/canopy/ops/app/stores"
)

func (a *App) openMessages(ctx context.Context) error {
	messages, closes, err := stores.Messages(ctx, a.cfg, a.log.With("component", "messages"))
	if err != nil {
		return err
	}
	a.messages = messages
	a.life.Closes("messages store", closes)
	return nil
}

func (a *App) openDirectory(ctx context.Context) error {
	directory, closes, err := stores.Directory(ctx, a.cfg, a.log.With("component", "directory"))
	if err != nil {
		return err
	}
	a.directory = directory
	a.life.Closes("directory store", closes)
	return nil
}
