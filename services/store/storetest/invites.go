package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// invite adds one whose code is the secret of its id, for a week and some uses.
func (f *fixture) invite(role chat.Role, uses int, channels ...chat.ChannelID) store.Invite {
	f.t.Helper()
	i := f.newInvite(role, uses, channels...)
	ok(f.t, f.d.AddInvite(f.ctx, i))
	return i
}

func (f *fixture) newInvite(role chat.Role, uses int, channels ...chat.ChannelID) store.Invite {
	i := store.Invite{ID: newID[store.InviteID](), WorkspaceID: f.ws.ID, Role: role, ChannelIDs: channels, By: f.owner,
		CreatedAt: atMicro, ExpiresAt: atMicro.AddDate(0, 0, 7), MaxUses: uses}
	i.Code = secret(string(i.ID))
	return i
}

// inviteIs expects that an invite is read as want.
func (f *fixture) inviteIs(what string, want store.Invite) {
	f.t.Helper()
	got, err := f.d.InviteOf(f.ctx, want.Code)
	ok(f.t, err)
	same(f.t, what, want, got)
}

func (f *fixture) openInvites(at time.Time, limit int) []store.InviteID {
	f.t.Helper()
	var all []store.InviteID
	q := store.InviteQuery{WorkspaceID: f.ws.ID, At: at, Limit: limit}
	for {
		list, err := f.d.Invites(f.ctx, q)
		ok(f.t, err)
		if len(list) == 0 {
			return all
		}
		for _, i := range list {
			f.inviteIs("as in the list", i)
			all = append(all, i.ID)
		}
		q.After = all[len(all)-1]
	}
}

func invites(t *testing.T, f *fixture) {
	b, a := f.channel(chat.ChannelPublic, "b"), f.channel(chat.ChannelPrivate, "a")
	first := f.newInvite(chat.RoleGuest, 1, a.ID, b.ID)
	first.Address = "ärztin@example.org"
	elsewhere := time.FixedZone("", -3600)
	given := first
	given.CreatedAt, given.ExpiresAt = first.CreatedAt.Add(123).In(elsewhere), first.ExpiresAt.Add(999).In(elsewhere)
	ok(t, f.d.AddInvite(f.ctx, given))
	f.inviteIs("in UTC, to the microsecond, its channels in their order", first)
	second := f.invite(chat.RoleAdmin, 3)
	short := f.newInvite(chat.RoleMember, 1)
	short.ExpiresAt = atMicro.Add(time.Hour)
	ok(t, f.d.AddInvite(f.ctx, short))

	for _, limit := range []int{1, 2, chat.MaxPageSize} {
		same(t, "open ones", []store.InviteID{first.ID, second.ID, short.ID}, f.openInvites(atMicro, limit))
		same(t, "at the end of one", []store.InviteID{first.ID, second.ID}, f.openInvites(short.ExpiresAt, limit))
	}
	list, err := f.d.Invites(f.ctx, store.InviteQuery{WorkspaceID: newID[chat.WorkspaceID](), At: atMicro, Limit: 10})
	ok(t, err)
	same(t, "of another workspace", []store.Invite{}, list)
	_, err = f.d.InviteOf(f.ctx, secret("of none"))
	isKind(t, "an unknown code", err, fault.NotFound)

	at := atMicro.Add(2 * time.Hour)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, second.ID, at))
	second.RevokedAt = at
	f.inviteIs("revoked", second)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, second.ID, at.Add(time.Hour)))
	f.inviteIs("revoked again", second)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, short.ID, at))
	f.inviteIs("revoked when it had lapsed", short)
	same(t, "what is open", []store.InviteID{first.ID}, f.openInvites(at, 10))
	isKind(t, "revoking one that is none", f.d.RevokeInvite(f.ctx, f.ws.ID, newID[store.InviteID](), at), fault.NotFound)
	isKind(t, "revoking one of another workspace", f.d.RevokeInvite(f.ctx, newID[chat.WorkspaceID](), first.ID, at), fault.NotFound)
	isKind(t, "revoking at no moment", f.d.RevokeInvite(f.ctx, f.ws.ID, first.ID, time.Time{}), fault.Invalid)
	f.inviteIs("after that", first)
}

func manyInvites(t *testing.T, f *fixture) {
	dm := f.channel(chat.ChannelDM, "", f.owner, f.member)
	for what, change := range map[string]func(i *store.Invite){
		"of no workspace":              func(i *store.Invite) { i.WorkspaceID = newID[chat.WorkspaceID]() },
		"by nobody":                    func(i *store.Invite) { i.By = newID[chat.UserID]() },
		"into a channel that is none":  func(i *store.Invite) { i.ChannelIDs = []chat.ChannelID{newID[chat.ChannelID]()} },
		"into a direct message":        func(i *store.Invite) { i.ChannelIDs = []chat.ChannelID{dm.ID} },
		"into another one's workspace": func(i *store.Invite) { i.ChannelIDs = []chat.ChannelID{f.elsewhere().ID} },
	} {
		i := f.newInvite(chat.RoleMember, 1)
		change(&i)
		isKind(t, what, f.d.AddInvite(f.ctx, i), fault.NotFound)
		_, err := f.d.InviteOf(f.ctx, i.Code)
		isKind(t, what+": nothing is left", err, fault.NotFound)
	}
	isKind(t, "as what is no role", f.d.AddInvite(f.ctx, f.newInvite("king", 1)), fault.Invalid)

	revoked := f.invite(chat.RoleMember, 1)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, revoked.ID, atMicro))
	lapsed := f.newInvite(chat.RoleMember, 1)
	lapsed.CreatedAt, lapsed.ExpiresAt = atMicro.Add(-time.Hour), atMicro
	ok(t, f.d.AddInvite(f.ctx, lapsed))
	used := f.invite(chat.RoleMember, 1)
	_, err := f.d.AcceptInvite(f.ctx, store.Acceptance{Code: used.Code, At: atMicro, User: f.none})
	ok(t, err)
	var last store.Invite
	for range chat.MaxInvites {
		last = f.invite(chat.RoleMember, 1)
	}
	isKind(t, "one too many", f.d.AddInvite(f.ctx, f.newInvite(chat.RoleMember, 1)), fault.Forbidden)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, last.ID, atMicro))
	f.invite(chat.RoleMember, 1)
}

// elsewhere is a public channel of another workspace.
func (f *fixture) elsewhere() chat.Channel {
	f.t.Helper()
	ws := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Other", Shard: 0, Epoch: 1, CreatedAt: atMicro}
	ok(f.t, f.d.CreateWorkspace(f.ctx, ws, f.owner))
	c := f.newChannel(chat.ChannelPublic, "theirs")
	c.WorkspaceID = ws.ID
	ok(f.t, f.d.CreateChannel(f.ctx, c, nil))
	return c
}

func acceptInvite(t *testing.T, f *fixture) {
	b, a := f.channel(chat.ChannelPublic, "b", f.owner), f.channel(chat.ChannelPrivate, "a")
	yes := true
	old := f.channel(chat.ChannelPublic, "old")
	i := f.invite(chat.RoleGuest, 3, b.ID, old.ID, a.ID, b.ID)
	_, err := f.d.UpdateChannel(f.ctx, store.ChannelChange{ChannelID: old.ID, By: f.owner, Archived: &yes})
	ok(t, err)
	f.record()
	accept := func(what string, a store.Acceptance, want ...event.Event) {
		t.Helper()
		a.Code, a.At = i.Code, i.ExpiresAt.Add(-time.Microsecond)
		got, err := f.d.AcceptInvite(f.ctx, a)
		ok(t, err)
		same(t, what, i, got)
		f.inviteIs(what, i)
		f.told(want...)
	}
	events := func(who chat.UserID) []event.Event {
		return []event.Event{joined("", who, who, chat.RoleGuest), joined(b.ID, who, who, chat.RoleGuest), joined(a.ID, who, who, chat.RoleGuest)}
	}
	i.Uses = 1
	accept("an account that there is", store.Acceptance{User: f.none}, events(f.none)...)
	accept("who is a member already", store.Acceptance{User: f.none})
	accept("who is one as something else", store.Acceptance{User: f.member})
	m, err := f.d.Member(f.ctx, f.ws.ID, f.member)
	ok(t, err)
	same(t, "keeps their role", chat.RoleMember, m.Role)

	fresh := newUser(newID[chat.UserID]())
	i.Uses = 2
	accept("a new account", store.Acceptance{New: &fresh}, events(fresh.ID)...)
	u, hash, err := f.d.Credentials(f.ctx, fresh.Login)
	ok(t, err)
	same(t, "account", fresh, store.NewUser{User: u, PasswordHash: hash})
	m, err = f.d.Member(f.ctx, f.ws.ID, fresh.ID)
	ok(t, err)
	same(t, "member", chat.Member{WorkspaceID: f.ws.ID, UserID: fresh.ID, Role: chat.RoleGuest, JoinedSeq: f.seq - 20}, m)
	roles, err := f.d.ChannelRoles(f.ctx, a.ID, []chat.UserID{fresh.ID, f.none, f.owner})
	ok(t, err)
	same(t, "in the channel", map[chat.UserID]chat.ChannelRole{fresh.ID: chat.ChannelMember, f.none: chat.ChannelMember}, roles)
}

func acceptInviteRefused(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general")
	i := f.invite(chat.RoleMember, 1, c.ID)
	used := f.invite(chat.RoleMember, 1)
	_, err := f.d.AcceptInvite(f.ctx, store.Acceptance{Code: used.Code, At: atMicro, User: f.none})
	ok(t, err)
	used.Uses = 1
	revoked := f.invite(chat.RoleMember, 1)
	ok(t, f.d.RevokeInvite(f.ctx, f.ws.ID, revoked.ID, atMicro))
	revoked.RevokedAt = atMicro
	f.record()
	taken := newUser(newID[chat.UserID]())
	taken.Login = newUser(f.owner).Login
	for _, r := range []struct {
		what string
		of   store.Invite
		a    store.Acceptance
		want fault.Kind
	}{
		{"an unknown code", f.newInvite(chat.RoleMember, 1), store.Acceptance{At: atMicro}, fault.NotFound},
		{"one that has lapsed", i, store.Acceptance{At: i.ExpiresAt}, fault.NotFound},
		{"one that was revoked", revoked, store.Acceptance{At: atMicro}, fault.NotFound},
		{"one that is used up", used, store.Acceptance{At: atMicro}, fault.NotFound},
		{"a login that is taken", i, store.Acceptance{At: atMicro, New: &taken}, fault.Conflict},
		{"an account that is none", i, store.Acceptance{At: atMicro, User: newID[chat.UserID]()}, fault.NotFound},
	} {
		fresh := newUser(newID[chat.UserID]())
		if r.a.New == nil && r.a.User == "" {
			r.a.New = &fresh
		}
		r.a.Code = r.of.Code
		got, err := f.d.AcceptInvite(f.ctx, r.a)
		isKind(t, r.what, err, r.want)
		same(t, r.what+": result", store.Invite{}, got)
		if r.a.New != nil {
			_, err = f.d.User(f.ctx, r.a.New.ID)
			isKind(t, r.what+": the account", err, fault.NotFound)
		}
	}
	for _, i := range []store.Invite{i, used, revoked} {
		f.inviteIs("after what was refused", i)
	}
	f.told()
}

func raceToAccept(t *testing.T, f *fixture) {
	const uses, people = 3, 10
	c := f.channel(chat.ChannelPublic, "general")
	f.record()
	i := f.invite(chat.RoleMember, uses, c.ID)
	var users [people]store.NewUser
	for n := range users {
		users[n] = newUser(newID[chat.UserID]())
	}
	came := 0
	for n, err := range together(people, func(n int) error {
		_, err := f.d.AcceptInvite(f.ctx, store.Acceptance{Code: i.Code, At: atMicro, New: &users[n]})
		return err
	}) {
		_, there := f.d.Member(f.ctx, f.ws.ID, users[n].ID)
		if err == nil {
			came++
			ok(t, there)
			continue
		}
		isKind(t, "who came late", err, fault.NotFound)
		isKind(t, "who came late", there, fault.NotFound)
	}
	same(t, "who came in", uses, came)
	same(t, "events", 2*uses, len(f.pending()))
	i.Uses = uses
	f.inviteIs("used up", i)
	same(t, "open ones", []store.InviteID(nil), f.openInvites(atMicro, 10))

	// One person many times is one use.
	again := f.invite(chat.RoleMember, uses)
	for _, err := range together(many, func(int) error {
		_, err := f.d.AcceptInvite(f.ctx, store.Acceptance{Code: again.Code, At: atMicro, User: f.none})
		return err
	}) {
		ok(t, err)
	}
	again.Uses = 1
	f.inviteIs("used by one person", again)
	same(t, "open ones", fmt.Sprint([]store.InviteID{again.ID}), fmt.Sprint(f.openInvites(atMicro, 10)))
}
