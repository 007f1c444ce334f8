package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// refresh takes the token "<id> <used>" for "<id> <next>".
func (f *fixture) refresh(s store.SignIn, used, next int, at time.Time) store.Refresh {
	return store.Refresh{ID: s.ID, Used: secret(fmt.Sprintf("%s %d", s.ID, used)), Next: secret(fmt.Sprintf("%s %d", s.ID, next)),
		At: at, Grace: chat.RefreshGrace, ExpiresAt: at.Add(life), Address: "192.0.2.7"}
}

func rotation(t *testing.T, f *fixture) {
	s := f.signIn(f.owner, dawn)
	takes := func(what string, used, next int, at time.Time) {
		t.Helper()
		got, err := f.d.Refresh(f.ctx, f.refresh(s, used, next, at))
		ok(t, err)
		s.UsedAt, s.ExpiresAt, s.Address = at, at.Add(life), "192.0.2.7"
		s = micro(s)
		same(t, what, s, got)
		f.reads(what, s)
	}
	at := dawn.Add(time.Hour)
	takes("the newest", 1, 2, at)
	takes("the newest, much later", 2, 3, at.Add(24*time.Hour))
	at = at.Add(24 * time.Hour)
	takes("the one before it, at the end of its grace", 2, 4, at.Add(chat.RefreshGrace))
	takes("what was the newest before that, in its grace", 3, 5, at.Add(2*chat.RefreshGrace))
	takes("one that two were given for already, in its grace", 3, 6, at.Add(2*chat.RefreshGrace))
	takes("the newest", 6, 7, at.Add(time.Hour))
	other := f.signIn(f.owner, dawn)
	got, err := f.d.Unannounced(f.ctx, 10)
	ok(t, err)
	same(t, "to be announced", []store.SignIn{}, got)
	f.reads("another sign-in of the user", other)
}

func refreshRefused(t *testing.T, f *fixture) {
	at := dawn.Add(time.Hour)
	fresh := func() store.SignIn { // with the tokens 1 to 3
		t.Helper()
		s := f.signIn(f.owner, dawn)
		for n := range 2 {
			var err error
			s, err = f.d.Refresh(f.ctx, f.refresh(s, n+1, n+2, at))
			ok(t, err)
		}
		return s
	}
	refused := func(what string, r store.Refresh, revokes bool, s store.SignIn) {
		t.Helper()
		got, err := f.d.Refresh(f.ctx, r)
		isKind(t, what, err, fault.Unauthenticated)
		same(t, what+": result", store.SignIn{}, got)
		if revokes {
			s.RevokedAt = r.At.Truncate(time.Microsecond)
		}
		f.reads(what, s)
	}
	s := fresh()
	refused("a token that never was one", f.refresh(s, 9, 4, at), false, s)
	strange := f.refresh(s, 3, 4, at)
	strange.ID = newID[token.SignInID]()
	refused("of no sign-in", strange, false, s)
	strange.ID = fresh().ID
	refused("a token of another sign-in", strange, false, s)
	refused("the one before after its grace", f.refresh(s, 2, 4, at.Add(chat.RefreshGrace+time.Microsecond)), true, s)
	s, err := f.d.SignIn(f.ctx, s.ID)
	ok(t, err)
	refused("the newest of one that is revoked", f.refresh(s, 3, 4, at), false, s)
	refused("an old one of one that is revoked", f.refresh(s, 1, 4, at.Add(time.Hour)), false, s)
	s = fresh()
	refused("an older one after its grace", f.refresh(s, 1, 4, at.Add(chat.RefreshGrace+time.Microsecond)), true, s)
	s = fresh()
	refused("the newest of one that has lapsed", f.refresh(s, 3, 4, s.ExpiresAt), false, s)
	refused("an old one of one that has lapsed", f.refresh(s, 1, 4, s.ExpiresAt), false, s)
	_, err = f.d.Refresh(f.ctx, store.Refresh{ID: s.ID, Used: secret(string(s.ID) + " 3"), Next: secret("x"), ExpiresAt: at})
	isKind(t, "at no moment", err, fault.Invalid)
}

// signInModel is what a sign-in must do.
type signInModel struct {
	used    []time.Time // of its tokens, in the order of becoming the newest; zero: not used
	numbers []int       // that they are made of
	now     store.SignIn
}

// refresh is what r must answer, of the token with a number.
func (m *signInModel) refresh(number, next int, r store.Refresh) bool {
	place := -1
	for i, n := range m.numbers {
		if n == number {
			place = i
		}
	}
	newest := len(m.used) - 1
	switch {
	case place < 0 || !m.now.Lasts(r.At):
		return false
	case place == newest:
	case r.At.Sub(m.used[place]) <= r.Grace:
	default:
		m.now.RevokedAt = r.At
		return false
	}
	m.used[newest] = r.At
	m.used, m.numbers = append(m.used, time.Time{}), append(m.numbers, next)
	m.now.UsedAt, m.now.ExpiresAt, m.now.Address = r.At, r.ExpiresAt, r.Address
	return true
}

func randomRefreshes(t *testing.T, f *fixture) {
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	accepted, revoked, lapsed := 0, 0, 0
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 4))
		at := atMicro.AddDate(0, int(seed), 0)
		m := &signInModel{used: make([]time.Time, 1), numbers: []int{1}, now: f.signIn(f.member, at)}
		for next := 2; next < 25; next++ {
			// Mostly the newest, and soon; sometimes an older one, or late.
			number := m.numbers[max(0, len(m.numbers)-1-[]int{0, 0, 0, 0, 1, 1, 2, 9}[r.IntN(8)])]
			if r.IntN(40) == 0 {
				number = 1000 // never one
			}
			at = at.Add([]time.Duration{0, 1, chat.RefreshGrace / 2 / time.Microsecond, chat.RefreshGrace / time.Microsecond,
				chat.RefreshGrace/time.Microsecond + 1, time.Hour / time.Microsecond}[r.IntN(6)] * time.Microsecond)
			if r.IntN(60) == 0 {
				at = m.now.ExpiresAt
				lapsed++
			}
			q := f.refresh(m.now, number, next, at)
			q.ExpiresAt = at.Add(life)
			want := m.refresh(number, next, q)
			got, err := f.d.Refresh(f.ctx, q)
			if want {
				accepted++
				ok(t, err)
				same(t, "result", m.now, got)
			} else {
				isKind(t, fmt.Sprintf("round %d, token %d of %v", seed, number, m.numbers), err, fault.Unauthenticated)
			}
			f.reads("sign-in", m.now)
			if t.Failed() {
				t.Fatalf("round %d, step %d", seed, next)
			}
		}
		if !m.now.RevokedAt.IsZero() {
			revoked++
		}
	}
	if accepted < rounds || revoked == 0 || (lapsed == 0 && !testing.Short()) {
		t.Errorf("%d were taken, %d sign-ins revoked, %d lapsed: this shows too little", accepted, revoked, lapsed)
	}
}

// raceToRefresh presents one token many times at once, as the windows of a browser do: each gets another one, within the
// grace. After it the same token ends the sign-in.
func raceToRefresh(t *testing.T, f *fixture) {
	s := f.signIn(f.owner, dawn)
	at := dawn.Add(time.Hour)
	for _, err := range together(many, func(i int) error {
		_, err := f.d.Refresh(f.ctx, f.refresh(s, 1, 2+i, at))
		return err
	}) {
		ok(t, err)
	}
	f.last("it lasts", f.owner, at, micro(store.SignIn{ID: s.ID, UserID: s.UserID, Device: s.Device, Address: "192.0.2.7",
		CreatedAt: s.CreatedAt, UsedAt: at, ExpiresAt: at.Add(life)}))
	late := at.Add(chat.RefreshGrace + time.Microsecond)
	for _, err := range together(many, func(i int) error {
		_, err := f.d.Refresh(f.ctx, f.refresh(s, 1, 100+i, late))
		return err
	}) {
		isKind(t, "after the grace", err, fault.Unauthenticated)
	}
	got, err := f.d.SignIn(f.ctx, s.ID)
	ok(t, err)
	same(t, "revoked", late.Truncate(time.Microsecond), got.RevokedAt)
}
