package directory

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// CreateChannel makes a public or private channel with a user in it. Of c it takes WorkspaceID, Name, Type
// and Topic.
func (s *Service) CreateChannel(ctx context.Context, by chat.UserID, c chat.Channel) (chat.Channel, error) {
	member, err := s.member(ctx, c.WorkspaceID, by)
	if err != nil {
		return chat.Channel{}, err
	}
	if err := checkNew(c); err != nil {
		return chat.Channel{}, err
	}
	if !chat.MayCreateChannel(member.Role, c.Type) {
		return chat.Channel{}, fault.New(fault.Forbidden, "a guest may not create channels")
	}
	id, err := newID[chat.ChannelID]()
	if err != nil {
		return chat.Channel{}, err
	}
	made := chat.Channel{
		ID: id, WorkspaceID: c.WorkspaceID, Name: c.Name, Type: c.Type, Topic: c.Topic,
		CreatorID: by, CreatedAt: s.cfg.Now().UTC(),
	}
	err = s.db.CreateChannel(ctx, made, []chat.UserID{by})
	if fault.Is(err, fault.Conflict) {
		return chat.Channel{}, fault.Wrap(fault.Conflict, err, "a channel of this name exists already")
	}
	if err != nil {
		return chat.Channel{}, fmt.Errorf("create a channel: %w", err)
	}
	return made, s.settleAll(ctx, made.WorkspaceID, s.cfg.Settle)
}

// checkNew says whether c can be made by hand.
func checkNew(c chat.Channel) error {
	if !c.Type.Named() {
		return fault.New(fault.Invalid, "type is public or private; direct messages have an address of their own")
	}
	if err := chat.CheckChannelName(c.Name); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	if err := chat.CheckTopic(c.Topic); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	return nil
}

// ListChannels lists what q.UserID may see of a workspace, by channel id. The role in q is not looked at.
func (s *Service) ListChannels(ctx context.Context, q store.ChannelQuery) ([]store.ListedChannel, error) {
	member, err := s.member(ctx, q.WorkspaceID, q.UserID)
	if err != nil {
		return nil, err
	}
	q.Role = member.Role
	return s.db.ListChannels(ctx, q)
}

// Channel reads a channel that a user may see, and what they are towards it. Every call about a channel
// comes through here.
func (s *Service) Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	standing, channel, err := s.db.Standing(ctx, id, by)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return chat.Channel{}, chat.Standing{}, err
	}
	if err != nil || !standing.MaySee() {
		return chat.Channel{}, chat.Standing{}, fault.New(fault.NotFound, "there is no such channel among yours")
	}
	return channel, standing, nil
}

// UpdateChannel changes a channel for who may: c.By. What is so already is no change, and nobody is refused it: a
// change that was told that the log does not answer can be asked for again.
func (s *Service) UpdateChannel(ctx context.Context, c store.ChannelChange) (store.ListedChannel, error) {
	if err := checkUpdate(c); err != nil {
		return store.ListedChannel{}, err
	}
	channel, standing, err := s.Channel(ctx, c.By, c.ChannelID)
	if err != nil {
		return store.ListedChannel{}, err
	}
	after, err := c.Of(channel)
	if fault.Is(err, fault.Conflict) {
		return store.ListedChannel{}, fault.Wrap(fault.Forbidden, err, "a direct message, or a channel that is archived, stays as it is")
	}
	if err != nil {
		return store.ListedChannel{}, err
	}
	if after != channel {
		if err := mayUpdate(standing, channel, after, c.By); err != nil {
			return store.ListedChannel{}, err
		}
		if channel, err = s.db.UpdateChannel(ctx, c); err != nil {
			return store.ListedChannel{}, fmt.Errorf("change a channel: %w", err)
		}
	}
	return store.ListedChannel{Channel: channel, Joined: standing.InIt}, s.settleAll(ctx, channel.WorkspaceID, s.cfg.Settle)
}

// checkUpdate says whether a channel can be what c makes of it.
func checkUpdate(c store.ChannelChange) error {
	if c.Name != nil {
		if err := chat.CheckChannelName(*c.Name); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	if c.Topic != nil {
		if err := chat.CheckTopic(*c.Topic); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	return nil
}

// mayUpdate says whether a user may make of a channel what it is after.
func mayUpdate(standing chat.Standing, was, after chat.Channel, by chat.UserID) error {
	if (after.Name != was.Name || after.Topic != was.Topic) && !standing.MayUpdate() {
		return fault.New(fault.Forbidden, "its members may change a channel's name and topic; guests may not")
	}
	if after.Archived != was.Archived && !standing.MayArchive(was.CreatorID, by) {
		return fault.New(fault.Forbidden, "who created a channel and administrators may archive it")
	}
	return nil
}

// Join brings a user into a public channel. Who is in it already stays so.
func (s *Service) Join(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, error) {
	channel, standing, err := s.Channel(ctx, by, id)
	if err != nil {
		return chat.Channel{}, err
	}
	if !standing.InIt && !standing.MayJoin() {
		return chat.Channel{}, fault.New(fault.Forbidden, "the channel is archived")
	}
	return channel, s.setMembers(ctx, channel.WorkspaceID, store.MemberChange{
		ChannelID: id, By: by, UserIDs: []chat.UserID{by},
	})
}

// Leave takes a user out of a channel. Who is not in it stays so.
func (s *Service) Leave(ctx context.Context, by chat.UserID, id chat.ChannelID) error {
	channel, standing, err := s.Channel(ctx, by, id)
	if err != nil {
		return err
	}
	if standing.InIt && !standing.MayLeave() {
		return fault.New(fault.Forbidden, "a direct message cannot be left")
	}
	return s.setMembers(ctx, channel.WorkspaceID, store.MemberChange{
		ChannelID: id, By: by, UserIDs: []chat.UserID{by}, Leave: true,
	})
}

// AddMembers brings other members of the workspace into a channel. Who is in it already stays so. Whose account is
// closed comes into nothing.
func (s *Service) AddMembers(ctx context.Context, by chat.UserID, id chat.ChannelID, users []chat.UserID) error {
	channel, standing, err := s.Channel(ctx, by, id)
	if err != nil {
		return err
	}
	if !standing.MayAdd() {
		return fault.New(fault.Forbidden, "you may not add people to this channel")
	}
	if len(users) == 0 || len(users) > chat.MaxPageSize {
		return fault.New(fault.Invalid, "user_ids are 1 to %d users", chat.MaxPageSize)
	}
	if err := s.colleagues(ctx, channel.WorkspaceID, users); err != nil {
		return err
	}
	return s.setMembers(ctx, channel.WorkspaceID, store.MemberChange{ChannelID: id, By: by, UserIDs: users})
}

// ChannelMembers lists who is in the channel of q, by user id.
func (s *Service) ChannelMembers(ctx context.Context, q store.PeopleQuery) ([]chat.UserID, error) {
	if _, _, err := s.Channel(ctx, q.Asker, q.ChannelID); err != nil {
		return nil, err
	}
	return s.db.ChannelMembers(ctx, q.ChannelID, q.After, q.Limit)
}

// setMembers makes a change and waits until the log has it.
func (s *Service) setMembers(ctx context.Context, ws chat.WorkspaceID, change store.MemberChange) error {
	last, err := s.db.SetMembers(ctx, change)
	if err != nil {
		return fmt.Errorf("change the members of a channel: %w", err)
	}
	return s.settleUpTo(ctx, ws, last)
}
