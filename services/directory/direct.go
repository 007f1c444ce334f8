package directory

import (
	"context"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// OpenDirect is the direct message channel of a user and others, the same for the same people in any order.
// created reports whether it was made now. With nobody else it is a place for notes to oneself. None is made with
// somebody whose account is closed; one that was made before is found, so that it can be read.
func (s *Service) OpenDirect(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, others []chat.UserID) (c chat.Channel, created bool, err error) {
	member, err := s.member(ctx, ws, by)
	if err != nil {
		return chat.Channel{}, false, err
	}
	people := slices.Concat(others, []chat.UserID{by})
	slices.Sort(people)
	people = slices.Compact(people)
	if len(others) == 0 || len(people) > chat.MaxGroupDM {
		return chat.Channel{}, false, fault.New(fault.Invalid, "user_ids are 1 to %d users besides you", chat.MaxGroupDM-1)
	}
	c, err = s.db.DirectChannel(ctx, ws, people)
	if fault.Is(err, fault.NotFound) {
		c, created, err = s.createDirect(ctx, member, people)
	}
	if err != nil {
		return chat.Channel{}, false, err
	}
	return c, created, s.settleAll(ctx, ws, s.cfg.Settle)
}

// createDirect makes the channel of sorted people, or finds that one of them was faster.
func (s *Service) createDirect(ctx context.Context, by chat.Member, people []chat.UserID) (chat.Channel, bool, error) {
	id, err := newID[chat.ChannelID]()
	if err != nil {
		return chat.Channel{}, false, err
	}
	c := chat.Channel{
		ID: id, WorkspaceID: by.WorkspaceID, Type: directType(people), CreatorID: by.UserID, CreatedAt: s.cfg.Now().UTC(),
	}
	if !chat.MayCreateChannel(by.Role, c.Type) {
		return chat.Channel{}, false, fault.New(fault.Forbidden, "a guest may not open direct messages")
	}
	if err := s.colleagues(ctx, by.WorkspaceID, people); err != nil {
		return chat.Channel{}, false, err
	}
	err = s.db.CreateChannel(ctx, c, people)
	if fault.Is(err, fault.Conflict) {
		c, err = s.db.DirectChannel(ctx, by.WorkspaceID, people)
		return c, false, err
	}
	if err != nil {
		return chat.Channel{}, false, fmt.Errorf("open a direct message: %w", err)
	}
	return c, true, nil
}

func directType(people []chat.UserID) chat.ChannelType {
	if len(people) > 2 {
		return chat.ChannelGroupDM
	}
	return chat.ChannelDM
}
