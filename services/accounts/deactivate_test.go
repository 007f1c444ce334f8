package accounts_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func TestWhoMayCloseAnAccount(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	set := func(by, user chat.UserID, ws chat.WorkspaceID, closed bool) error {
		_, err := w.acc.SetDeactivated(ctx, by, ws, store.Deactivation{UserID: user, Deactivated: closed})
		return err
	}
	for _, c := range []struct {
		what     string
		by, user chat.UserID
		ws       chat.WorkspaceID
		want     fault.Kind
	}{
		{"a member", bob, guest, w.ws.ID, fault.Forbidden},
		{"a member of whom they do not know", bob, "n0b0dy", w.ws.ID, fault.Forbidden},
		{"a stranger", eve, guest, w.ws.ID, fault.NotFound},
		{"of somebody who is not there", alice, eve, w.ws.ID, fault.NotFound},
		{"one's own", alice, alice, w.ws.ID, fault.Forbidden},
		{"of who is above", admin, alice, w.ws.ID, fault.Forbidden},
		{"of who belongs to another workspace as well", alice, bob, w.ws.ID, fault.Forbidden},
		{"an administrator, of a guest", admin, guest, w.ws.ID, ""},
	} {
		wantKind(t, c.what, set(c.by, c.user, c.ws, true), c.want)
	}
	w.must(w.db.AddMembers(ctx, eve, []chat.Member{{WorkspaceID: w.eves.ID, UserID: alice, Role: chat.RoleAdmin}}))
	wantKind(t, "who administers both workspaces", set(alice, bob, w.ws.ID, true), "")
	wantKind(t, "once more", set(alice, bob, w.ws.ID, true), "")
	wantKind(t, "open again", set(alice, bob, w.ws.ID, false), "")
}

func TestAClosedAccountIsInAllLogsAndSignedOut(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	w.must(w.db.AddMembers(ctx, eve, []chat.Member{{WorkspaceID: w.eves.ID, UserID: alice, Role: chat.RoleAdmin}}))
	w.must(w.dir.Settle(ctx, w.eves.ID))
	w.signIn(bob, "s1")
	_, n := w.log.since(0)
	user, err := w.acc.SetDeactivated(ctx, alice, w.ws.ID, store.Deactivation{UserID: bob, Deactivated: true})
	if err != nil || !user.Deactivated {
		t.Fatal(user, err)
	}
	entries, _ := w.log.since(n)
	if len(entries) != 2 {
		t.Fatalf("when it is answered, the logs have %+v", entries)
	}
	for _, e := range entries {
		if e.Kind != event.UserUpdated || e.UserID != bob || e.SenderID != alice {
			t.Errorf("a log has %+v", e)
		}
	}
	if in, err := w.db.SignIn(ctx, "s1"); err != nil || in.RevokedAt.IsZero() || w.bell.rung != 1 {
		t.Errorf("the sign-in is %+v, %v; the bell rang %d times", in, err, w.bell.rung)
	}
	_, err = w.acc.SetDeactivated(ctx, alice, w.ws.ID, store.Deactivation{UserID: bob})
	w.must(err)
	if w.bell.rung != 1 {
		t.Error("opening an account signs nobody out")
	}
}
