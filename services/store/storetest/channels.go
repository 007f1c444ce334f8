package storetest

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func channelNames(t *testing.T, f *fixture) {
	general := f.channel(chat.ChannelPublic, "general", f.owner)
	got, err := f.d.Channel(f.ctx, general.ID)
	ok(t, err)
	same(t, "channel", general, got)
	_, err = f.d.Channel(f.ctx, newID[chat.ChannelID]())
	isKind(t, "unknown channel", err, fault.NotFound)

	isKind(t, "a name that is taken, also by the other type",
		f.d.CreateChannel(f.ctx, f.newChannel(chat.ChannelPrivate, "general"), nil), fault.Conflict)
	sameID := f.newChannel(chat.ChannelPublic, "other")
	sameID.ID = general.ID
	isKind(t, "an id that is taken", f.d.CreateChannel(f.ctx, sameID, nil), fault.Conflict)

	other := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Other", Shard: 0, Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, other, f.owner))
	elsewhere := f.newChannel(chat.ChannelPublic, "general")
	elsewhere.WorkspaceID = other.ID
	ok(t, f.d.CreateChannel(f.ctx, elsewhere, nil))
}

func channelEvents(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPrivate, "plans", f.guest, f.owner, f.guest)
	f.told(created(c), joined(c.ID, f.owner, f.guest, chat.RoleGuest), managed(c.ID, f.owner, chat.RoleOwner))
	members, err := f.d.ChannelMembers(f.ctx, c.ID, "", 10)
	ok(t, err)
	same(t, "members", []chat.UserID{f.owner, f.guest}, members)
}

func failedCreation(t *testing.T, f *fixture) {
	for name, fails := range map[string]func() error{
		"a member of no workspace": func() error {
			return f.d.CreateChannel(f.ctx, f.newChannel(chat.ChannelPublic, "a"), []chat.UserID{f.owner, f.none})
		},
		"an unknown workspace": func() error {
			c := f.newChannel(chat.ChannelPublic, "b")
			c.WorkspaceID = newID[chat.WorkspaceID]()
			return f.d.CreateChannel(f.ctx, c, nil)
		},
		"an unknown creator": func() error {
			c := f.newChannel(chat.ChannelPublic, "c")
			c.CreatorID = newID[chat.UserID]()
			return f.d.CreateChannel(f.ctx, c, nil)
		},
	} {
		isKind(t, name, fails(), fault.NotFound)
	}
	isKind(t, "a type that is none", f.d.CreateChannel(f.ctx, f.newChannel("secret", "d"), nil), fault.Invalid)
	isKind(t, "a creator that is no id", func() error {
		c := f.newChannel(chat.ChannelPublic, "e")
		c.CreatorID = "*.>"
		return f.d.CreateChannel(f.ctx, c, nil)
	}(), fault.NotFound)
	f.told()
	list, err := f.d.ListChannels(f.ctx, store.ChannelQuery{WorkspaceID: f.ws.ID, UserID: f.owner, Role: chat.RoleOwner, Limit: 10})
	ok(t, err)
	same(t, "channels", []store.ListedChannel{}, list)
	f.channel(chat.ChannelPublic, "a", f.owner) // the name is free
}

func directChannels(t *testing.T, f *fixture) {
	_, err := f.d.DirectChannel(f.ctx, f.ws.ID, []chat.UserID{f.owner, f.member})
	isKind(t, "before there is one", err, fault.NotFound)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	f.told(created(dm), joined(dm.ID, f.owner, f.owner, chat.RoleOwner), joined(dm.ID, f.owner, f.member, chat.RoleMember))

	for _, kind := range []chat.ChannelType{chat.ChannelDM, chat.ChannelGroupDM} {
		people := []chat.UserID{f.member, f.owner, f.member}
		isKind(t, "the same people", f.d.CreateChannel(f.ctx, f.newChannel(kind, ""), people), fault.Conflict)
	}
	f.told()
	group := f.channel(chat.ChannelGroupDM, "", f.owner, f.member, f.guest)
	alone := f.channel(chat.ChannelDM, "", f.owner)
	f.channel(chat.ChannelPrivate, "not-direct", f.owner, f.guest)
	for _, c := range []struct {
		want   chat.Channel
		people []chat.UserID
	}{
		{dm, []chat.UserID{f.member, f.owner}},
		{group, []chat.UserID{f.guest, f.member, f.owner, f.guest}},
		{alone, []chat.UserID{f.owner, f.owner}},
	} {
		got, err := f.d.DirectChannel(f.ctx, f.ws.ID, c.people)
		ok(t, err)
		same(t, "direct channel", c.want, got)
	}
	_, err = f.d.DirectChannel(f.ctx, f.ws.ID, []chat.UserID{f.owner, f.guest})
	isKind(t, "people of a private channel only", err, fault.NotFound)
	_, err = f.d.DirectChannel(f.ctx, newID[chat.WorkspaceID](), []chat.UserID{f.owner, f.member})
	isKind(t, "another workspace", err, fault.NotFound)
	f.record()

	for _, leave := range []bool{false, true} {
		_, err = f.d.SetMembers(f.ctx, store.MemberChange{ChannelID: dm.ID, By: f.owner, UserIDs: []chat.UserID{f.member, f.guest}, Leave: leave})
		isKind(t, "changing the people of a direct channel", err, fault.Conflict)
	}
	f.told()
}

func listChannels(t *testing.T, f *fixture) {
	public := f.channel(chat.ChannelPublic, "public", f.member)
	hidden := f.channel(chat.ChannelPrivate, "hidden", f.owner)
	private := f.channel(chat.ChannelPrivate, "private", f.guest, f.member)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.guest)
	old := f.newChannel(chat.ChannelPublic, "old")
	old.Archived = true
	ok(t, f.d.CreateChannel(f.ctx, old, nil))

	list := func(user chat.UserID, role chat.Role, limit int) []store.ListedChannel {
		t.Helper()
		var all []store.ListedChannel
		q := store.ChannelQuery{WorkspaceID: f.ws.ID, UserID: user, Role: role, Limit: limit}
		for {
			l, err := f.d.ListChannels(f.ctx, q)
			ok(t, err)
			if len(l) == 0 {
				return all
			}
			all = append(all, l...)
			q.After = l[len(l)-1].ID
		}
	}
	for _, limit := range []int{1, 2, 5, 200} {
		same(t, "owner", []store.ListedChannel{{Channel: public}, {Channel: hidden, Joined: true}, {Channel: dm, Joined: true}, {Channel: old}},
			list(f.owner, chat.RoleOwner, limit))
		same(t, "member", []store.ListedChannel{{Channel: public, Joined: true}, {Channel: private, Joined: true}, {Channel: old}},
			list(f.member, chat.RoleMember, limit))
		same(t, "guest", []store.ListedChannel{{Channel: private, Joined: true}, {Channel: dm, Joined: true}},
			list(f.guest, chat.RoleGuest, limit))
		same(t, "no role", []store.ListedChannel{}, list(f.owner, "", limit))
	}
	f.set(store.MemberChange{ChannelID: private.ID, By: f.owner, UserIDs: []chat.UserID{f.guest}, Leave: true})
	same(t, "guest who left", []store.ListedChannel{{Channel: dm, Joined: true}}, list(f.guest, chat.RoleGuest, 5))
}

func setMembers(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner)
	f.record()
	all := []chat.UserID{f.owner, f.member, f.none, f.guest, f.member}

	id := f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: all})
	rows := f.pending()
	same(t, "id of the last row", rows[len(rows)-1].ID, id)
	f.told(joined(c.ID, f.owner, f.member, chat.RoleMember), joined(c.ID, f.owner, f.guest, chat.RoleGuest))
	same(t, "joining again", store.OutboxID(0), f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: all}))
	f.told()

	id = f.set(store.MemberChange{ChannelID: c.ID, By: f.member, UserIDs: []chat.UserID{f.none, f.member}, Leave: true})
	same(t, "id of the last row", f.pending()[0].ID, id)
	f.told(left(c.ID, f.member, f.member))
	same(t, "leaving again", store.OutboxID(0),
		f.set(store.MemberChange{ChannelID: c.ID, By: f.member, UserIDs: []chat.UserID{f.member}, Leave: true}))
	f.told()

	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}, Role: chat.RoleAdmin})
	f.told(joined(c.ID, f.owner, f.member, chat.RoleAdmin))
	_, err := f.d.SetMembers(f.ctx, store.MemberChange{ChannelID: newID[chat.ChannelID](), By: f.owner, UserIDs: all})
	isKind(t, "unknown channel", err, fault.NotFound)
	same(t, "nobody", store.OutboxID(0), f.set(store.MemberChange{ChannelID: c.ID, By: f.owner}))
}

func channelMembers(t *testing.T, f *fixture) {
	people := []chat.UserID{f.owner, f.member, f.guest}
	c := f.channel(chat.ChannelPublic, "general", people...)
	slices.Sort(people)
	list, err := f.d.ChannelMembers(f.ctx, c.ID, "", 2)
	ok(t, err)
	same(t, "first page", people[:2], list)
	list, err = f.d.ChannelMembers(f.ctx, c.ID, people[1], 2)
	ok(t, err)
	same(t, "second page", people[2:], list)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: people[:1], Leave: true})
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: people[1:2], Leave: true})
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: people[1:2]})
	list, err = f.d.ChannelMembers(f.ctx, c.ID, "", 10)
	ok(t, err)
	same(t, "after one left, and another left and came back", people[1:], list)
}

func standings(t *testing.T, f *fixture) {
	public := f.channel(chat.ChannelPublic, "public", f.owner, f.guest)
	private := f.newChannel(chat.ChannelPrivate, "private")
	private.Archived = true
	ok(t, f.d.CreateChannel(f.ctx, private, []chat.UserID{f.member}))
	f.set(store.MemberChange{ChannelID: public.ID, By: f.guest, UserIDs: []chat.UserID{f.guest}, Leave: true})
	for _, c := range []struct {
		name    string
		channel chat.Channel
		user    chat.UserID
		want    chat.Standing
	}{
		{"in it", public, f.owner, chat.Standing{Role: chat.RoleOwner, Type: chat.ChannelPublic, InIt: true, Manages: true}},
		{"not in it", public, f.member, chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPublic}},
		{"left it", public, f.guest, chat.Standing{Role: chat.RoleGuest, Type: chat.ChannelPublic}},
		{"a stranger", public, f.none, chat.Standing{Type: chat.ChannelPublic}},
		{"no account", public, newID[chat.UserID](), chat.Standing{Type: chat.ChannelPublic}},
		{"in an archived one", private, f.member, chat.Standing{Role: chat.RoleMember, Type: chat.ChannelPrivate, Archived: true, InIt: true}},
		{"not in a private one", private, f.guest, chat.Standing{Role: chat.RoleGuest, Type: chat.ChannelPrivate, Archived: true}},
	} {
		got, channel, err := f.d.Standing(f.ctx, c.channel.ID, c.user)
		ok(t, err)
		same(t, c.name, c.want, got)
		same(t, c.name+": channel", c.channel, channel)
	}
	_, _, err := f.d.Standing(f.ctx, newID[chat.ChannelID](), f.owner)
	isKind(t, "unknown channel", err, fault.NotFound)
}
