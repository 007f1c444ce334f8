package auth_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/throttle"
)

// cheapHash is the PHC string of a password that costs next to nothing to verify.
func cheapHash(password string) string {
	salt := []byte("somesalt")
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", b64(salt), b64(argon2.IDKey([]byte(password), salt, 1, 8, 1, 32)))
}

// memory is the part of store.Directory that sign-ins need, in memory.
type memory struct {
	mu        sync.Mutex
	users     map[chat.UserID]*account
	signIns   map[token.SignInID]*kept
	tickets   map[store.Secret]store.Ticket
	failing   error            // of everything, when set
	onAdd     func(*memory)    // called with the lock, before a sign-in is added
	announced []token.SignInID // in their order
}

type account struct {
	chat.User
	hash string
}

type kept struct {
	store.SignIn
	newest, before store.Secret
	beforeUsed     time.Time
	announced      bool
}

func newMemory(users ...store.NewUser) *memory {
	m := &memory{users: map[chat.UserID]*account{}, signIns: map[token.SignInID]*kept{}, tickets: map[store.Secret]store.Ticket{}}
	for _, u := range users {
		m.users[u.ID] = &account{u.User, u.PasswordHash}
	}
	return m
}

func (m *memory) lock() (func(), error) { m.mu.Lock(); return m.mu.Unlock, m.failing }

func (m *memory) User(_ context.Context, id chat.UserID) (chat.User, error) {
	unlock, err := m.lock()
	defer unlock()
	if u := m.users[id]; u != nil || err != nil {
		return u.User, err
	}
	return chat.User{}, fault.New(fault.NotFound, "no such user")
}

func (m *memory) Credentials(_ context.Context, login string) (chat.User, string, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return chat.User{}, "", err
	}
	for _, u := range m.users {
		if u.Login == login {
			return u.User, u.hash, nil
		}
	}
	return chat.User{}, "", fault.New(fault.NotFound, "no such user")
}

func (m *memory) SetPassword(ctx context.Context, hash string, r store.Revocation) error {
	m.mu.Lock()
	m.users[r.UserID].hash = hash
	m.mu.Unlock()
	_, err := m.Revoke(ctx, r)
	return err
}

func (m *memory) AddSignIn(_ context.Context, s store.SignIn, refresh store.Secret) error {
	unlock, err := m.lock()
	defer unlock()
	if m.onAdd != nil {
		m.onAdd(m)
	}
	switch {
	case err != nil:
		return err
	case m.users[s.UserID] == nil:
		return fault.New(fault.NotFound, "no such user")
	case m.signIns[s.ID] != nil:
		return fault.New(fault.Conflict, "the id is taken")
	}
	if lasting := m.lasting(s.UserID, s.CreatedAt); len(lasting) >= chat.MaxSignIns {
		m.signIns[lasting[len(lasting)-1].ID].RevokedAt = s.CreatedAt
	}
	m.signIns[s.ID] = &kept{SignIn: s, newest: refresh}
	return nil
}

func (m *memory) SignIn(_ context.Context, id token.SignInID) (store.SignIn, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return store.SignIn{}, err
	}
	if k := m.signIns[id]; k != nil {
		return k.SignIn, nil
	}
	return store.SignIn{}, fault.New(fault.NotFound, "no such sign-in")
}

func (m *memory) SignInsOf(_ context.Context, user chat.UserID, at time.Time) ([]store.SignIn, error) {
	unlock, err := m.lock()
	defer unlock()
	return m.lasting(user, at), err
}

func (m *memory) lasting(user chat.UserID, at time.Time) (list []store.SignIn) {
	for _, k := range m.signIns {
		if k.UserID == user && k.Lasts(at) {
			list = append(list, k.SignIn)
		}
	}
	slices.SortFunc(list, func(a, b store.SignIn) int { return b.UsedAt.Compare(a.UsedAt) })
	return list
}

func (m *memory) Refresh(_ context.Context, r store.Refresh) (store.SignIn, error) {
	unlock, err := m.lock()
	defer unlock()
	no := fault.New(fault.Unauthenticated, "the store says why")
	k := m.signIns[r.ID]
	switch {
	case err != nil:
		return store.SignIn{}, err
	case k == nil || !k.Lasts(r.At) || m.users[k.UserID].Deactivated:
		return store.SignIn{}, no
	case r.Used == k.newest:
		k.before, k.beforeUsed = k.newest, r.At
	case r.Used == k.before && r.At.Sub(k.beforeUsed) <= r.Grace:
	case r.Used == k.before:
		k.RevokedAt = r.At
		return store.SignIn{}, no
	default:
		return store.SignIn{}, no
	}
	k.newest, k.UsedAt, k.ExpiresAt, k.Address = r.Next, r.At, r.ExpiresAt, r.Address
	return k.SignIn, nil
}

func (m *memory) Revoke(_ context.Context, r store.Revocation) (ended []store.SignIn, err error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return nil, err
	}
	for _, k := range m.signIns {
		if k.UserID == r.UserID && k.Lasts(r.At) && (r.Only == "" || r.Only == k.ID) && (r.Only != "" || r.Except != k.ID) {
			k.RevokedAt = r.At
			ended = append(ended, k.SignIn)
		}
	}
	return ended, nil
}

func (m *memory) Unannounced(_ context.Context, limit int) (list []store.SignIn, err error) {
	unlock, err := m.lock()
	defer unlock()
	for _, k := range m.signIns {
		if !k.RevokedAt.IsZero() && !k.announced {
			list = append(list, k.SignIn)
		}
	}
	slices.SortFunc(list, func(a, b store.SignIn) int { return a.RevokedAt.Compare(b.RevokedAt) })
	return list[:min(len(list), limit)], err
}

func (m *memory) Announced(_ context.Context, ids []token.SignInID) error {
	unlock, err := m.lock()
	defer unlock()
	for _, id := range ids {
		if k := m.signIns[id]; k != nil {
			k.announced = true
		}
	}
	m.announced = append(m.announced, ids...)
	return err
}

func (m *memory) AddTicket(_ context.Context, t store.Ticket) error {
	unlock, err := m.lock()
	defer unlock()
	m.tickets[t.Secret] = t
	return err
}

func (m *memory) RedeemTicket(_ context.Context, secret store.Secret, at time.Time) (store.SignIn, error) {
	unlock, err := m.lock()
	defer unlock()
	if err != nil {
		return store.SignIn{}, err
	}
	t, ok := m.tickets[secret]
	delete(m.tickets, secret)
	if !ok || !at.Before(t.ExpiresAt) || !m.signIns[t.SignInID].Lasts(at) {
		return store.SignIn{}, fault.New(fault.Unauthenticated, "the store says why")
	}
	return m.signIns[t.SignInID].SignIn, nil
}

// hub is an Announcer: it takes what it is told, or fails, or hangs.
type hub struct {
	mu      sync.Mutex
	told    []token.SignInID
	asked   int
	down    bool
	hanging bool
}

func (h *hub) Announce(ctx context.Context, ended []store.SignIn) error {
	h.mu.Lock()
	h.asked++
	down, hanging := h.down, h.hanging
	if !down && !hanging {
		for _, in := range ended {
			h.told = append(h.told, in.ID)
		}
	}
	h.mu.Unlock()
	if hanging {
		<-ctx.Done()
		return ctx.Err()
	}
	if down {
		return errors.New("the hub does not answer")
	}
	return nil
}

func (h *hub) set(down, hanging bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down, h.hanging = down, hanging
}

func (h *hub) heard() []token.SignInID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.told)
}

func (h *hub) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// door is Sessions with what is around it.
type door struct {
	*auth.Sessions
	t        *testing.T
	db       *memory
	hub      *hub
	ended    *auth.Revocations
	verifier *auth.Verifier
}

const bob = chat.UserID("b0b")

var home = store.Device{Name: "laptop", Address: "192.0.2.1"}

func newDoor(t *testing.T, change ...func(*auth.Config)) *door {
	t.Helper()
	db := newMemory(
		store.NewUser{User: chat.User{ID: alice, Login: "alice", DisplayName: "Alice"}, PasswordHash: cheapHash("correct horse")},
		store.NewUser{User: chat.User{ID: bob, Login: "bob", DisplayName: "Bob"}, PasswordHash: cheapHash("battery staple")},
	)
	d := &door{t: t, db: db, hub: &hub{}, ended: auth.NewRevocations(auth.RevocationsConfig{})}
	s := signer(t, auth.SignerConfig{})
	cfg := auth.Config{
		Accounts: db, SignIns: db, Tickets: db, Passwords: auth.NewPasswords(1), Signer: s, Announcer: d.hub, Revocations: d.ended,
		Throttle: throttle.New(throttle.Config{}),
	}
	for _, f := range change {
		f(&cfg)
	}
	d.Sessions = auth.New(cfg)
	d.verifier = auth.NewVerifier(auth.VerifierConfig{Source: s, Revocations: d.ended})
	return d
}

// run runs it until the test ends.
func (d *door) run() {
	ctx, stop := context.WithCancel(d.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	d.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			d.t.Errorf("Run: %v", err)
		}
	})
}

func (d *door) enter(login, password string) store.SignedIn {
	d.t.Helper()
	in, err := d.Login(d.t.Context(), login, password, home)
	if err != nil {
		d.t.Fatalf("Login(%s): %v", login, err)
	}
	return in
}

func (d *door) refresh(refreshToken string) store.SignedIn {
	d.t.Helper()
	in, err := d.Refresh(d.t.Context(), refreshToken, home)
	if err != nil {
		d.t.Fatalf("Refresh: %v", err)
	}
	return in
}

func (d *door) mustBeRefused(what, refreshToken string) {
	d.t.Helper()
	if _, err := d.Refresh(d.t.Context(), refreshToken, home); !fault.Is(err, fault.Unauthenticated) ||
		fault.Public(err).Message != "the refresh token is not valid, or no longer: sign in again" {
		d.t.Errorf("%s: %v", what, err)
	}
}

func (d *door) works(in store.SignedIn) bool {
	d.t.Helper()
	_, err := d.verifier.Verify(d.t.Context(), in.Issued.Token)
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		d.t.Errorf("Verify: %v", err)
	}
	return err == nil
}
