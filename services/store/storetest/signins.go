package storetest

import (
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// many is how many goroutines ask for one thing at once.
const many = 8

// secret is the secret of a name.
func secret(name string) store.Secret { return sha256.Sum256([]byte(name)) }

// life is how long the sign-ins of the tests last.
const life = 30 * 24 * time.Hour

// signIn adds a sign-in with the refresh token "<id> 1", and returns it as a store tells it.
func (f *fixture) signIn(user chat.UserID, at time.Time) store.SignIn {
	f.t.Helper()
	s := store.SignIn{ID: newID[token.SignInID](), UserID: user, Device: "Ärztin 🙂", Address: "2001:db8::1",
		CreatedAt: at, UsedAt: at, ExpiresAt: at.Add(life)}
	ok(f.t, f.d.AddSignIn(f.ctx, s, secret(string(s.ID)+" 1")))
	return micro(s)
}

// micro is a sign-in with its times as a Directory keeps them.
func micro(s store.SignIn) store.SignIn {
	for _, at := range []*time.Time{&s.CreatedAt, &s.UsedAt, &s.ExpiresAt, &s.RevokedAt} {
		*at = at.UTC().Truncate(time.Microsecond)
	}
	return s
}

// reads expects that a sign-in is read as it is in want.
func (f *fixture) reads(what string, want store.SignIn) {
	f.t.Helper()
	got, err := f.d.SignIn(f.ctx, want.ID)
	ok(f.t, err)
	same(f.t, what, want, got)
}

// last expects the sign-ins of a user that last at a moment.
func (f *fixture) last(what string, user chat.UserID, at time.Time, want ...store.SignIn) {
	f.t.Helper()
	got, err := f.d.SignInsOf(f.ctx, user, at)
	ok(f.t, err)
	same(f.t, what, want, got)
}

func signIns(t *testing.T, f *fixture) {
	elsewhere := dawn.In(time.FixedZone("", 3600))
	first := f.signIn(f.owner, elsewhere)
	f.reads("in UTC, to the microsecond", first)
	second := f.signIn(f.owner, dawn.Add(time.Hour))
	third := f.signIn(f.member, dawn)
	f.last("the one used last first", f.owner, dawn.Add(time.Hour), second, first)
	f.last("of another one", f.member, dawn, third)
	f.last("of nobody", f.none, dawn)
	f.last("at the end of the first", f.owner, first.ExpiresAt, second)
	f.last("a moment before", f.owner, first.ExpiresAt.Add(-time.Microsecond), second, first)
	f.last("at the end of both", f.owner, second.ExpiresAt)

	_, err := f.d.SignIn(f.ctx, newID[token.SignInID]())
	isKind(t, "an unknown one", err, fault.NotFound)
	again := first
	again.UserID = f.member
	isKind(t, "an id that is taken", f.d.AddSignIn(f.ctx, again, secret("other")), fault.Conflict)
	again.ID, again.UserID = newID[token.SignInID](), newID[chat.UserID]()
	isKind(t, "of no account", f.d.AddSignIn(f.ctx, again, secret("other")), fault.NotFound)
	_, err = f.d.SetDeactivated(f.ctx, store.Deactivation{UserID: f.none, By: f.owner, Deactivated: true, At: dawn})
	ok(t, err)
	again.UserID = f.none
	isKind(t, "of a closed account", f.d.AddSignIn(f.ctx, again, secret("other")), fault.Unauthenticated)
	f.reads("after what was refused", first)
}

func manySignIns(t *testing.T, f *fixture) {
	first := f.signIn(f.owner, dawn)
	var all []store.SignIn // the one used last first
	for i := range chat.MaxSignIns - 1 {
		all = append([]store.SignIn{f.signIn(f.owner, dawn.Add(time.Duration(1+i)*time.Second))}, all...)
	}
	now := dawn.Add(time.Hour)
	f.last("as many as there may be", f.owner, now, append(all, first)...)
	refreshed, err := f.d.Refresh(f.ctx, f.refresh(first, 1, 2, now))
	ok(t, err)
	f.signIn(f.member, now) // another one's count for themselves
	oldest := all[len(all)-1]
	newest := f.signIn(f.owner, now.Add(time.Second))
	f.last("one more", f.owner, now, append([]store.SignIn{newest, refreshed}, all[:len(all)-1]...)...)
	oldest.RevokedAt = newest.CreatedAt
	f.reads("the one used longest ago", oldest)
	got, err := f.d.Unannounced(f.ctx, 10)
	ok(t, err)
	same(t, "to be announced", []store.SignIn{oldest}, got)
}

func announcements(t *testing.T, f *fixture) {
	var all []store.SignIn
	for i := range 3 {
		s := f.signIn(f.owner, dawn.Add(time.Duration(i)*time.Second))
		all = append(all, s)
	}
	for i, at := range []time.Duration{3, 1, 2} { // in another order than they were made
		ended, err := f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, Only: all[i].ID, At: dawn.Add(at * time.Minute)})
		ok(t, err)
		all[i].RevokedAt = dawn.Add(at * time.Minute).Truncate(time.Microsecond)
		same(t, "ended", all[i:i+1], ended)
	}
	expect := func(what string, limit int, want ...store.SignIn) {
		t.Helper()
		got, err := f.d.Unannounced(f.ctx, limit)
		ok(t, err)
		same(t, what, want, got)
	}
	expect("the oldest revocation first", 10, all[1], all[2], all[0])
	expect("some", 2, all[1], all[2])
	lasts := f.signIn(f.owner, dawn)
	ok(t, f.d.Announced(f.ctx, []token.SignInID{all[2].ID, newID[token.SignInID](), lasts.ID}))
	expect("without the one that was announced", 10, all[1], all[0])
	ok(t, f.d.Announced(f.ctx, nil))
	ok(t, f.d.Announced(f.ctx, []token.SignInID{all[0].ID, all[1].ID, all[2].ID}))
	expect("none is left", 10)
	f.reads("one that was announced can be read", all[0])
	_, err := f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, At: dawn.Add(time.Hour)})
	ok(t, err)
	lasts.RevokedAt = dawn.Add(time.Hour).Truncate(time.Microsecond)
	expect("one that was announced before it was revoked", 10, lasts)
}

func revocations(t *testing.T, f *fixture) {
	at := dawn.Add(time.Hour)
	a, b, c := f.signIn(f.owner, dawn), f.signIn(f.owner, dawn.Add(1)), f.signIn(f.owner, dawn.Add(time.Second))
	d, lapsed := f.signIn(f.owner, dawn), f.signIn(f.owner, at.Add(-life-time.Second))
	theirs := f.signIn(f.member, dawn)
	revoke := func(what string, r store.Revocation, want ...store.SignIn) {
		t.Helper()
		got, err := f.d.Revoke(f.ctx, r)
		ok(t, err)
		for i := range want {
			want[i].RevokedAt = at.Truncate(time.Microsecond)
		}
		same(t, what, want, got)
	}
	revoke("another one's", store.Revocation{UserID: f.owner, Only: theirs.ID, At: at})
	revoke("one that is none", store.Revocation{UserID: f.owner, Only: newID[token.SignInID](), At: at})
	revoke("of nobody", store.Revocation{UserID: newID[chat.UserID](), At: at})
	revoke("only one", store.Revocation{UserID: f.owner, Only: b.ID, At: at}, b)
	revoke("Except is with all", store.Revocation{UserID: f.owner, Only: d.ID, Except: d.ID, At: at}, d)
	revoke("only it again", store.Revocation{UserID: f.owner, Only: b.ID, At: at.Add(time.Minute)})
	revoke("all but one", store.Revocation{UserID: f.owner, Except: a.ID, At: at}, c)
	f.last("what is left", f.owner, at, a)
	revoke("all", store.Revocation{UserID: f.owner, At: at}, a)
	f.last("nothing is left", f.owner, at)
	f.reads("one that had lapsed", lapsed)
	f.last("another one's", f.member, at, theirs)
	_, err := f.d.Revoke(f.ctx, store.Revocation{UserID: f.member})
	isKind(t, "at no moment", err, fault.Invalid)
}

func tickets(t *testing.T, f *fixture) {
	s := f.signIn(f.owner, dawn)
	add := func(name string, expires time.Time) {
		t.Helper()
		ok(t, f.d.AddTicket(f.ctx, store.Ticket{Secret: secret(name), SignInID: s.ID, ExpiresAt: expires}))
	}
	refused := func(name string, at time.Time) {
		t.Helper()
		got, err := f.d.RedeemTicket(f.ctx, secret(name), at)
		isKind(t, name, err, fault.Unauthenticated)
		same(t, "whose it was", store.SignIn{}, got)
	}
	end := dawn.Add(chat.TicketLife).Truncate(time.Microsecond)
	add("one", end)
	add("two", end)
	got, err := f.d.RedeemTicket(f.ctx, secret("one"), end.Add(-time.Microsecond))
	ok(t, err)
	same(t, "whose it was", s, got)
	refused("one", dawn)
	refused("none", dawn)
	refused("two", end) // has lapsed
	refused("two", dawn)
	add("of a sign-in that was revoked", end)
	_, err = f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, At: dawn})
	ok(t, err)
	refused("of a sign-in that was revoked", dawn)
	s = f.signIn(f.owner, dawn)
	add("of a sign-in that has lapsed", s.ExpiresAt.Add(time.Hour))
	refused("of a sign-in that has lapsed", s.ExpiresAt)
	isKind(t, "of no sign-in", f.d.AddTicket(f.ctx, store.Ticket{Secret: secret("x"), SignInID: newID[token.SignInID](), ExpiresAt: end}), fault.NotFound)
	add("same", end)
	isKind(t, "one that is there", f.d.AddTicket(f.ctx, store.Ticket{Secret: secret("same"), SignInID: s.ID, ExpiresAt: end}), fault.Conflict)
	for i := range 10 { // old ones go, the others stay
		add(fmt.Sprint("later", i), end.Add(24*time.Hour))
	}
	refused("same", dawn)
	for i := range 10 {
		_, err := f.d.RedeemTicket(f.ctx, secret(fmt.Sprint("later", i)), end)
		ok(t, err)
	}
}

func raceToRedeem(t *testing.T, f *fixture) {
	s := f.signIn(f.owner, dawn)
	ok(t, f.d.AddTicket(f.ctx, store.Ticket{Secret: secret("one"), SignInID: s.ID, ExpiresAt: dawn.Add(chat.TicketLife)}))
	won := 0
	for _, err := range together(many, func(int) error {
		_, err := f.d.RedeemTicket(f.ctx, secret("one"), dawn)
		return err
	}) {
		if err == nil {
			won++
		} else {
			isKind(t, "who came late", err, fault.Unauthenticated)
		}
	}
	same(t, "winners", 1, won)
}

// forgottenSignIns expects that what ended long ago goes, and that nothing else does.
func forgottenSignIns(t *testing.T, f *fixture) {
	lapsed := f.signIn(f.owner, dawn)
	for n := range 300 { // more tokens than one call forgets
		var err error
		lapsed, err = f.d.Refresh(f.ctx, f.refresh(lapsed, n+1, n+2, dawn))
		ok(t, err)
	}
	owed := f.signIn(f.owner, dawn)
	_, err := f.d.Revoke(f.ctx, store.Revocation{UserID: f.owner, Only: owed.ID, At: dawn})
	ok(t, err)
	lasts := f.signIn(f.owner, dawn.Add(10*life))
	last := lasts
	for range 10 {
		last = f.signIn(f.owner, dawn.Add(10*life))
	}
	_, err = f.d.SignIn(f.ctx, lapsed.ID)
	isKind(t, "one that lapsed long ago", err, fault.NotFound)
	_, err = f.d.SignIn(f.ctx, owed.ID)
	ok(t, err) // it is still to be announced
	ok(t, f.d.Announced(f.ctx, []token.SignInID{owed.ID}))
	f.signIn(f.owner, dawn.Add(10*life))
	_, err = f.d.SignIn(f.ctx, owed.ID)
	isKind(t, "one that was revoked and announced long ago", err, fault.NotFound)
	f.reads("one that lasts", lasts)
	f.reads("one that lasts", last)
	_, err = f.d.Refresh(f.ctx, f.refresh(lasts, 1, 2, dawn.Add(10*life)))
	ok(t, err)
}
