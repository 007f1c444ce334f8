package accounts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/store"
)

func TestAnInviteBringsSomebodyIn(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	made := w.invite(store.NewInvite{})
	if len(made.Secret) != 26 || !chat.IsID(made.Secret) || made.URL != "https://chat.example/invites/"+made.Secret {
		t.Errorf("the code is %q, the link %q", made.Secret, made.URL)
	}
	if made.Role != chat.RoleMember || made.MaxUses != 1 || made.ExpiresAt.Sub(made.CreatedAt) != 7*24*time.Hour || made.Sent {
		t.Errorf("the defaults are %+v", made.Invite)
	}
	told, err := w.acc.Invitation(ctx, made.Secret)
	if err != nil || told.Workspace.Name != "Canopy" || told.By.DisplayName != "The a11ce" || told.Invite.Role != chat.RoleMember {
		t.Errorf("who has the code learns %+v, %v", told, err)
	}
	_, n := w.log.since(0)
	user, err := w.acc.AcceptAsNew(ctx, made.Secret, newcomer("ada"))
	if err != nil || user.Login != "ada" {
		t.Fatal(user, err)
	}
	entries, _ := w.log.since(n)
	if len(entries) != 2 || entries[0].Kind != event.MemberJoined || entries[0].ChannelID != "" || entries[1].ChannelID == "" || entries[1].UserID != user.ID {
		t.Errorf("when it is answered, the log has %+v", entries)
	}
	if got := w.joined(user.ID, w.ws.ID); !slices.Equal(got, []string{"general"}) {
		t.Errorf("they are in %v", got)
	}
	_, err = w.acc.Invitation(ctx, made.Secret)
	wantKind(t, "a used invite", err, fault.NotFound)
	hashed := w.hashed.Load()
	_, err = w.acc.AcceptAsNew(ctx, made.Secret, newcomer("late"))
	wantKind(t, "a second one", err, fault.NotFound)
	if w.hashed.Load() != hashed {
		t.Error("a password was hashed for who has no open invite")
	}
	_, err = w.acc.AcceptAs(ctx, made.Secret, eve)
	wantKind(t, "a second one who has an account", err, fault.NotFound)
}

func TestWhoMayInvite(t *testing.T) {
	w := newTown(t, nil)
	secret := w.channel(bob, "secret", chat.ChannelPrivate)
	gone := w.channel(alice, "gone", chat.ChannelPublic)
	yes := true
	_, err := w.dir.UpdateChannel(t.Context(), store.ChannelChange{ChannelID: gone.ID, By: alice, Archived: &yes})
	w.must(err)
	dm, _, err := w.dir.OpenDirect(t.Context(), alice, w.ws.ID, []chat.UserID{bob})
	w.must(err)
	elsewhere, err := w.dir.CreateChannel(t.Context(), eve, chat.Channel{WorkspaceID: w.eves.ID, Name: "eves", Type: chat.ChannelPublic})
	w.must(err)
	in := func(ids ...chat.ChannelID) store.NewInvite { return store.NewInvite{ChannelIDs: ids} }
	for _, c := range []struct {
		what string
		by   chat.UserID
		n    store.NewInvite
		want fault.Kind
	}{
		{"an owner, anybody", alice, store.NewInvite{Role: chat.RoleAdmin}, ""},
		{"an administrator", admin, store.NewInvite{Role: chat.RoleAdmin}, ""},
		{"nobody invites an owner", alice, store.NewInvite{Role: chat.RoleOwner}, fault.Forbidden},
		{"a member", bob, store.NewInvite{}, fault.Forbidden},
		{"a guest", guest, store.NewInvite{Role: chat.RoleGuest}, fault.Forbidden},
		{"a stranger", eve, store.NewInvite{}, fault.NotFound},
		{"as nothing", alice, store.NewInvite{Role: "root"}, fault.Invalid},
		{"for too long", alice, store.NewInvite{Life: chat.MaxInviteLife + 1}, fault.Invalid},
		{"for as long as may be", alice, store.NewInvite{Life: chat.MaxInviteLife, MaxUses: chat.MaxInviteUses}, ""},
		{"for less than nothing", alice, store.NewInvite{Life: -1}, fault.Invalid},
		{"too many", alice, store.NewInvite{MaxUses: chat.MaxInviteUses + 1}, fault.Invalid},
		{"fewer than none", alice, store.NewInvite{MaxUses: -1}, fault.Invalid},
		{"no address", alice, store.NewInvite{Address: "nobody"}, fault.Invalid},
		{"a name with the address", alice, store.NewInvite{Address: "Ada <ada@example.com>"}, fault.Invalid},
		{"two lines", alice, store.NewInvite{Address: "ada@example.com\r\nBcc: all@example.com"}, fault.Invalid},
		{"a long address", alice, store.NewInvite{Address: strings.Repeat("a", 251) + "@b.c"}, fault.Invalid},
		{"into a channel that they do not see", alice, in(secret.ID), fault.NotFound},
		{"into one of another workspace", alice, in(elsewhere.ID), fault.NotFound},
		{"into a direct message", alice, in(dm.ID), fault.NotFound},
		{"into none", alice, in("n0where"), fault.NotFound},
		{"into an archived one", alice, in(gone.ID), fault.Conflict},
		{"into too many", alice, in(make([]chat.ChannelID, accounts.MaxInviteChannels+1)...), fault.Invalid},
	} {
		c.n.WorkspaceID, c.n.By = w.ws.ID, c.by
		_, err := w.acc.CreateInvite(t.Context(), c.n)
		wantKind(t, c.what, err, c.want)
	}
}

func TestAGuestGetsTheChannelsThatAreNamed(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	plans := w.channel(alice, "plans", chat.ChannelPrivate)
	for i, c := range []struct {
		n    store.NewInvite
		want []string
	}{
		{store.NewInvite{Role: chat.RoleGuest}, nil},
		{store.NewInvite{Role: chat.RoleGuest, ChannelIDs: []chat.ChannelID{plans.ID, plans.ID}}, []string{"plans"}},
		{store.NewInvite{Role: chat.RoleAdmin, ChannelIDs: []chat.ChannelID{plans.ID}}, []string{"plans"}},
		{store.NewInvite{Role: chat.RoleAdmin}, []string{"general"}},
	} {
		user, err := w.acc.AcceptAsNew(ctx, w.invite(c.n).Secret, newcomer(fmt.Sprint("n", i)))
		w.must(err)
		if got := w.joined(user.ID, w.ws.ID); !slices.Equal(got, c.want) {
			t.Errorf("%+v is in %v", c.n, got)
		}
		if m, err := w.dir.Workspace(ctx, user.ID, w.ws.ID); err != nil || m.Role != c.n.Role {
			t.Errorf("they are %+v, %v", m, err)
		}
	}
}

func TestAWorkspaceWithoutGeneralInvitesAllTheSame(t *testing.T) {
	w := newTown(t, nil)
	all, err := w.dir.ListChannels(t.Context(), store.ChannelQuery{WorkspaceID: w.ws.ID, UserID: alice, Limit: 10})
	w.must(err)
	yes := true
	_, err = w.dir.UpdateChannel(t.Context(), store.ChannelChange{ChannelID: all[0].ID, By: alice, Archived: &yes})
	w.must(err)
	user, err := w.acc.AcceptAsNew(t.Context(), w.invite(store.NewInvite{}).Secret, newcomer("ada"))
	w.must(err)
	if got := w.joined(user.ID, w.ws.ID); len(got) != 0 {
		t.Errorf("they are in %v", got)
	}
}

func TestAnInviteEnds(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	lapsed := w.invite(store.NewInvite{Life: time.Hour})
	revoked, kept := w.invite(store.NewInvite{}), w.invite(store.NewInvite{})
	wantKind(t, "a member revokes", w.acc.RevokeInvite(ctx, bob, w.ws.ID, revoked.ID), fault.Forbidden)
	wantKind(t, "a stranger revokes", w.acc.RevokeInvite(ctx, eve, w.ws.ID, revoked.ID), fault.NotFound)
	wantKind(t, "in another workspace", w.acc.RevokeInvite(ctx, eve, w.eves.ID, revoked.ID), fault.NotFound)
	for range 2 {
		w.must(w.acc.RevokeInvite(ctx, admin, w.ws.ID, revoked.ID))
	}
	w.now = w.now.Add(2 * time.Hour)
	for what, code := range map[string]string{
		"revoked": revoked.Secret, "lapsed": lapsed.Secret, "no code": "", "short": "abc", "upper case": strings.ToUpper(kept.Secret),
		"made up": "0123456789abcdefghjkmnpqrs", "its id": string(kept.ID),
	} {
		_, err := w.acc.Invitation(ctx, code)
		wantKind(t, what, err, fault.NotFound)
		_, err = w.acc.AcceptAsNew(ctx, code, newcomer("ada"))
		wantKind(t, what+", accepted", err, fault.NotFound)
		_, err = w.acc.AcceptAs(ctx, code, eve)
		wantKind(t, what+", accepted with an account", err, fault.NotFound)
	}
	q := store.InviteQuery{WorkspaceID: w.ws.ID, Limit: 10}
	open, err := w.acc.Invites(ctx, admin, q)
	if err != nil || len(open) != 1 || open[0].ID != kept.ID {
		t.Errorf("open are %+v, %v", open, err)
	}
	for by, want := range map[chat.UserID]fault.Kind{bob: fault.Forbidden, guest: fault.Forbidden, eve: fault.NotFound} {
		_, err := w.acc.Invites(ctx, by, q)
		wantKind(t, "a list for "+string(by), err, want)
	}
}

func TestWhoHasAnAccountAcceptsWithIt(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	made := w.invite(store.NewInvite{Role: chat.RoleAdmin, MaxUses: 3})
	m, err := w.acc.AcceptAs(ctx, made.Secret, guest)
	if err != nil || m.Role != chat.RoleGuest {
		t.Errorf("who is in already became %+v, %v", m, err)
	}
	m, err = w.acc.AcceptAs(ctx, made.Secret, eve)
	if err != nil || m.Role != chat.RoleAdmin || m.Workspace.ID != w.ws.ID {
		t.Fatal(m, err)
	}
	if got := w.joined(eve, w.ws.ID); !slices.Equal(got, []string{"general"}) {
		t.Errorf("she is in %v", got)
	}
	w.must(w.acc.RevokeInvite(ctx, alice, w.ws.ID, made.ID))
	if again, err := w.acc.AcceptAs(ctx, made.Secret, eve); err != nil || again.Role != chat.RoleAdmin {
		t.Errorf("asked again after a lost answer: %+v, %v", again, err)
	}
	_, err = w.db.SetDeactivated(ctx, store.Deactivation{UserID: bob, By: bob, Deactivated: true, At: w.now})
	w.must(err)
	_, err = w.acc.AcceptAs(ctx, w.invite(store.NewInvite{}).Secret, bob)
	wantKind(t, "a closed account", err, fault.Unauthenticated)
	_, err = w.acc.AcceptAs(ctx, w.invite(store.NewInvite{}).Secret, "n0b0dy")
	wantKind(t, "no account", err, fault.Unauthenticated)
}

func TestANewAccountIsCheckedAndItsLoginIsFree(t *testing.T) {
	w := newTown(t, nil)
	code := w.invite(store.NewInvite{}).Secret
	for what, c := range map[string]struct {
		who  store.Newcomer
		want fault.Kind
	}{
		"a bad login":        {store.Newcomer{Login: "Ada", Password: "correct horse"}, fault.Invalid},
		"a bad name":         {store.Newcomer{Login: "ada", DisplayName: " x", Password: "correct horse"}, fault.Invalid},
		"a short word":       {store.Newcomer{Login: "ada", Password: "short"}, fault.Invalid},
		"a login of another": {newcomer(string(bob)), fault.Conflict},
	} {
		_, err := w.acc.AcceptAsNew(t.Context(), code, c.who)
		wantKind(t, what, err, c.want)
	}
	if _, err := w.acc.AcceptAsNew(t.Context(), code, newcomer("ada")); err != nil {
		t.Errorf("what was refused used the invite: %v", err)
	}
}

func TestAnInviteBringsInAsManyAsItSays(t *testing.T) {
	w := newTown(t, nil)
	code := w.invite(store.NewInvite{MaxUses: 2}).Secret
	var all sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		all.Go(func() { _, errs[i] = w.acc.AcceptAsNew(t.Context(), code, newcomer(fmt.Sprint("crowd", i))) })
	}
	all.Wait()
	came := 0
	for _, err := range errs {
		if err == nil {
			came++
		} else {
			wantKind(t, "one too many", err, fault.NotFound)
		}
	}
	if came != 2 {
		t.Errorf("%d came in", came)
	}
}

func TestOpenInvitesAreBounded(t *testing.T) {
	w := newTown(t, nil)
	for range chat.MaxInvites {
		w.invite(store.NewInvite{})
	}
	_, err := w.acc.CreateInvite(t.Context(), store.NewInvite{WorkspaceID: w.ws.ID, By: alice})
	wantKind(t, "one too many", err, fault.Forbidden)
	w.now = w.now.Add(8 * 24 * time.Hour)
	w.invite(store.NewInvite{})
}

func TestNothingNeedsAMailServer(t *testing.T) {
	w := newTown(t, nil)
	sent := w.invite(store.NewInvite{Address: "ada@example.com"})
	want := store.InviteMail{To: "ada@example.com", Workspace: "Canopy", InvitedBy: "The a11ce", URL: sent.URL, Code: sent.Secret, ExpiresAt: sent.ExpiresAt}
	if !sent.Sent || len(w.mail.sent) != 1 || w.mail.sent[0] != want {
		t.Errorf("sent %+v", w.mail.sent)
	}
	w.invite(store.NewInvite{})
	if len(w.mail.sent) != 1 {
		t.Error("an invite for anybody was sent to somebody")
	}
	w.mail.err = errors.New("the mail server is down")
	if made := w.invite(store.NewInvite{Address: "ada@example.com"}); made.Sent || made.Secret == "" {
		t.Errorf("while no mail goes out: %+v", made)
	}
	without := newTown(t, func(c *accounts.Config) { c.Mailer, c.PublicURL = nil, "" })
	made := without.invite(store.NewInvite{Address: "ada@example.com"})
	if made.Sent || made.URL != "" || made.Address != "ada@example.com" {
		t.Errorf("without a mail server: %+v", made)
	}
	if _, err := without.acc.AcceptAsNew(t.Context(), made.Secret, newcomer("ada")); err != nil {
		t.Error(err)
	}
}
