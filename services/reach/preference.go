package reach

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Preferences is what a member wants to be woken for in a workspace. Who never said it has the zero value.
func (s *Service) Preferences(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) (chat.Preferences, error) {
	if _, err := s.member(ctx, ws, by); err != nil {
		return chat.Preferences{}, err
	}
	all, err := s.cfg.Store.PreferencesOf(ctx, ws, []chat.UserID{by})
	if err != nil {
		return chat.Preferences{}, fmt.Errorf("read preferences: %w", err)
	}
	return all[by], nil
}

// SetPreferences replaces them. A muted channel need not be one that the member sees, or that there is: they may come back
// to it.
func (s *Service) SetPreferences(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, p chat.Preferences) error {
	if err := p.Check(); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	if err := notAmongYours(s.cfg.Store.SetPreferences(ctx, ws, by, p)); err != nil {
		return fmt.Errorf("set preferences: %w", err)
	}
	return nil
}

// Follow says that a user follows a thread of a channel that they may see, or does not follow it. root is the message that
// the thread is about; whether there is one is asked only of a Service that knows messages.
func (s *Service) Follow(ctx context.Context, by chat.UserID, ch chat.ChannelID, root chat.Seq, follows bool) error {
	if root == 0 || root > chat.MaxSeq {
		return fault.New(fault.Invalid, "seq is that of a message")
	}
	if _, _, err := s.cfg.Channels.Channel(ctx, by, ch); err != nil {
		return err
	}
	if err := s.begins(ctx, ch, root); err != nil {
		return err
	}
	f := store.Follow{ChannelID: ch, Root: root, UserID: by, Follows: follows, At: s.now()}
	if err := s.cfg.Store.SetFollow(ctx, f); err != nil {
		return fmt.Errorf("follow a thread: %w", err)
	}
	return nil
}

// begins refuses what no thread can be about.
func (s *Service) begins(ctx context.Context, ch chat.ChannelID, root chat.Seq) error {
	if s.cfg.Messages == nil {
		return nil
	}
	m, err := s.cfg.Messages.Message(ctx, ch, root)
	switch {
	case fault.Is(err, fault.NotFound):
		return fault.Wrap(fault.NotFound, err, "there is no such message in the channel")
	case err != nil:
		return fmt.Errorf("look at a thread: %w", err)
	case m.Thread != 0:
		return fault.New(fault.Invalid, "this is a reply: follow the message that it replies to")
	}
	return nil
}
