package accounts

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// NeedsSetup reports whether the deployment waits for its first visitor: there is no account.
func (s *Service) NeedsSetup(ctx context.Context) (bool, error) {
	some, err := s.db.ListUsers(ctx, "", 1)
	if err != nil {
		return false, fmt.Errorf("look for an account: %w", err)
	}
	return len(some) == 0, nil
}

// Setup makes the first account, and its workspace with the channel general. Conflict: an account exists. Whether the
// visitor may is for the one who asks to know.
func (s *Service) Setup(ctx context.Context, workspace string, owner store.Newcomer) (chat.User, error) {
	const done = "this deployment has been set up"
	needed, err := s.NeedsSetup(ctx)
	if err != nil {
		return chat.User{}, err
	}
	if !needed { // before a password is hashed for nothing
		return chat.User{}, fault.New(fault.Conflict, done)
	}
	user, err := s.account(ctx, owner)
	if err != nil {
		return chat.User{}, err
	}
	w, general, err := s.cfg.Directory.Draft(workspace, user.ID)
	if err != nil {
		return chat.User{}, err
	}
	err = s.db.Found(ctx, store.Founding{Owner: user, Workspace: w, Channel: general})
	if fault.Is(err, fault.Conflict) {
		return chat.User{}, fault.Wrap(fault.Conflict, err, done)
	}
	if err != nil {
		return chat.User{}, fmt.Errorf("set up: %w", err)
	}
	return user.User, s.cfg.Directory.Settle(ctx, w.ID)
}
