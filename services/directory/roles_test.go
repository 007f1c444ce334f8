package directory_test

import (
	"maps"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
)

const admin = chat.UserID("ad317") // an administrator, where a test brings them in

// withAdmin is a town that has an administrator besides its owner.
func withAdmin(t *testing.T) *town {
	t.Helper()
	w := newTown(t, nil)
	w.must(w.db.CreateUsers(t.Context(), []store.NewUser{{User: chat.User{ID: admin, Login: string(admin), DisplayName: "Admin", CreatedAt: time.Now()}}}))
	w.must(w.db.AddMembers(t.Context(), alice, []chat.Member{{WorkspaceID: w.ws.ID, UserID: admin, Role: chat.RoleAdmin}}))
	return w
}

// since is the events of the log after the first n, and how many there are now.
func (w *town) since(n int) ([]event.Event, int) {
	w.t.Helper()
	w.must(w.dir.Settle(w.t.Context(), w.ws.ID))
	all := w.log.all()
	var events []event.Event
	for _, e := range all[n:] {
		parsed, err := event.Parse([]byte(e.payload))
		w.must(err)
		events = append(events, parsed)
	}
	return events, len(all)
}

func TestAWorkspaceBeginsWithGeneral(t *testing.T) {
	w := newTown(t, nil)
	list, err := w.dir.ListChannels(t.Context(), store.ChannelQuery{WorkspaceID: w.ws.ID, UserID: alice, Limit: 10})
	if err != nil || len(list) != 1 || list[0].Name != directory.General || list[0].Type != chat.ChannelPublic || !list[0].Joined || list[0].CreatorID != alice {
		t.Errorf("it has %+v, %v", list, err)
	}
	if got := w.kinds(list[0].ID); len(got) != 2 {
		t.Errorf("when it is answered, the log of general has %v", got)
	}
}

func TestWhoMayRenameAWorkspace(t *testing.T) {
	w := withAdmin(t)
	ctx := t.Context()
	for by, want := range map[chat.UserID]fault.Kind{bob: fault.Forbidden, guest: fault.Forbidden, eve: fault.NotFound, admin: ""} {
		_, err := w.dir.UpdateWorkspace(ctx, by, w.ws.ID, "Renamed by "+string(by))
		wantKind(t, string(by), err, want)
	}
	_, err := w.dir.UpdateWorkspace(ctx, alice, w.ws.ID, "a\x00")
	wantKind(t, "a bad name", err, fault.Invalid)
	_, n := w.since(0)
	for range 2 { // the second time nothing changes
		m, err := w.dir.UpdateWorkspace(ctx, alice, w.ws.ID, "Oak")
		if err != nil || m.Workspace.Name != "Oak" || m.Role != chat.RoleOwner {
			t.Errorf("%+v, %v", m, err)
		}
	}
	if events, _ := w.since(n); len(events) != 1 || events[0].Kind != event.WorkspaceUpdated || events[0].SenderID != alice {
		t.Errorf("the log has %+v", events)
	}
}

func TestWhoMayGiveRoles(t *testing.T) {
	w := withAdmin(t)
	ctx := t.Context()
	for _, c := range []struct {
		what     string
		by, user chat.UserID
		role     chat.Role
		want     fault.Kind
	}{
		{"a member", bob, carol, chat.RoleGuest, fault.Forbidden},
		{"a member, to somebody they do not know", bob, eve, chat.RoleGuest, fault.Forbidden},
		{"a guest", guest, bob, chat.RoleMember, fault.Forbidden},
		{"a stranger", eve, bob, chat.RoleMember, fault.NotFound},
		{"to a stranger", alice, eve, chat.RoleMember, fault.NotFound},
		{"that is none", alice, bob, "root", fault.Invalid},
		{"an administrator, above them", admin, bob, chat.RoleOwner, fault.Forbidden},
		{"an administrator, to who is above them", admin, alice, chat.RoleMember, fault.Forbidden},
		{"an administrator", admin, bob, chat.RoleAdmin, ""},
		{"the last owner, to themselves", alice, alice, chat.RoleMember, fault.Conflict},
		{"an owner", alice, bob, chat.RoleOwner, ""},
		{"one owner of two, to themselves", alice, alice, chat.RoleMember, ""},
	} {
		_, err := w.dir.SetRole(ctx, store.RoleChange{WorkspaceID: w.ws.ID, By: c.by, UserID: c.user, Role: c.role})
		wantKind(t, c.what, err, c.want)
	}
	_, n := w.since(0)
	m, err := w.dir.SetRole(ctx, store.RoleChange{WorkspaceID: w.ws.ID, By: bob, UserID: carol, Role: chat.RoleGuest})
	if err != nil || m.UserID != carol || m.Role != chat.RoleGuest {
		t.Errorf("%+v, %v", m, err)
	}
	if events, _ := w.since(n); len(events) != 1 || events[0].Kind != event.MemberUpdated || events[0].Role != chat.RoleGuest || events[0].ChannelID != "" {
		t.Errorf("the log has %+v", events)
	}
}

func TestWhoMayRemoveMembers(t *testing.T) {
	w := withAdmin(t)
	ctx := t.Context()
	secret := w.channel(bob, "secret", chat.ChannelPrivate)
	for _, c := range []struct {
		what     string
		by, user chat.UserID
		want     fault.Kind
	}{
		{"a member", bob, carol, fault.Forbidden},
		{"a member, somebody they do not know", bob, eve, fault.Forbidden},
		{"a stranger", eve, bob, fault.NotFound},
		{"a stranger, themselves", eve, eve, fault.NotFound},
		{"a stranger to it", alice, eve, fault.NotFound},
		{"an owner by an administrator", admin, alice, fault.Forbidden},
		{"the last owner goes", alice, alice, fault.Conflict},
		{"a guest goes", guest, guest, ""},
		{"an administrator, a member", admin, carol, ""},
	} {
		wantKind(t, c.what, w.dir.RemoveMember(ctx, c.by, w.ws.ID, c.user), c.want)
	}
	_, n := w.since(0)
	w.must(w.dir.RemoveMember(ctx, alice, w.ws.ID, bob))
	events, _ := w.since(n)
	if len(events) != 2 || events[0].Kind != event.MemberLeft || events[0].ChannelID != secret.ID || events[1].ChannelID != "" || events[1].UserID != bob {
		t.Errorf("when it is answered, the log has %+v", events)
	}
	_, _, err := w.dir.Channel(ctx, bob, secret.ID)
	wantKind(t, "who was removed", err, fault.NotFound)
}

func TestWhoMayManageAChannel(t *testing.T) {
	w := withAdmin(t)
	ctx := t.Context()
	open := w.channel(bob, "open", chat.ChannelPublic)
	closed := w.channel(bob, "closed", chat.ChannelPrivate)
	for _, c := range []chat.Channel{open, closed} {
		w.must(w.dir.AddMembers(ctx, bob, c.ID, []chat.UserID{carol, guest}))
	}
	dm, _, err := w.dir.OpenDirect(ctx, bob, w.ws.ID, []chat.UserID{carol})
	w.must(err)
	for _, c := range []struct {
		what string
		by   chat.UserID
		in   chat.Channel
		user chat.UserID
		role chat.ChannelRole
		want fault.Kind
	}{
		{"a member", carol, open, guest, chat.ChannelManager, fault.Forbidden},
		{"a guest", guest, open, carol, chat.ChannelManager, fault.Forbidden},
		{"a stranger", eve, open, carol, chat.ChannelManager, fault.NotFound},
		{"an owner who does not see it", alice, closed, carol, chat.ChannelManager, fault.NotFound},
		{"an owner who sees it", alice, open, carol, chat.ChannelMember, ""},
		{"to who is not in it", bob, open, alice, chat.ChannelManager, fault.NotFound},
		{"that is none", bob, open, carol, "king", fault.Invalid},
		{"in a direct message", bob, dm, carol, chat.ChannelManager, fault.Forbidden},
		{"its manager", bob, closed, carol, chat.ChannelManager, ""},
		{"the manager after them", carol, closed, bob, chat.ChannelMember, ""},
		{"the one before them", bob, closed, carol, chat.ChannelMember, fault.Forbidden},
		{"the last one stops", carol, closed, carol, chat.ChannelMember, ""},
	} {
		err := w.dir.SetChannelRole(ctx, store.ChannelRoleChange{ChannelID: c.in.ID, By: c.by, UserID: c.user, Role: c.role})
		wantKind(t, c.what, err, c.want)
	}
	roles, err := w.dir.ChannelRoles(ctx, carol, open.ID, []chat.UserID{alice, bob, carol})
	if want := map[chat.UserID]chat.ChannelRole{bob: chat.ChannelManager, carol: chat.ChannelMember}; err != nil || !maps.Equal(roles, want) {
		t.Errorf("the roles are %v, %v", roles, err)
	}
	_, err = w.dir.ChannelRoles(ctx, alice, closed.ID, []chat.UserID{bob})
	wantKind(t, "the roles of a channel that is not theirs", err, fault.NotFound)
	for _, c := range []struct {
		what string
		by   chat.UserID
		in   chat.Channel
		user chat.UserID
		want fault.Kind
	}{
		{"removed by a member", carol, open, guest, fault.Forbidden},
		{"by a stranger", eve, open, guest, fault.NotFound},
		{"by an owner who does not see it", alice, closed, guest, fault.NotFound},
		{"out of a direct message", bob, dm, carol, fault.Forbidden},
		{"by the manager", bob, open, guest, ""},
		{"once more", bob, open, guest, ""},
		{"who is not of the workspace", bob, open, eve, fault.NotFound},
		{"who is not there", bob, open, "nobody", fault.NotFound},
		{"by an administrator", admin, open, carol, ""},
		{"the last manager goes", bob, open, bob, ""},
	} {
		wantKind(t, c.what, w.dir.RemoveFromChannel(ctx, c.by, c.in.ID, c.user), c.want)
	}
	wantKind(t, "administrators remain", w.dir.RemoveFromChannel(ctx, alice, open.ID, carol), "")
}

func TestWhoseAccountIsClosedComesIntoNothing(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	open := w.channel(alice, "open", chat.ChannelPublic)
	before, _, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{bob})
	w.must(err)
	_, err = w.db.SetDeactivated(ctx, store.Deactivation{UserID: bob, By: bob, Deactivated: true, At: time.Now()})
	w.must(err)
	wantKind(t, "into a channel", w.dir.AddMembers(ctx, alice, open.ID, []chat.UserID{carol, bob}), fault.Conflict)
	if members, err := w.dir.ChannelMembers(ctx, store.PeopleQuery{ChannelID: open.ID, Asker: alice, Limit: 10}); err != nil || len(members) != 1 {
		t.Errorf("a refused addition added half of the people: %v, %v", members, err)
	}
	_, _, err = w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{bob, carol})
	wantKind(t, "into a new direct message", err, fault.Conflict)
	if again, created, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{bob}); err != nil || created || again.ID != before.ID {
		t.Errorf("what was said before cannot be read: %+v, %v", again, err)
	}
}

func TestASessionSaysRoughlyHowManyThereAre(t *testing.T) {
	now := time.Now()
	w := newTown(t, func(c *directory.Config) { c.Now = func() time.Time { return now } })
	ctx := t.Context()
	open := w.channel(alice, "open", chat.ChannelPublic)
	w.must(w.dir.AddMembers(ctx, alice, open.ID, []chat.UserID{bob, carol}))
	counts := func(user chat.UserID) (int, map[chat.ChannelID]int) {
		t.Helper()
		reply, err := w.dir.Session(ctx, rpc.SessionRequest{UserID: user, WorkspaceID: w.ws.ID})
		w.must(err)
		in := map[chat.ChannelID]int{}
		for _, tenure := range reply.Tenures {
			in[tenure.ChannelID] = tenure.Members
		}
		return reply.Members, in
	}
	if all, in := counts(bob); all != 4 || in[open.ID] != 3 {
		t.Errorf("there are %d, %v", all, in)
	}
	more := w.channel(bob, "more", chat.ChannelPublic)
	w.must(w.dir.Leave(ctx, carol, open.ID))
	if all, in := counts(bob); all != 4 || in[open.ID] != 3 || in[more.ID] != 1 {
		t.Errorf("within some seconds they are counted again, or who asks is not there: %d, %v", all, in)
	}
	now = now.Add(time.Minute)
	if all, in := counts(bob); all != 4 || in[open.ID] != 2 || in[more.ID] != 1 {
		t.Errorf("later there are %d, %v", all, in)
	}
}
