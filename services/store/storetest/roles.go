package storetest

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// lastID expects that id is that of the newest row of the outbox.
func (f *fixture) lastID(what string, id store.OutboxID, err error) {
	f.t.Helper()
	ok(f.t, err)
	rows := f.pending()
	if len(rows) == 0 {
		same(f.t, what+": nothing changed", store.OutboxID(0), id)
		return
	}
	same(f.t, what+": id of the last row", rows[len(rows)-1].ID, id)
}

func (f *fixture) roleIs(user chat.UserID, want chat.Role) {
	f.t.Helper()
	m, err := f.d.Member(f.ctx, f.ws.ID, user)
	ok(f.t, err)
	same(f.t, "role", want, m.Role)
}

func (f *fixture) setRole(user chat.UserID, role chat.Role) (store.OutboxID, error) {
	return f.d.SetRole(f.ctx, store.RoleChange{WorkspaceID: f.ws.ID, UserID: user, By: f.owner, Role: role})
}

func setRole(t *testing.T, f *fixture) {
	before, err := f.d.Member(f.ctx, f.ws.ID, f.member)
	ok(t, err)
	id, err := f.setRole(f.member, chat.RoleAdmin)
	f.lastID("another role", id, err)
	f.told(event.Event{Kind: event.MemberUpdated, SenderID: f.owner, UserID: f.member, Role: chat.RoleAdmin})
	before.Role = chat.RoleAdmin
	got, err := f.d.Member(f.ctx, f.ws.ID, f.member)
	ok(t, err)
	same(t, "member, who joined when they did", before, got)
	id, err = f.setRole(f.member, chat.RoleAdmin)
	f.lastID("the role that they have", id, err)
	_, err = f.setRole(f.none, chat.RoleGuest)
	isKind(t, "a stranger", err, fault.NotFound)
	_, err = f.d.SetRole(f.ctx, store.RoleChange{WorkspaceID: newID[chat.WorkspaceID](), UserID: f.member, By: f.owner, Role: chat.RoleGuest})
	isKind(t, "an unknown workspace", err, fault.NotFound)
	_, err = f.setRole(f.member, "king")
	isKind(t, "a role that is none", err, fault.Invalid)
	f.told()
	f.roleIs(f.member, chat.RoleAdmin)
}

func lastOwner(t *testing.T, f *fixture) {
	second := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Second", Shard: 1, Epoch: 7, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, second, f.none)) // whose owner counts there only
	f.record()
	deactivate := func(user chat.UserID, closed bool) error {
		_, err := f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: user, By: f.owner, Deactivated: closed, At: atMicro})
		return err
	}
	refused := func(what string) {
		t.Helper()
		_, err := f.setRole(f.owner, chat.RoleAdmin)
		isKind(t, what+": another role", err, fault.Conflict)
		_, err = f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.owner)
		isKind(t, what+": removal", err, fault.Conflict)
		isKind(t, what+": closing the account", deactivate(f.owner, true), fault.Conflict)
		f.told()
	}
	refused("the only owner")
	_, err := f.setRole(f.guest, chat.RoleOwner)
	ok(t, err)
	ok(t, deactivate(f.guest, true))
	f.record()
	refused("the other one's account is closed")
	s := f.signIn(f.owner, dawn)
	isKind(t, "closing the account", deactivate(f.owner, true), fault.Conflict)
	f.reads("a sign-in after what was refused", s)

	_, err = f.setRole(f.guest, chat.RoleMember) // takes nothing away
	ok(t, err)
	_, err = f.setRole(f.member, chat.RoleOwner)
	ok(t, err)
	_, err = f.setRole(f.owner, chat.RoleAdmin)
	ok(t, err)
	_, err = f.setRole(f.owner, chat.RoleOwner)
	ok(t, err)
	ok(t, deactivate(f.owner, true))
	_, err = f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	isKind(t, "the other owner's account is closed", err, fault.Conflict)
	ok(t, deactivate(f.owner, false))
	_, err = f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	ok(t, err)
	isKind(t, "the owner of another workspace", deactivate(f.none, true), fault.Conflict)

	closed := newUser(newID[chat.UserID]())
	closed.Deactivated = true
	ok(t, f.d.CreateUsers(f.ctx, []store.NewUser{closed}))
	third := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Third", Shard: 1, Epoch: 1, CreatedAt: atMicro}
	ok(t, f.d.CreateWorkspace(f.ctx, third, closed.ID))
	_, err = f.d.RemoveMember(f.ctx, third.ID, f.owner, closed.ID)
	ok(t, err) // it had no owner before
}

func raceToDemote(t *testing.T, f *fixture) {
	for round := range 10 {
		_, err := f.setRole(f.owner, chat.RoleOwner)
		ok(t, err)
		_, err = f.setRole(f.member, chat.RoleOwner)
		ok(t, err)
		f.record()
		owners := []chat.UserID{f.owner, f.member}
		won := 0
		for _, err := range together(2, func(i int) error {
			by, whom := owners[i], owners[1-i]
			if round%2 == 1 {
				by = whom // both go themselves
			}
			_, err := f.d.SetRole(f.ctx, store.RoleChange{WorkspaceID: f.ws.ID, UserID: whom, By: by, Role: chat.RoleMember})
			return err
		}) {
			if err == nil {
				won++
			} else {
				isKind(t, "the last owner", err, fault.Conflict)
			}
		}
		same(t, "winners", 1, won)
		same(t, "events", 1, len(f.pending()))
		left := 0
		for _, o := range owners {
			m, err := f.d.Member(f.ctx, f.ws.ID, o)
			ok(t, err)
			if m.Role == chat.RoleOwner {
				left++
			}
		}
		same(t, "owners that are left", 1, left)
	}
}

func removeMember(t *testing.T, f *fixture) {
	a := f.channel(chat.ChannelPublic, "a", f.owner, f.member)
	b := f.channel(chat.ChannelPrivate, "b", f.member)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	f.channel(chat.ChannelPublic, "not in it", f.owner)
	gone := f.channel(chat.ChannelPublic, "left before", f.member)
	f.set(store.MemberChange{ChannelID: gone.ID, By: f.member, UserIDs: []chat.UserID{f.member}, Leave: true})
	theirs := f.elsewhere()
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{{WorkspaceID: theirs.WorkspaceID, UserID: f.member, Role: chat.RoleMember}}))
	f.set(store.MemberChange{ChannelID: theirs.ID, By: f.owner, UserIDs: []chat.UserID{f.member}})
	f.record()
	before := f.tenures(f.member, 0)
	high, err := f.d.Recorded(f.ctx, f.ws.Shard)
	ok(t, err)

	id, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	f.lastID("removal", id, err)
	recorded, err := f.d.Recorded(f.ctx, f.ws.Shard)
	ok(t, err)
	same(t, "what was recorded stays so", high, recorded)
	f.told(left(a.ID, f.owner, f.member), left(b.ID, f.owner, f.member), left("", f.owner, f.member))
	_, err = f.d.Member(f.ctx, f.ws.ID, f.member)
	isKind(t, "membership", err, fault.NotFound)
	list, err := f.d.WorkspacesOf(f.ctx, f.member)
	ok(t, err)
	same(t, "workspaces that are left", 1, len(list))
	for i := range before {
		switch before[i].ChannelID {
		case a.ID:
			before[i].LeftSeq = f.seq - 20
		case b.ID:
			before[i].LeftSeq = f.seq - 10
		}
	}
	same(t, "tenures", before, f.tenures(f.member, 0))
	for _, c := range []chat.Channel{a, dm} {
		standing, _, err := f.d.Standing(f.ctx, c.ID, f.member)
		ok(t, err)
		same(t, "may see", false, standing.MaySee())
		same(t, "may post", false, standing.MayPost())
	}
	same(t, "joining without being a member", store.OutboxID(0),
		f.set(store.MemberChange{ChannelID: a.ID, By: f.owner, UserIDs: []chat.UserID{f.member}}))
	_, err = f.d.UpdateUser(f.ctx, store.UserChange{UserID: f.member, By: f.member, DisplayName: "Renamed"})
	ok(t, err)
	rows := f.pending()
	same(t, "workspaces that are told of them", []chat.WorkspaceID{theirs.WorkspaceID}, []chat.WorkspaceID{rows[0].WorkspaceID})
	same(t, "events", 1, len(rows))
	f.record()

	_, err = f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.member)
	isKind(t, "again", err, fault.NotFound)
	_, err = f.d.RemoveMember(f.ctx, newID[chat.WorkspaceID](), f.owner, f.guest)
	isKind(t, "of an unknown workspace", err, fault.NotFound)
	f.told()
}

func comesBack(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner, f.member)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	f.record()
	_, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.member, f.member)
	ok(t, err)
	back := chat.Member{WorkspaceID: f.ws.ID, UserID: f.member, Role: chat.RoleGuest}
	ok(t, f.d.AddMembers(f.ctx, f.owner, []chat.Member{back})) // while the removal is on its way to the log
	f.told(left(c.ID, f.member, f.member), left("", f.member, f.member), joined("", f.owner, f.member, chat.RoleGuest))
	back.JoinedSeq = f.seq
	got, err := f.d.Member(f.ctx, f.ws.ID, f.member)
	ok(t, err)
	same(t, "member", back, got)
	standing, _, err := f.d.Standing(f.ctx, c.ID, f.member)
	ok(t, err)
	same(t, "in the channel", false, standing.InIt)
	standing, _, err = f.d.Standing(f.ctx, dm.ID, f.member)
	ok(t, err)
	same(t, "in the direct message", true, standing.MayPost())
	found, err := f.d.DirectChannel(f.ctx, f.ws.ID, []chat.UserID{f.owner, f.member})
	ok(t, err)
	same(t, "direct message", dm, found)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}})
	f.told(joined(c.ID, f.owner, f.member, chat.RoleGuest))
}

func channelRoles(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPrivate, "plans", f.member, f.owner)
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	f.record()
	everybody := []chat.UserID{f.owner, f.member, f.guest, f.none, f.owner, newID[chat.UserID]()}
	expect := func(what string, channel chat.ChannelID, want map[chat.UserID]chat.ChannelRole) {
		t.Helper()
		got, err := f.d.ChannelRoles(f.ctx, channel, everybody)
		ok(t, err)
		same(t, what, want, got)
		for _, u := range everybody[:4] {
			s, _, err := f.d.Standing(f.ctx, channel, u)
			ok(t, err)
			same(t, what+": manages", want[u] == chat.ChannelManager, s.Manages)
		}
	}
	set := func(user chat.UserID, role chat.ChannelRole) (store.OutboxID, error) {
		return f.d.SetChannelRole(f.ctx, store.ChannelRoleChange{ChannelID: c.ID, UserID: user, By: f.owner, Role: role})
	}
	type is = map[chat.UserID]chat.ChannelRole
	expect("who created it manages it", c.ID, is{f.owner: chat.ChannelManager, f.member: chat.ChannelMember})
	expect("a direct message has no manager", dm.ID, is{f.owner: chat.ChannelMember, f.member: chat.ChannelMember})
	got, err := f.d.ChannelRoles(f.ctx, c.ID, nil)
	ok(t, err)
	same(t, "of no users", is{}, got)
	got, err = f.d.ChannelRoles(f.ctx, newID[chat.ChannelID](), everybody)
	ok(t, err)
	same(t, "of no channel", is{}, got)

	id, err := set(f.member, chat.ChannelManager)
	f.lastID("another role", id, err)
	f.told(event.Event{Kind: event.MemberUpdated, ChannelID: c.ID, SenderID: f.owner, UserID: f.member, ChannelRole: chat.ChannelManager})
	id, err = set(f.member, chat.ChannelManager)
	f.lastID("the role that they have", id, err)
	id, err = set(f.owner, chat.ChannelMember)
	f.lastID("less than before", id, err)
	f.record()
	expect("after the changes", c.ID, is{f.owner: chat.ChannelMember, f.member: chat.ChannelManager})

	_, err = set(f.guest, chat.ChannelMember)
	isKind(t, "who is not in it", err, fault.NotFound)
	_, err = set(f.owner, "king")
	isKind(t, "a role that is none", err, fault.Invalid)
	_, err = f.d.SetChannelRole(f.ctx, store.ChannelRoleChange{ChannelID: newID[chat.ChannelID](), UserID: f.owner, By: f.owner, Role: chat.ChannelMember})
	isKind(t, "an unknown channel", err, fault.NotFound)
	_, err = f.d.SetChannelRole(f.ctx, store.ChannelRoleChange{ChannelID: dm.ID, UserID: f.owner, By: f.owner, Role: chat.ChannelManager})
	isKind(t, "a direct message", err, fault.Conflict)
	f.told()

	leave := store.MemberChange{ChannelID: c.ID, By: f.member, UserIDs: []chat.UserID{f.member}, Leave: true}
	f.set(leave)
	expect("who left has no role", c.ID, is{f.owner: chat.ChannelMember})
	leave.Leave = false
	f.set(leave)
	f.told(left(c.ID, f.member, f.member), joined(c.ID, f.member, f.member, chat.RoleMember))
	expect("who comes back is a member", c.ID, is{f.owner: chat.ChannelMember, f.member: chat.ChannelMember})
}

func setDeactivated(t *testing.T, f *fixture) {
	a, b := f.signIn(f.member, dawn), f.signIn(f.member, dawn.Add(time.Second))
	other := f.signIn(f.owner, dawn)
	ok(t, f.d.AddTicket(f.ctx, store.Ticket{Secret: secret("t"), SignInID: a.ID, ExpiresAt: dawn.Add(time.Hour)}))
	u := newUser(f.member).User
	set := func(what string, closed bool, at time.Time, want ...event.Event) {
		t.Helper()
		got, err := f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: u.ID, By: f.owner, Deactivated: closed, At: at})
		ok(t, err)
		u.Deactivated = closed
		same(t, what, u, got)
		got, err = f.d.User(f.ctx, u.ID)
		ok(t, err)
		same(t, what, u, got)
		f.told(want...)
	}
	told := func(closed bool) event.Event {
		return event.Event{Kind: event.UserUpdated, SenderID: f.owner, UserID: u.ID,
			User: &event.UserState{Login: u.Login, DisplayName: u.DisplayName, Deactivated: closed}}
	}
	at := dawn.Add(time.Minute)
	set("closed", true, at, told(true))
	a.RevokedAt, b.RevokedAt = at.Truncate(time.Microsecond), at.Truncate(time.Microsecond)
	f.reads("a sign-in", a)
	f.reads("a sign-in", b)
	f.reads("another one's", other)
	got, err := f.d.Unannounced(f.ctx, 10)
	ok(t, err)
	same(t, "to be announced", 2, len(got))
	_, err = f.d.Refresh(f.ctx, f.refresh(a, 1, 2, at))
	isKind(t, "refreshing", err, fault.Unauthenticated)
	_, err = f.d.RedeemTicket(f.ctx, secret("t"), at)
	isKind(t, "a ticket", err, fault.Unauthenticated)
	set("closed again", true, at.Add(time.Hour))
	set("open", false, time.Time{}, told(false))
	set("open again", false, time.Time{})
	f.reads("a sign-in stays revoked", a)
	f.signIn(f.member, at)
	_, err = f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: newID[chat.UserID](), By: f.owner, Deactivated: true, At: at})
	isKind(t, "an unknown user", err, fault.NotFound)
	_, err = f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: u.ID, By: "*.>", Deactivated: true, At: at})
	isKind(t, "somebody who is no id, by whom no event can be", err, fault.Invalid)
	last, err := f.d.SignInsOf(f.ctx, u.ID, at)
	ok(t, err)
	same(t, "what was refused ended no sign-in", 1, len(last))
}

func setPassword(t *testing.T, f *fixture) {
	at := dawn.Add(time.Minute)
	kept, gone := f.signIn(f.member, dawn), f.signIn(f.member, dawn)
	expect := func(hash string) {
		t.Helper()
		_, got, err := f.d.Credentials(f.ctx, newUser(f.member).Login)
		ok(t, err)
		same(t, "hash", hash, got)
	}
	ok(t, f.d.SetPassword(f.ctx, "second", store.Revocation{UserID: f.member, Except: kept.ID, At: at}))
	expect("second")
	gone.RevokedAt = at.Truncate(time.Microsecond)
	f.reads("a sign-in that ended", gone)
	f.reads("the one that was excepted", kept)
	isKind(t, "of nobody", f.d.SetPassword(f.ctx, "x", store.Revocation{UserID: newID[chat.UserID](), At: at}), fault.NotFound)
	isKind(t, "at no moment", f.d.SetPassword(f.ctx, "x", store.Revocation{UserID: f.member}), fault.Invalid)
	expect("second") // both or none
	f.reads("the one that was excepted", kept)
	ok(t, f.d.SetPassword(f.ctx, "third", store.Revocation{UserID: f.member, At: at}))
	expect("third")
	f.last("all ended", f.member, at)
	f.told() // a password is no event
}

func census(t *testing.T, f *fixture) {
	expect := func(what string, ws chat.WorkspaceID, want store.Counts) {
		t.Helper()
		got, err := f.d.Census(f.ctx, ws)
		ok(t, err)
		same(t, what, want, got)
	}
	expect("without channels", f.ws.ID, store.Counts{Members: 3})
	a := f.channel(chat.ChannelPublic, "a", f.owner, f.member)
	b := f.channel(chat.ChannelPrivate, "b", f.owner)
	f.channel(chat.ChannelPublic, "empty")
	theirs := f.elsewhere()
	expect("with channels", f.ws.ID, store.Counts{Members: 3, Channels: map[chat.ChannelID]int{a.ID: 2, b.ID: 1}})
	f.set(store.MemberChange{ChannelID: a.ID, By: f.owner, UserIDs: []chat.UserID{f.owner, f.guest}, Leave: true})
	f.set(store.MemberChange{ChannelID: b.ID, By: f.owner, UserIDs: []chat.UserID{f.owner}, Leave: true})
	_, err := f.d.RemoveMember(f.ctx, f.ws.ID, f.owner, f.guest)
	ok(t, err)
	expect("after some went", f.ws.ID, store.Counts{Members: 2, Channels: map[chat.ChannelID]int{a.ID: 1}})
	expect("another workspace", theirs.WorkspaceID, store.Counts{Members: 1})
	expect("an unknown one", newID[chat.WorkspaceID](), store.Counts{})
}
