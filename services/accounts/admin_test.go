package accounts_test

import (
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// signIn signs somebody in.
func (w *town) signIn(user chat.UserID, id token.SignInID) {
	w.t.Helper()
	w.must(w.db.AddSignIn(w.t.Context(), store.SignIn{
		ID: id, UserID: user, Device: "phone", CreatedAt: w.now, UsedAt: w.now, ExpiresAt: w.now.Add(time.Hour),
	}, store.Secret{byte(len(id)), id[len(id)-1]}))
}

func TestListsComeInPages(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	var logins []string
	for req := (rpc.UsersRequest{Limit: 2}); ; {
		page, err := w.admin.Users(ctx, req)
		w.must(err)
		for _, u := range page.Users {
			logins = append(logins, u.Login)
		}
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	if want := []string{"9ue57", "a11ce", "ad317", "b0b", "e7e"}; !slices.Equal(logins, want) {
		t.Errorf("the accounts are %v", logins)
	}
	all, err := w.admin.Workspaces(ctx, rpc.WorkspacesRequest{})
	if err != nil || len(all.Workspaces) != 2 || all.Next != "" || all.Workspaces[0].Epoch != 1 {
		t.Errorf("the workspaces are %+v, %v", all, err)
	}
	shown, err := w.admin.Workspace(ctx, rpc.WorkspaceRequest{WorkspaceID: w.ws.ID, Limit: 3})
	if err != nil || len(shown.Members) != 3 || shown.Next != admin || shown.Members[1].DisplayName != "The a11ce" || shown.Members[1].Role != chat.RoleOwner {
		t.Errorf("the workspace is %+v, %v", shown, err)
	}
	_, err = w.admin.Users(ctx, rpc.UsersRequest{Limit: chat.MaxPageSize + 1})
	wantKind(t, "a page that is too long", err, fault.Invalid)
}

func TestAnOperatorLooksAfterAccounts(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	made, err := w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserAdd, Login: "ada", DisplayName: "Ada", Password: "correct horse"})
	if err != nil || made.Login != "ada" || made.DisplayName != "Ada" {
		t.Fatal(made, err)
	}
	_, err = w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserAdd, Login: "ada", Password: "correct horse"})
	wantKind(t, "a login that is taken", err, fault.Conflict)
	bot, err := w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserAdd, Login: "bot"})
	if _, hash, got := w.db.Credentials(ctx, "bot"); err != nil || got != nil || hash != "" || bot.DisplayName != "bot" {
		t.Errorf("an account without a password is %+v with %q, %v, %v", bot, hash, err, got)
	}
	w.signIn(made.UserID, "s1")
	w.signIn(made.UserID, "s2")
	shown, err := w.admin.User(ctx, rpc.UserRequest{UserID: made.UserID})
	if err != nil || len(shown.SignIns) != 2 || shown.SignIns[0].Device != "phone" {
		t.Errorf("it is %+v, %v", shown, err)
	}
	w.signIn(bob, "s3")
	_, err = w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserRevoke, Login: "ada", SignInID: "s3"})
	wantKind(t, "another's sign-in", err, fault.NotFound)
	for _, want := range []int{1, 0} { // the second time it has ended
		shown, err = w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserRevoke, Login: "ada", SignInID: "s1"})
		if err != nil || shown.Revoked != want || len(shown.SignIns) != 1 {
			t.Errorf("after one was ended it is %+v, %v", shown, err)
		}
	}
	rung := w.bell.rung
	shown, err = w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserPassword, Login: "ada", Password: "another horse"})
	if _, hash, got := w.db.Credentials(ctx, "ada"); err != nil || got != nil || hash != "hash of another horse" || shown.Revoked != 1 || w.bell.rung != rung+1 {
		t.Errorf("after another password it is %+v with %q, %v, %v", shown, hash, err, got)
	}
	for what, c := range map[string]struct {
		req  rpc.UserRequest
		want fault.Kind
	}{
		"nobody":         {rpc.UserRequest{}, fault.Invalid},
		"two":            {rpc.UserRequest{UserID: bob, Login: "ada"}, fault.Invalid},
		"an unknown one": {rpc.UserRequest{Login: "nope"}, fault.NotFound},
		"no action":      {rpc.UserRequest{Login: "ada", Do: "explode"}, fault.Invalid},
		"no password":    {rpc.UserRequest{Login: "ada", Do: rpc.UserPassword}, fault.Invalid},
		"a bad login":    {rpc.UserRequest{Login: "A B", Do: rpc.UserAdd}, fault.Invalid},
		"a bad password": {rpc.UserRequest{Login: "new", Do: rpc.UserAdd, Password: "short"}, fault.Invalid},
	} {
		_, err := w.admin.User(ctx, c.req)
		wantKind(t, what, err, c.want)
	}
}

func TestAnOperatorClosesAccounts(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	w.signIn(bob, "s1")
	_, n := w.log.since(0)
	closed, err := w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserDeactivate, Login: string(bob)})
	if err != nil || !closed.Deactivated || closed.Revoked != 1 || w.bell.rung != 1 {
		t.Errorf("it is %+v, %v", closed, err)
	}
	entries, _ := w.log.since(n)
	if len(entries) != 2 || entries[0].Kind != event.UserUpdated || entries[0].SenderID != bob {
		t.Errorf("the logs tell %+v: an account's change is its own", entries)
	}
	_, err = w.admin.Token(ctx, rpc.TokenRequest{Login: string(bob)})
	wantKind(t, "a token for a closed account", err, fault.Conflict)
	_, err = w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserDeactivate, UserID: alice})
	wantKind(t, "the only owner", err, fault.Conflict)
	open, err := w.admin.User(ctx, rpc.UserRequest{Do: rpc.UserActivate, UserID: bob})
	if err != nil || open.Deactivated {
		t.Errorf("it is %+v, %v", open, err)
	}
}

func TestAnOperatorLooksAfterWorkspaces(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	made, err := w.admin.Workspace(ctx, rpc.WorkspaceRequest{Do: rpc.WorkspaceAdd, Name: "Acme", Login: string(bob)})
	if err != nil || made.Name != "Acme" || len(made.Members) != 1 || made.Members[0].Role != chat.RoleOwner {
		t.Fatal(made, err)
	}
	if got := w.joined(bob, made.WorkspaceID); !slices.Equal(got, []string{"general"}) {
		t.Errorf("the owner is in %v", got)
	}
	_, n := w.log.since(0)
	renamed, err := w.admin.Workspace(ctx, rpc.WorkspaceRequest{Do: rpc.WorkspaceRename, WorkspaceID: made.WorkspaceID, Name: "Acme & Co"})
	if entries, _ := w.log.since(n); err != nil || renamed.Name != "Acme & Co" || len(entries) != 1 || entries[0].Kind != event.WorkspaceUpdated || entries[0].SenderID != bob {
		t.Errorf("it is %+v, %v; the log tells %+v", renamed, err, entries)
	}
	member := func(do rpc.MemberAction, login string, role chat.Role) (rpc.MemberReply, error) {
		return w.admin.Member(ctx, rpc.MemberRequest{Do: do, WorkspaceID: made.WorkspaceID, Login: login, Role: role})
	}
	for range 2 {
		added, err := member(rpc.MemberAdd, string(eve), "")
		if err != nil || added.Role != chat.RoleMember {
			t.Errorf("she is %+v, %v", added, err)
		}
	}
	if got := w.joined(eve, made.WorkspaceID); !slices.Equal(got, []string{"general"}) {
		t.Errorf("she is in %v", got)
	}
	if added, err := member(rpc.MemberAdd, string(guest), chat.RoleGuest); err != nil || added.Role != chat.RoleGuest || len(w.joined(guest, made.WorkspaceID)) != 0 {
		t.Errorf("a guest is %+v, %v", added, err)
	}
	if raised, err := member(rpc.MemberRole, string(eve), chat.RoleOwner); err != nil || raised.Role != chat.RoleOwner {
		t.Errorf("she is %+v, %v", raised, err)
	}
	for range 2 { // the second time she has gone
		if gone, err := member(rpc.MemberRemove, string(eve), ""); err != nil || gone.Role != "" {
			t.Errorf("she is %+v, %v", gone, err)
		}
	}
	_, err = member(rpc.MemberRemove, string(bob), "")
	wantKind(t, "removing the last owner", err, fault.Conflict)
	_, err = member(rpc.MemberRole, string(bob), chat.RoleMember)
	wantKind(t, "the last owner as a member", err, fault.Conflict)
	_, err = member(rpc.MemberRole, string(alice), chat.RoleMember)
	wantKind(t, "a role for who is not in it", err, fault.NotFound)
	_, err = member(rpc.MemberAdd, string(alice), "root")
	wantKind(t, "no role", err, fault.Invalid)
	_, err = member("dance", string(alice), chat.RoleMember)
	wantKind(t, "no action", err, fault.Invalid)
	_, err = w.admin.Workspace(ctx, rpc.WorkspaceRequest{WorkspaceID: "n0where"})
	wantKind(t, "no workspace", err, fault.NotFound)
	_, err = w.admin.Workspace(ctx, rpc.WorkspaceRequest{Do: rpc.WorkspaceRename, WorkspaceID: made.WorkspaceID, Name: " "})
	wantKind(t, "a bad name", err, fault.Invalid)
	_, err = w.admin.Workspace(ctx, rpc.WorkspaceRequest{Do: "burn", WorkspaceID: made.WorkspaceID})
	wantKind(t, "no action on a workspace", err, fault.Invalid)
}

func TestAnOperatorInvitesInTheNameOfAnOwner(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	made, err := w.admin.Invite(ctx, rpc.InviteRequest{WorkspaceID: w.ws.ID, Role: chat.RoleAdmin, ExpiresIn: 3600, MaxUses: 2})
	if err != nil || made.Role != chat.RoleAdmin || made.MaxUses != 2 || !made.ExpiresAt.Equal(w.now.Add(time.Hour)) {
		t.Fatal(made, err)
	}
	if told, err := w.acc.Invitation(ctx, made.Code); err != nil || told.By.ID != alice {
		t.Errorf("it says %+v, %v", told, err)
	}
	for _, seconds := range []int64{-1, 1 << 62} {
		_, err = w.admin.Invite(ctx, rpc.InviteRequest{WorkspaceID: w.ws.ID, ExpiresIn: seconds})
		wantKind(t, "a life that is none", err, fault.Invalid)
	}
	_, err = w.admin.Invite(ctx, rpc.InviteRequest{WorkspaceID: "n0where"})
	wantKind(t, "no workspace", err, fault.NotFound)
}

func TestTokensAndKeys(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	got, err := w.admin.Token(ctx, rpc.TokenRequest{Login: string(bob)})
	if err != nil || got.Token != "token of "+string(bob) || got.UserID != bob {
		t.Errorf("the token is %+v, %v", got, err)
	}
	_, err = w.admin.Token(ctx, rpc.TokenRequest{Login: "nope"})
	wantKind(t, "a token for nobody", err, fault.NotFound)
	w.must(w.db.AddKey(ctx, store.SigningKey{ID: "1", Seed: make([]byte, 32), CreatedAt: w.now}))
	for i, rotate := range []bool{false, true} {
		keys, err := w.admin.Keys(ctx, rpc.SigningKeysRequest{Rotate: rotate})
		if err != nil || len(keys.Keys) != 1 || keys.Keys[0].ID != "1" || w.keys.rotated != i {
			t.Errorf("the keys are %+v, %v, rotated %d times", keys, err, w.keys.rotated)
		}
	}
}
