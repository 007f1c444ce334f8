package auth_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
)

func TestWhoseSignInEndedIsRefusedAtOnceAndEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		one, other := d.enter("alice", "correct horse"), d.enter("alice", "correct horse")
		var closed []token.SignInID
		d.ended.OnRevoked(func(id token.SignInID) { closed = append(closed, id) })
		if err := d.Revoke(t.Context(), alice, one.SignIn.ID); err != nil {
			t.Fatal(err)
		}
		want := []token.SignInID{one.SignIn.ID}
		if !slices.Equal(d.hub.heard(), want) || !slices.Equal(d.db.announced, want) || !slices.Equal(closed, want) {
			t.Errorf("when Revoke returns, %v is announced, %v noted, and sockets of %v are closed", d.hub.heard(), d.db.announced, closed)
		}
		if d.works(one) || !d.works(other) {
			t.Error("the wrong token is refused")
		}
		d.mustBeRefused("the refresh token", one.Refresh)
		if err := d.Revoke(t.Context(), alice, one.SignIn.ID); err != nil || len(d.hub.heard()) != 1 {
			t.Errorf("once more: %v, announced %v", err, d.hub.heard())
		}
		for _, id := range []token.SignInID{other.SignIn.ID, "made0up", ""} {
			if err := d.Revoke(t.Context(), bob, id); !fault.Is(err, fault.NotFound) {
				t.Errorf("Bob ends %s of hers: %v", id, err)
			}
		}
		if !d.works(other) {
			t.Error("Bob did it")
		}
		if got := d.Counts(); got.Announced != 1 || got.KnownRevocations != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestAnEndIsForgottenWhenItsLastTokenHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		in := d.enter("alice", "correct horse")
		if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil {
			t.Fatal(err)
		}
		for range 40 {
			time.Sleep(30 * time.Second)
			if d.works(in) {
				t.Fatal("a token outlives the memory of its end")
			}
		}
		if d.ended.Revoked(in.SignIn.ID) {
			t.Error("it is known after 20 minutes, when no token is left")
		}
	})
}

func TestWhenTheHubDoesNotAnswerItIsToldLater(t *testing.T) {
	for _, hanging := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(t)
			d.hub.set(!hanging, hanging)
			d.run()
			in := d.enter("alice", "correct horse")
			start := time.Now()
			if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("it waits %v", took)
			}
			if d.works(in) {
				t.Error("in this process it is known all the same")
			}
			for range 600 {
				time.Sleep(time.Second)
				d.Wake() // which must not hammer the hub
			}
			if n := d.hub.attempts(); n < 70 || n > 130 {
				t.Errorf("in 10 minutes the hub is asked %d times", n)
			}
			d.hub.set(false, false)
			time.Sleep(9 * time.Second)
			if got := d.hub.heard(); !slices.Equal(got, []token.SignInID{in.SignIn.ID}) {
				t.Errorf("the hub is back and hears %v", got)
			}
			if d.Counts().FailedToAnnounce == 0 {
				t.Error("nothing is counted")
			}
		})
	}
}

func TestAnEndIsKnownHereBeforeAnybodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t) // Run does not run
		in := d.enter("alice", "correct horse")
		if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil || d.works(in) {
			t.Errorf("its token is good: %v", err)
		}
	})
}

func TestWhatAProcessOwedIsToldByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t) // whose Run does not run: it died
		var want []token.SignInID
		for range 250 {
			in, err := d.Begin(t.Context(), chat.User{ID: bob, Login: "bob"}, home) // of which 200 end for others
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, in.SignIn.ID)
			time.Sleep(time.Microsecond)
		}
		d.run()
		synctest.Wait()
		if got := d.hub.heard(); !slices.Equal(got, want[:200]) {
			t.Errorf("%d are told, want 200 in their order", len(got))
		}
		// Another process ends one in the same store and dies before it says so.
		if _, err := d.db.Revoke(t.Context(), store.Revocation{UserID: bob, Only: want[249], At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := d.hub.heard(); len(got) != 201 || !d.ended.Revoked(want[249]) {
			t.Errorf("%d are told", len(got))
		}
	})
}

func TestManyWhoEndSignInsAtOnceAllWaitForTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		var crowd sync.WaitGroup
		for range chat.MaxSignIns {
			in := d.enter("alice", "correct horse")
			crowd.Go(func() {
				if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil {
					t.Error(err)
				}
				if !slices.Contains(d.hub.heard(), in.SignIn.ID) {
					t.Error("it returned before it was announced")
				}
			})
		}
		crowd.Wait()
		if n := len(d.hub.heard()); n != chat.MaxSignIns {
			t.Errorf("%d are told", n)
		}
	})
}

func TestAllOthersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		bobs, keep := d.enter("bob", "battery staple"), d.enter("alice", "correct horse")
		others := []store.SignedIn{d.enter("alice", "correct horse"), d.enter("alice", "correct horse")}
		if err := d.RevokeOthers(t.Context(), alice, keep.SignIn.ID); err != nil {
			t.Fatal(err)
		}
		for _, in := range others {
			if d.works(in) || !slices.Contains(d.hub.heard(), in.SignIn.ID) {
				t.Error("another one lasts")
			}
		}
		if !d.works(keep) || !d.works(bobs) || len(d.hub.heard()) != 2 {
			t.Error("too many ended")
		}
	})
}

func TestANewPasswordEndsAllOtherSignIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.run()
		here, there := d.enter("alice", "correct horse"), d.enter("alice", "correct horse")
		for what, err := range map[string]error{
			"the old one is wrong": d.ChangePassword(t.Context(), here.Issued.Claims, "wrong horse", "another horse"),
			"the new one is short": d.ChangePassword(t.Context(), here.Issued.Claims, "correct horse", "short"),
		} {
			want := map[string]fault.Kind{"the old one is wrong": fault.Forbidden, "the new one is short": fault.Invalid}[what]
			if !fault.Is(err, want) || !d.works(there) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := d.ChangePassword(t.Context(), here.Issued.Claims, "correct horse", "another horse"); err != nil {
			t.Fatal(err)
		}
		if !d.works(here) || d.works(there) || !slices.Equal(d.hub.heard(), []token.SignInID{there.SignIn.ID}) {
			t.Errorf("announced: %v", d.hub.heard())
		}
		if _, err := d.Login(t.Context(), "alice", "correct horse", home); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("the old password: %v", err)
		}
		d.enter("alice", "another horse")
		if err := d.ChangePassword(t.Context(), there.Issued.Claims, "another horse", "a third horse"); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("by a token whose sign-in has ended: %v", err)
		}
	})
}

func TestTheOldPasswordIsThrottledAsAtTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		in := d.enter("alice", "correct horse")
		for range 5 {
			if err := d.ChangePassword(t.Context(), in.Issued.Claims, "guess", "another horse"); !fault.Is(err, fault.Forbidden) {
				t.Fatal(err)
			}
		}
		err := d.ChangePassword(t.Context(), in.Issued.Claims, "correct horse", "another horse")
		if got := fault.Public(err); got.Kind != fault.RateLimited || got.RetryAfter != time.Second {
			t.Errorf("the sixth: %v", err)
		}
		if _, err := d.Login(t.Context(), "alice", "correct horse", home); !fault.Is(err, fault.RateLimited) {
			t.Errorf("and at the door, from that address: %v", err)
		}
	})
}

func TestSessionsThatKnowNoRevocationsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *auth.Config) { c.Revocations = nil; c.RefreshLife = time.Second })
		d.run()
		in := d.enter("alice", "correct horse")
		if got := in.SignIn.ExpiresAt.Sub(in.SignIn.CreatedAt); got != auth.DefaultLifetime {
			t.Errorf("a sign-in of %v has a token of %v", got, auth.DefaultLifetime)
		}
		if err := d.Revoke(t.Context(), alice, in.SignIn.ID); err != nil || len(d.hub.heard()) != 1 {
			t.Errorf("Revoke: %v, told %v", err, d.hub.heard())
		}
	})
}
