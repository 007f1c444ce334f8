package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/throttle"
)

// FuzzSecrets says that nothing but the very text that was given out is taken, and that what is refused changes nothing.
func FuzzSecrets(f *testing.F) {
	db := newMemory(store.NewUser{User: chat.User{ID: alice, Login: "alice"}})
	signer, err := auth.OpenSigner(context.Background(), auth.SignerConfig{Keyring: &ring{}})
	if err != nil {
		f.Fatal(err)
	}
	s := auth.New(auth.Config{Accounts: db, SignIns: db, Tickets: db, Passwords: auth.NewPasswords(1), Signer: signer, Announcer: &hub{},
		Throttle: throttle.New(throttle.Config{})})
	in, err := s.Begin(context.Background(), chat.User{ID: alice, Login: "alice"}, home)
	if err != nil {
		f.Fatal(err)
	}
	ticket, _, err := s.Ticket(context.Background(), in.Issued.Claims)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{in.Refresh, ticket, in.Refresh[:69] + "\n", in.Refresh + "=", string(in.SignIn.ID) + ".", ".", "", ticket[:25]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == in.Refresh || raw == ticket {
			return
		}
		if _, err := s.Refresh(t.Context(), raw, home); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Refresh(%q): %v", raw, err)
		}
		if _, err := s.Redeem(t.Context(), rpc.TicketRequest{Ticket: raw}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Redeem(%q): %v", raw, err)
		}
		if list, err := s.List(t.Context(), alice); err != nil || len(list) != 1 || list[0] != in.SignIn {
			t.Errorf("after %q: %+v, %v", raw, list, err)
		}
	})
}

// TestSignInsOnARealStore is the life of one against what keeps it in production.
func TestSignInsOnARealStore(t *testing.T) {
	ctx, db := t.Context(), directory(t)
	err := db.CreateUsers(ctx, []store.NewUser{{User: chat.User{ID: alice, Login: "alice", DisplayName: "Alice"}, PasswordHash: cheapHash("correct horse")}})
	if err != nil {
		t.Fatal(err)
	}
	d := newDoor(t, func(c *auth.Config) { c.Accounts, c.SignIns, c.Tickets = db, db, db })
	d.run()
	in, other := d.enter("alice", "correct horse"), d.enter("alice", "correct horse")
	next := d.refresh(in.Refresh)
	d.refresh(in.Refresh) // its answer was lost
	ticket, _, err := d.Ticket(ctx, next.Issued.Claims)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Redeem(ctx, rpc.TicketRequest{Ticket: ticket}); err != nil || got.UserID != alice || got.SignInID != in.SignIn.ID {
		t.Errorf("Redeem = %+v, %v", got, err)
	}
	if _, err := d.Redeem(ctx, rpc.TicketRequest{Ticket: ticket}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("twice: %v", err)
	}
	list, err := d.List(ctx, alice)
	if err != nil || len(list) != 2 || list[0].ID != in.SignIn.ID || list[1] != other.SignIn {
		t.Errorf("List = %+v, %v; want %+v last", list, err, other.SignIn)
	}
	start := time.Now()
	if err := d.ChangePassword(ctx, other.Issued.Claims, "correct horse", "another horse"); err != nil {
		t.Fatal(err)
	}
	if got := d.hub.heard(); len(got) != 1 || got[0] != in.SignIn.ID || d.works(next) || !d.works(other) {
		t.Errorf("announced %v after %v", got, time.Since(start))
	}
	d.mustBeRefused("a sign-in that ended", next.Refresh)
	if err := d.Revoke(ctx, alice, other.SignIn.ID); err != nil || d.works(other) {
		t.Errorf("Revoke: %v", err)
	}
	if err := d.Revoke(ctx, alice, token.SignInID("n0ne")); !fault.Is(err, fault.NotFound) {
		t.Errorf("Revoke of none: %v", err)
	}
	if got := d.hub.heard(); len(got) != 2 {
		t.Errorf("announced %v", got)
	}
}
