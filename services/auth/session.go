package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// DefaultRefreshLife is how long a sign-in lasts without a refresh when the config does not say.
const DefaultRefreshLife = 30 * 24 * time.Hour

// Accounts is what sign-ins need of the directory's store.
type Accounts interface {
	// Credentials reads an account by its login, with its password hash. NotFound.
	Credentials(ctx context.Context, login string) (chat.User, string, error)
	// User reads an account. NotFound.
	User(ctx context.Context, id chat.UserID) (chat.User, error)
	// SetPassword changes a password's hash and revokes the sign-ins that r names, in one transaction. NotFound.
	SetPassword(ctx context.Context, passwordHash string, r store.Revocation) error
}

// Announcer tells every process that verifies tokens which sign-ins have ended.
type Announcer interface {
	// Announce returns when all of them are told. Telling one again changes nothing.
	Announce(ctx context.Context, ended []store.SignIn) error
}

// Throttle slows down those who guess passwords: services/throttle.
type Throttle interface {
	// Begin asks whether a password may be checked now, and counts it as wrong. RateLimited: not yet. Whoever finds that
	// the password is right calls right, and whoever could not check it calls undo.
	Begin(login, address string, now time.Time) (right, undo func(now time.Time), err error)
	// Known says that somebody is at an address who came in by other means than a password.
	Known(login, address string, now time.Time)
}

// Config is what Sessions are made of.
type Config struct {
	// needed
	Accounts  Accounts
	SignIns   store.SignIns
	Tickets   store.Tickets
	Passwords *Passwords
	Signer    *Signer
	Announcer Announcer
	Throttle  Throttle

	Revocations *Revocations     // of this process, which learns of its own without a round over the hub; nil: none
	RefreshLife time.Duration    // how long a sign-in lasts without a refresh; 0: DefaultRefreshLife. Never less than a token
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // nil: slog.Default
}

// Sessions are the sign-ins of people: how they begin, go on and end. What is kept of one is in the store; its holder
// has an access token, which says who they are for some minutes, and a refresh token, which gets the next pair once.
// It may be used from many goroutines.
type Sessions struct {
	cfg    Config // immutable after New
	wake   chan struct{}
	debt   *debt
	counts counters
}

// counters are written from anywhere.
type counters struct {
	signedIn, refreshed, wrong, throttled, stale, announced, failed atomic.Uint64
}

// Counts are the figures of Sessions since it was made.
type Counts struct {
	SignedIn          uint64 // sign-ins that began
	Refreshed         uint64 // refresh tokens that were taken
	WrongPasswords    uint64 // or logins that there are none of, or accounts that are closed
	Throttled         uint64 // passwords that were not looked at, because too many before were wrong
	RefusedRefreshes  uint64 // refresh tokens that were not taken: of sign-ins that ended, used twice, or made up
	Announced         uint64 // ends of sign-ins that were told
	FailedToAnnounce  uint64 // attempts to tell that failed, and were made again
	KnownRevocations  int    // ended sign-ins whose tokens are refused here
	DroppedRevocation uint64 // that were forgotten before their tokens expired, because there were too many
}

// New makes Sessions. It starts nothing: Run announces what ends.
func New(cfg Config) *Sessions {
	if cfg.RefreshLife <= 0 {
		cfg.RefreshLife = DefaultRefreshLife
	}
	cfg.RefreshLife = max(cfg.RefreshLife, cfg.Signer.cfg.Lifetime)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Sessions{cfg: cfg, wake: make(chan struct{}, 1), debt: newDebt()}
}

// now is as exact as the store keeps it, so that what is told is what is read back.
func (s *Sessions) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// Login checks a login and password and begins a sign-in. It is Unauthenticated, with one text, when the login is
// unknown, the password wrong or the account deactivated; RateLimited, with when to come back, after too many of
// those; RateLimited or Unavailable also when it could not be checked.
func (s *Sessions) Login(ctx context.Context, login, password string, d store.Device) (store.SignedIn, error) {
	user, hash, err := s.credentials(ctx, login)
	if err != nil {
		return store.SignedIn{}, err
	}
	ok, err := s.check(ctx, claim{login: login, password: password, address: d.Address, hash: hash, closed: user.Deactivated})
	if err != nil {
		return store.SignedIn{}, err
	}
	if !ok {
		return store.SignedIn{}, wrongPassword()
	}
	in, err := s.Begin(ctx, user, d)
	if err != nil {
		return store.SignedIn{}, err
	}
	// A password that was changed, or an account that was closed, since the hash was read has revoked the sign-ins that
	// were there then. This one was not. Whoever dies before this line has told its secrets to nobody.
	again, hashNow, err := s.credentials(ctx, login)
	if err != nil {
		return store.SignedIn{}, err
	}
	if hashNow != hash || again.Deactivated {
		if _, err := s.end(ctx, store.Revocation{UserID: user.ID, Only: in.SignIn.ID}); err != nil {
			return store.SignedIn{}, err
		}
		return store.SignedIn{}, wrongPassword()
	}
	return in, nil
}

func wrongPassword() error {
	return fault.New(fault.Unauthenticated, "the login or the password is wrong")
}

// claim is somebody who says that a password is theirs.
type claim struct {
	login, password, address string
	hash                     string // of the login's password; empty: there is none
	closed                   bool   // the account is: nothing is right
}

// check reports whether the password is right. It is RateLimited, without having looked, when the login or the
// address had too many wrong ones.
func (s *Sessions) check(ctx context.Context, c claim) (bool, error) {
	right, undo, err := s.cfg.Throttle.Begin(c.login, c.address, s.now())
	if err != nil {
		s.counts.throttled.Add(1)
		return false, err
	}
	ok, err := s.cfg.Passwords.Verify(ctx, c.hash, c.password)
	if err != nil {
		undo(s.now())
		return false, fmt.Errorf("verify a password: %w", err)
	}
	if !ok || c.closed {
		s.counts.wrong.Add(1)
		return false, nil
	}
	right(s.now())
	return true, nil
}

// credentials are those of a login. There is no error for an unknown one: its hash is empty, which
// Verify treats as any other.
func (s *Sessions) credentials(ctx context.Context, login string) (chat.User, string, error) {
	if chat.CheckLogin(login) != nil {
		return chat.User{}, "", nil
	}
	user, hash, err := s.cfg.Accounts.Credentials(ctx, login)
	if fault.Is(err, fault.NotFound) {
		return chat.User{}, "", nil
	}
	if err != nil {
		return chat.User{}, "", fmt.Errorf("read the credentials: %w", err)
	}
	return user, hash, nil
}

// Begin begins a sign-in of somebody of whom the caller has made sure who they are: by a setup code, or an invite.
func (s *Sessions) Begin(ctx context.Context, user chat.User, d store.Device) (store.SignedIn, error) {
	now := s.now()
	in := store.SignIn{
		ID: token.SignInID(newID()), UserID: user.ID, Device: d.Name, Address: d.Address,
		CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(s.cfg.RefreshLife),
	}
	refresh, secret := newRefreshToken(in.ID)
	if err := s.cfg.SignIns.AddSignIn(ctx, in, secret); err != nil {
		return store.SignedIn{}, fmt.Errorf("add a sign-in: %w", err)
	}
	s.Wake() // the oldest sign-in of many may have ended for this one
	issued, err := s.cfg.Signer.IssueFor(ctx, user.ID, in.ID)
	if err != nil {
		return store.SignedIn{}, err
	}
	s.cfg.Throttle.Known(user.Login, d.Address, now)
	s.counts.signedIn.Add(1)
	return store.SignedIn{User: user, SignIn: in, Issued: issued, Refresh: refresh}, nil
}

// Refresh takes a refresh token for a new pair of tokens. Unauthenticated, with one text: it is none of ours, its
// sign-in has ended, or it was used before. One that was used before ends its sign-in, because two have it; but the
// one before the newest is taken again for chat.RefreshGrace, because an answer may be lost.
func (s *Sessions) Refresh(ctx context.Context, refreshToken string, d store.Device) (store.SignedIn, error) {
	id, used, err := parseRefreshToken(refreshToken)
	if err != nil {
		s.counts.stale.Add(1)
		return store.SignedIn{}, refuseRefresh(err)
	}
	now := s.now()
	next, secret := newRefreshToken(id)
	in, err := s.cfg.SignIns.Refresh(ctx, store.Refresh{
		ID: id, Used: used, Next: secret, At: now, Grace: chat.RefreshGrace,
		ExpiresAt: now.Add(s.cfg.RefreshLife), Address: d.Address,
	})
	if fault.Is(err, fault.Unauthenticated) {
		s.counts.stale.Add(1)
		s.Wake() // it may have been used before, and then the sign-in has just ended
		return store.SignedIn{}, refuseRefresh(err)
	}
	if err != nil {
		return store.SignedIn{}, fmt.Errorf("refresh a sign-in: %w", err)
	}
	// What fails from here on is tried again by the client with the same token, within the grace.
	user, err := s.cfg.Accounts.User(ctx, in.UserID)
	if err != nil {
		return store.SignedIn{}, fmt.Errorf("read who refreshes: %w", err)
	}
	issued, err := s.cfg.Signer.IssueFor(ctx, in.UserID, in.ID)
	if err != nil {
		return store.SignedIn{}, err
	}
	s.cfg.Throttle.Known(user.Login, d.Address, now)
	s.counts.refreshed.Add(1)
	return store.SignedIn{User: user, SignIn: in, Issued: issued, Refresh: next}, nil
}

// refuseRefresh says the same of every refresh token that is not taken: why is for the log only.
func refuseRefresh(err error) error {
	return fault.Wrap(fault.Unauthenticated, err, "the refresh token is not valid, or no longer: sign in again")
}

// List lists the sign-ins of a user that last, the one used last first.
func (s *Sessions) List(ctx context.Context, user chat.UserID) ([]store.SignIn, error) {
	list, err := s.cfg.SignIns.SignInsOf(ctx, user, s.now())
	if err != nil {
		return nil, fmt.Errorf("list sign-ins: %w", err)
	}
	return list, nil
}

// Counts are the figures of now.
func (s *Sessions) Counts() Counts {
	out := Counts{
		SignedIn: s.counts.signedIn.Load(), Refreshed: s.counts.refreshed.Load(), WrongPasswords: s.counts.wrong.Load(),
		Throttled: s.counts.throttled.Load(), RefusedRefreshes: s.counts.stale.Load(),
		Announced: s.counts.announced.Load(), FailedToAnnounce: s.counts.failed.Load(),
	}
	if s.cfg.Revocations != nil {
		known := s.cfg.Revocations.Counts()
		out.KnownRevocations, out.DroppedRevocation = known.Known, known.Dropped
	}
	return out
}
