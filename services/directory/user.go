package directory

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// User reads an account.
func (s *Service) User(ctx context.Context, id chat.UserID) (chat.User, error) {
	return s.db.User(ctx, id)
}

// Users reads the accounts among ids that exist, at most chat.MaxPageSize, in no particular order.
func (s *Service) Users(ctx context.Context, ids []chat.UserID) ([]chat.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.db.UsersByID(ctx, ids)
}

// UpdateProfile gives a user another display name, and waits until the logs of all their workspaces have it.
func (s *Service) UpdateProfile(ctx context.Context, by chat.UserID, displayName string) (chat.User, error) {
	if err := chat.CheckName(displayName); err != nil {
		return chat.User{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	user, err := s.db.UpdateUser(ctx, store.UserChange{UserID: by, By: by, DisplayName: displayName})
	if err != nil {
		return chat.User{}, fmt.Errorf("change a profile: %w", err)
	}
	all, err := s.db.WorkspacesOf(ctx, by)
	if err != nil {
		return chat.User{}, err
	}
	for _, m := range all {
		if err := s.settleAll(ctx, m.Workspace.ID, s.cfg.Settle); err != nil {
			return chat.User{}, err
		}
	}
	return user, nil
}
