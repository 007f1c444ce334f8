package api_test

import (
	"context"
	"maps"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func (w *town) Channel(_ context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	defer w.lock()()
	return w.channel(by, id)
}

func (w *town) channel(by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	parsed(id)
	c := w.channels[id]
	role, inIt := w.inChannel[id][by]
	s := chat.Standing{Role: w.members[c.WorkspaceID][by], Type: c.Type, Archived: c.Archived, InIt: inIt, Manages: role == chat.ChannelManager}
	if !s.MaySee() {
		return chat.Channel{}, chat.Standing{}, fault.New(fault.NotFound, "there is no such channel among yours")
	}
	return c, s, nil
}

func (w *town) ListChannels(_ context.Context, q store.ChannelQuery) ([]store.ListedChannel, error) {
	defer w.lock()()
	if _, err := w.membership(q.UserID, q.WorkspaceID); err != nil {
		return nil, err
	}
	var all []store.ListedChannel
	for _, id := range slices.Sorted(maps.Keys(w.channels)) {
		c, s, err := w.channel(q.UserID, id)
		if err == nil && c.WorkspaceID == q.WorkspaceID && id > q.After && len(all) < q.Limit {
			all = append(all, store.ListedChannel{Channel: c, Joined: s.InIt})
		}
	}
	return all, nil
}

var errNameTaken = fault.New(fault.Conflict, "A channel of this name exists already.")

func (w *town) taken(ws chat.WorkspaceID, name string, but chat.ChannelID) bool {
	for _, c := range w.channels {
		if c.WorkspaceID == ws && c.Name == name && c.ID != but && c.Type.Named() {
			return true
		}
	}
	return false
}

func (w *town) CreateChannel(_ context.Context, by chat.UserID, c chat.Channel) (chat.Channel, error) {
	defer w.lock()()
	m, err := w.membership(by, c.WorkspaceID)
	switch {
	case err != nil:
		return c, err
	case !c.Type.Named():
		return c, fault.New(fault.Invalid, "type is public or private; direct messages have an address of their own")
	case chat.CheckChannelName(c.Name) != nil:
		return c, invalid(chat.CheckChannelName(c.Name))
	case chat.CheckTopic(c.Topic) != nil:
		return c, invalid(chat.CheckTopic(c.Topic))
	case !chat.MayCreateChannel(m.Role, c.Type):
		return c, fault.New(fault.Forbidden, "a guest may not create channels")
	case w.taken(c.WorkspaceID, c.Name, ""):
		return c, errNameTaken
	}
	return w.openChannel(by, c, nil), nil
}

// openChannel adds a channel with who makes it as its manager and others as members.
func (w *town) openChannel(by chat.UserID, c chat.Channel, others []chat.UserID) chat.Channel {
	c.ID, c.CreatorID, c.CreatedAt = chat.ChannelID(w.id("c")), by, w.now
	w.channels[c.ID], w.inChannel[c.ID] = c, map[chat.UserID]chat.ChannelRole{by: chat.ChannelManager}
	for _, user := range others {
		w.inChannel[c.ID][user] = chat.ChannelMember
	}
	return c
}

func (w *town) UpdateChannel(_ context.Context, change store.ChannelChange) (store.ListedChannel, error) {
	defer w.lock()()
	for _, check := range []struct {
		text *string
		of   func(string) error
	}{{change.Name, chat.CheckChannelName}, {change.Topic, chat.CheckTopic}} {
		if check.text != nil && check.of(*check.text) != nil {
			return store.ListedChannel{}, invalid(check.of(*check.text))
		}
	}
	c, s, err := w.channel(change.By, change.ChannelID)
	if err != nil {
		return store.ListedChannel{}, err
	}
	after, err := change.Of(c)
	switch {
	case fault.Is(err, fault.Conflict):
		return store.ListedChannel{}, fault.Wrap(fault.Forbidden, err, "a direct message, or a channel that is archived, stays as it is")
	case err != nil:
		return store.ListedChannel{}, err
	case after.Archived != c.Archived && !s.MayArchive(c.CreatorID, change.By), after != c && !s.MayUpdate():
		return store.ListedChannel{}, fault.New(fault.Forbidden, "its members may change a channel")
	case w.taken(c.WorkspaceID, after.Name, c.ID):
		return store.ListedChannel{}, errNameTaken
	}
	w.channels[c.ID] = after
	return store.ListedChannel{Channel: after, Joined: s.InIt}, nil
}

func (w *town) Join(_ context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, error) {
	defer w.lock()()
	c, s, err := w.channel(by, id)
	if err != nil {
		return c, err
	}
	if !s.InIt && !s.MayJoin() {
		return c, fault.New(fault.Forbidden, "the channel is archived")
	}
	if !s.InIt {
		w.inChannel[id][by] = chat.ChannelMember
	}
	return c, nil
}

func (w *town) Leave(_ context.Context, by chat.UserID, id chat.ChannelID) error {
	defer w.lock()()
	_, s, err := w.channel(by, id)
	if err != nil {
		return err
	}
	if s.InIt && !s.MayLeave() {
		return fault.New(fault.Forbidden, "a direct message cannot be left")
	}
	delete(w.inChannel[id], by)
	return nil
}

func (w *town) AddMembers(_ context.Context, by chat.UserID, id chat.ChannelID, users []chat.UserID) error {
	defer w.lock()()
	c, s, err := w.channel(by, id)
	switch {
	case err != nil:
		return err
	case !s.MayAdd():
		return fault.New(fault.Forbidden, "you may not add people to this channel")
	case len(users) == 0 || len(users) > chat.MaxPageSize:
		return fault.New(fault.Invalid, "user_ids are 1 to %d users", chat.MaxPageSize)
	}
	if err := w.colleagues(c.WorkspaceID, users); err != nil {
		return err
	}
	for _, user := range users {
		if _, already := w.inChannel[id][user]; !already {
			w.inChannel[id][user] = chat.ChannelMember
		}
	}
	return nil
}

func (w *town) colleagues(ws chat.WorkspaceID, users []chat.UserID) error {
	parsed(users...)
	for _, user := range users {
		if _, ok := w.members[ws][user]; !ok {
			return fault.New(fault.NotFound, "there is no such member of the workspace")
		}
	}
	return nil
}

// inIt is the role of somebody in a channel that by may manage.
func (w *town) inIt(by chat.UserID, id chat.ChannelID, user chat.UserID) (chat.ChannelRole, error) {
	_, s, err := w.channel(by, id)
	if err != nil {
		return "", err
	}
	parsed(user)
	role, ok := w.inChannel[id][user]
	if !ok {
		return "", fault.New(fault.NotFound, "there is no such member of the channel")
	}
	if !s.MayManage() {
		return "", fault.New(fault.Forbidden, "managers of the channel and administrators may do this")
	}
	return role, nil
}

func (w *town) SetChannelRole(_ context.Context, c store.ChannelRoleChange) error {
	defer w.lock()()
	if _, err := w.inIt(c.By, c.ChannelID, c.UserID); err != nil {
		return err
	}
	w.inChannel[c.ChannelID][c.UserID] = c.Role
	return nil
}

func (w *town) RemoveFromChannel(_ context.Context, by chat.UserID, id chat.ChannelID, user chat.UserID) error {
	defer w.lock()()
	if _, err := w.inIt(by, id, user); err != nil {
		return err
	}
	delete(w.inChannel[id], user)
	return nil
}

func (w *town) ChannelRoles(_ context.Context, by chat.UserID, id chat.ChannelID, users []chat.UserID) (map[chat.UserID]chat.ChannelRole, error) {
	defer w.lock()()
	if _, _, err := w.channel(by, id); err != nil {
		return nil, err
	}
	roles := map[chat.UserID]chat.ChannelRole{}
	for _, user := range users {
		if role, ok := w.inChannel[id][user]; ok {
			roles[user] = role
		}
	}
	return roles, nil
}

func (w *town) ChannelMembers(_ context.Context, q store.PeopleQuery) ([]chat.UserID, error) {
	defer w.lock()()
	if _, _, err := w.channel(q.Asker, q.ChannelID); err != nil {
		return nil, err
	}
	var all []chat.UserID
	for _, id := range slices.Sorted(maps.Keys(w.inChannel[q.ChannelID])) {
		if id > q.After && len(all) < q.Limit {
			all = append(all, id)
		}
	}
	return all, nil
}

func (w *town) OpenDirect(_ context.Context, by chat.UserID, ws chat.WorkspaceID, others []chat.UserID) (chat.Channel, bool, error) {
	defer w.lock()()
	if _, err := w.membership(by, ws); err != nil {
		return chat.Channel{}, false, err
	}
	people := append(slices.Clone(others), by)
	slices.Sort(people)
	people = slices.Compact(people)
	if len(others) == 0 || len(people) > chat.MaxGroupDM {
		return chat.Channel{}, false, fault.New(fault.Invalid, "user_ids are 1 to %d others", chat.MaxGroupDM-1)
	}
	if err := w.colleagues(ws, people); err != nil {
		return chat.Channel{}, false, err
	}
	for id, c := range w.channels {
		if c.Type.Direct() && c.WorkspaceID == ws && slices.Equal(slices.Sorted(maps.Keys(w.inChannel[id])), people) {
			return c, false, nil
		}
	}
	kind := chat.ChannelDM
	if len(people) > 2 {
		kind = chat.ChannelGroupDM
	}
	return w.openChannel(by, chat.Channel{WorkspaceID: ws, Type: kind}, people), true, nil
}
