package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
)

func TestWhoMayComeIn(t *testing.T) {
	ctx, d := t.Context(), newDoor(t)
	d.db.users["ca7"] = &account{chat.User{ID: "ca7", Login: "cat", Deactivated: true}, cheapHash("correct horse")}
	d.db.users["d06"] = &account{chat.User{ID: "d06", Login: "dog"}, ""}

	in := d.enter("alice", "correct horse")
	if in.User.ID != alice || in.Issued.UserID != alice || in.Issued.SignInID != in.SignIn.ID || in.Issued.Lifetime() != auth.DefaultLifetime {
		t.Fatalf("Login = %+v", in)
	}
	if !d.works(in) {
		t.Error("her token is refused")
	}
	var text string
	for _, try := range [][2]string{
		{"alice", "wrong horse"}, {"alice", ""}, {"nobody", "correct horse"}, {"", ""}, {"dog", ""}, {"dog", "correct horse"},
		{"cat", "correct horse"}, {"Alice", "correct horse"}, {"alice' OR 1=1 --", "x"}, {"alice\x00", "correct horse"},
	} {
		in, err := d.Login(ctx, try[0], try[1], home)
		if !fault.Is(err, fault.Unauthenticated) || in.Issued.Token != "" || in.Refresh != "" {
			t.Errorf("Login(%q) = %v", try, err)
			continue
		}
		if text == "" {
			text = err.Error()
		}
		if err.Error() != text {
			t.Errorf("Login(%q) is told apart: %v", try, err)
		}
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	for range 20 { // which does not count as a wrong password
		_, err := d.Login(gone, "bob", "battery staple", home)
		if err == nil || fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.RateLimited) {
			t.Errorf("a client that went away: %v", err)
		}
	}
	d.db.failing = errors.New("disk I/O error")
	if _, err := d.Login(ctx, "alice", "x", home); !fault.Is(err, fault.Internal) {
		t.Errorf("a database that fails: %v", err)
	}
	if got := d.Counts(); got.SignedIn != 1 || got.WrongPasswords != 10 {
		t.Errorf("counted %+v", got)
	}
}

func TestASignInIsListedUntilItLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		first := d.enter("alice", "correct horse")
		time.Sleep(time.Hour)
		second, err := d.Begin(t.Context(), first.User, store.Device{Name: "phone", Address: "2001:db8::1"})
		if err != nil {
			t.Fatal(err)
		}
		list, err := d.List(t.Context(), alice)
		if err != nil || len(list) != 2 || list[0] != second.SignIn || list[1] != first.SignIn {
			t.Fatalf("List = %+v, %v", list, err)
		}
		if list[1].Device != "laptop" || list[1].Address != "192.0.2.1" || !list[1].ExpiresAt.Equal(list[1].CreatedAt.Add(auth.DefaultRefreshLife)) {
			t.Errorf("it is %+v", list[1])
		}
		time.Sleep(auth.DefaultRefreshLife - time.Hour)
		if list, err := d.List(t.Context(), alice); err != nil || len(list) != 1 || list[0].ID != second.SignIn.ID {
			t.Errorf("after 30 days: %+v, %v", list, err)
		}
		d.mustBeRefused("a sign-in that has lapsed", first.Refresh)
		if list, err := d.List(t.Context(), bob); err != nil || len(list) != 0 {
			t.Errorf("Bob's are %+v, %v", list, err)
		}
	})
}

func TestRefreshingGoesOnForAsLongAsOneComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		in := d.enter("alice", "correct horse")
		for range 10 {
			time.Sleep(29 * 24 * time.Hour)
			if d.works(in) {
				t.Fatal("an access token lasts for weeks")
			}
			before := in
			in = d.refresh(in.Refresh)
			if in.SignIn.ID != before.SignIn.ID || in.User.ID != alice || in.Refresh == before.Refresh || !d.works(in) {
				t.Fatalf("it became %+v", in)
			}
			if want := time.Now().Add(auth.DefaultRefreshLife); !in.SignIn.ExpiresAt.Equal(want) {
				t.Fatalf("it lasts until %v, want %v", in.SignIn.ExpiresAt, want)
			}
		}
	})
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		in := d.enter("alice", "correct horse")
		d.refresh(in.Refresh) // and the answer does not arrive
		time.Sleep(chat.RefreshGrace)
		again := d.refresh(in.Refresh)
		if !d.works(again) {
			t.Error("the second answer is of no use")
		}
		d.refresh(again.Refresh)
	})
}

func TestARefreshTokenThatTwoHaveEndsTheSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		in := d.enter("alice", "correct horse")
		other := d.enter("alice", "correct horse")
		owner := d.refresh(in.Refresh)
		time.Sleep(chat.RefreshGrace + time.Second)
		d.mustBeRefused("the thief", in.Refresh)
		d.mustBeRefused("the owner, who shall sign in again", owner.Refresh)
		synctest.Wait()
		if d.works(owner) || !slices.Equal(d.hub.heard(), []token.SignInID{in.SignIn.ID}) {
			t.Errorf("it is not announced: %v", d.hub.heard())
		}
		if !d.works(other) {
			t.Error("another device of hers is signed out")
		}
		d.refresh(other.Refresh)
	})
}

func TestWhatIsNoRefreshToken(t *testing.T) {
	d := newDoor(t)
	in := d.enter("alice", "correct horse")
	id, secret, _ := strings.Cut(in.Refresh, ".")
	for what, s := range map[string]string{
		"nothing": "", "no secret": id, "an empty secret": id + ".", "no id": "." + secret, "a dot": ".",
		"another secret": id + "." + strings.Repeat("A", len(secret)), "another id": "s1." + secret,
		"one more": in.Refresh + "A", "one less": in.Refresh[:len(in.Refresh)-1], "a line break": in.Refresh[:len(in.Refresh)-1] + "\n",
		"three parts": in.Refresh + "." + secret, "a wildcard": "*." + secret, "an access token": in.Issued.Token,
		"long": strings.Repeat(in.Refresh, 10_000), "not text": "\xff\x00." + secret,
	} {
		d.mustBeRefused(what, s)
	}
	d.db.users[alice].Deactivated = true
	d.mustBeRefused("of an account that was closed", in.Refresh)
	d.db.users[alice].Deactivated = false
	d.refresh(in.Refresh)
	if got := d.Counts(); got.RefusedRefreshes != 16 || got.Refreshed != 1 {
		t.Errorf("counted %+v", got)
	}
	d.db.failing = errors.New("disk I/O error")
	if _, err := d.Refresh(t.Context(), in.Refresh, home); !fault.Is(err, fault.Internal) {
		t.Errorf("a database that fails: %v", err)
	}
}

func TestSecretsAreKeptAsHashes(t *testing.T) {
	d := newDoor(t)
	in := d.enter("alice", "correct horse")
	ticket, _, err := d.Ticket(t.Context(), in.Issued.Claims)
	if err != nil {
		t.Fatal(err)
	}
	kept := fmt.Sprintf("%+v %+v %s", d.db.signIns[in.SignIn.ID], d.db.tickets, d.db.signIns[in.SignIn.ID].newest)
	_, secret, _ := strings.Cut(in.Refresh, ".")
	if len(secret) != 43 || len(ticket) != 26 || strings.Contains(kept, secret) || strings.Contains(kept, ticket) {
		t.Errorf("%d and %d characters, in %s", len(secret), len(ticket), kept)
	}
}

func TestATicketOpensOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		in := d.enter("alice", "correct horse")
		ticket := func() string {
			s, life, err := d.Ticket(t.Context(), in.Issued.Claims)
			if err != nil || life != chat.TicketLife || !chat.IsID(s) {
				t.Fatalf("Ticket = %q, %v, %v", s, life, err)
			}
			return s
		}
		redeem := func(s string) (rpc.TicketReply, error) { return d.Redeem(t.Context(), rpc.TicketRequest{Ticket: s}) }
		others := in.Issued.Claims
		others.UserID = bob
		if _, _, err := d.Ticket(t.Context(), others); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("a ticket for another's sign-in: %v", err)
		}
		one := ticket()
		got, err := redeem(one)
		if err != nil || got != (rpc.TicketReply{UserID: alice, SignInID: in.SignIn.ID, ExpiresAt: in.SignIn.ExpiresAt}) {
			t.Fatalf("Redeem = %+v, %v", got, err)
		}
		late, lost := ticket(), ticket()
		if _, err := redeem(late); err != nil {
			t.Error(err)
		}
		time.Sleep(chat.TicketLife)
		bad := []string{one, late, lost, "", "A", strings.ToUpper(lost), lost + "0", lost[:25], strings.Repeat("0", 26), "\x00"}
		of := ticket()
		if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil {
			t.Fatal(err)
		}
		for _, s := range append(bad, of) {
			if _, err := redeem(s); !fault.Is(err, fault.Unauthenticated) || fault.Public(err).Message != "the ticket is not valid, or no longer" {
				t.Errorf("Redeem(%.30q): %v", s, err)
			}
		}
		imported := in.Issued.Claims
		imported.SignInID = "kept0nowhere"
		for _, c := range []token.Claims{in.Issued.Claims, imported} {
			if _, _, err := d.Ticket(t.Context(), c); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("a ticket for %+v: %v", c, err)
			}
		}
	})
}

func TestGuessingIsSlowedDownAndCostsNoHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		for _, login := range []string{"alice", "nobody", "No Login"} { // which are not told apart
			for i, want := range []time.Duration{0, 0, 0, 0, 0, 1, 0, 2, 0, 4} {
				start := time.Now()
				_, err := d.Login(t.Context(), login, "guess", store.Device{Address: "198.51.100.7"})
				if want == 0 && !fault.Is(err, fault.Unauthenticated) {
					t.Fatalf("%s, try %d: %v", login, i, err)
				}
				if got := fault.Public(err); want != 0 && (got.Kind != fault.RateLimited || got.RetryAfter != want*time.Second) {
					t.Fatalf("%s, try %d: %v after %v", login, i, got, got.RetryAfter)
				}
				if time.Since(start) != 0 {
					t.Fatal("a refusal waits")
				}
				time.Sleep(want * time.Second)
			}
		}
		if got := d.Counts(); got.Throttled != 9 || got.WrongPasswords != 21 {
			t.Errorf("counted %+v", got)
		}
		if _, err := d.Login(t.Context(), "alice", "correct horse", home); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	})
}

func TestTheRightPasswordIsNotLookedAtDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		for range 5 {
			if _, err := d.Login(t.Context(), "alice", "guess", home); !fault.Is(err, fault.Unauthenticated) {
				t.Fatal(err)
			}
		}
		if _, err := d.Login(t.Context(), "alice", "correct horse", home); !fault.Is(err, fault.RateLimited) {
			t.Errorf("during the pause: %v", err)
		}
		time.Sleep(time.Second)
		d.enter("alice", "correct horse")
		for range 4 { // forgotten: there are five free ones again
			if _, err := d.Login(t.Context(), "alice", "guess", home); !fault.Is(err, fault.Unauthenticated) {
				t.Error(err)
			}
		}
		d.enter("alice", "correct horse")
	})
}

func TestAPasswordThatWasChangedMeanwhileLetsNobodyIn(t *testing.T) {
	for what, meanwhile := range map[string]func(*memory){
		"changed": func(m *memory) { m.users[alice].hash = cheapHash("another horse") },
		"closed":  func(m *memory) { m.users[alice].Deactivated = true },
	} {
		d := newDoor(t)
		d.db.onAdd = meanwhile
		if _, err := d.Login(t.Context(), "alice", "correct horse", home); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", what, err)
		}
		if list, err := d.List(t.Context(), alice); err != nil || len(list) != 0 {
			t.Errorf("%s: she is signed in: %+v, %v", what, list, err)
		}
	}
}
