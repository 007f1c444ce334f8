package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

const (
	// announceWait is how long who ends a sign-in waits for the others to be told.
	announceWait = 2 * time.Second
	// announceBatch is how many ends are told at once, and announceBudget how long one attempt to do so may take. A hub
	// that takes a seventh of a second for each is still told: what was told of a batch that failed does not count.
	announceBatch  = 20
	announceBudget = 3 * time.Second
	// announceFirst and announceLongest are the pauses between attempts that fail.
	announceFirst   = 100 * time.Millisecond
	announceLongest = 5 * time.Second
	// announceEvery is how often it is looked for ends that nobody hurried: those of another process that died, or was
	// on its way to wake this one.
	announceEvery = 15 * time.Second
)

// Revoke ends a sign-in of a user. It returns when everybody who verifies tokens is told; when the hub does not
// answer, after 2 s, and it is told later. NotFound: it is not one of theirs. One that has ended stays so.
func (s *Sessions) Revoke(ctx context.Context, user chat.UserID, id token.SignInID) error {
	in, err := s.cfg.SignIns.SignIn(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return fmt.Errorf("read a sign-in: %w", err)
	}
	if err != nil || in.UserID != user {
		return fault.New(fault.NotFound, "there is no such session of yours")
	}
	if _, err := s.end(ctx, store.Revocation{UserID: user, Only: id}); err != nil {
		return err
	}
	s.settle(ctx)
	return nil
}

// RevokeOthers ends all sign-ins of a user but one. It returns as Revoke does.
func (s *Sessions) RevokeOthers(ctx context.Context, user chat.UserID, keep token.SignInID) error {
	ended, err := s.end(ctx, store.Revocation{UserID: user, Except: keep})
	if err != nil {
		return err
	}
	if len(ended) > 0 {
		s.settle(ctx)
	}
	return nil
}

// ChangePassword gives the holder of a token another password. All their sign-ins end but the one of the token, and
// it returns as Revoke does. Forbidden: the old one is wrong, which is throttled as at the door, by the address that
// the sign-in was used from last. Invalid: the new one is too short or too long. Unauthenticated: the sign-in has
// ended. RateLimited or Unavailable: it could not be checked.
func (s *Sessions) ChangePassword(ctx context.Context, c token.Claims, old, fresh string) error {
	if err := chat.CheckPassword(fresh); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	in, err := s.lasting(ctx, c)
	if err != nil {
		return err
	}
	user, err := s.cfg.Accounts.User(ctx, c.UserID)
	if err != nil {
		return fmt.Errorf("read whose password it is: %w", err)
	}
	_, hash, err := s.credentials(ctx, user.Login)
	if err != nil {
		return err
	}
	ok, err := s.check(ctx, claim{login: user.Login, password: old, address: in.Address, hash: hash, closed: user.Deactivated})
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.Forbidden, "the old password is wrong")
	}
	hash, err = s.cfg.Passwords.Hash(ctx, fresh)
	if err != nil {
		return err
	}
	if err := s.cfg.Accounts.SetPassword(ctx, hash, store.Revocation{UserID: c.UserID, Except: c.SignInID, At: s.now()}); err != nil {
		return fmt.Errorf("set a password: %w", err)
	}
	s.settle(ctx)
	return nil
}

// end ends sign-ins in the store, from which Run reads whom to tell of: who dies after it leaves nothing undone.
func (s *Sessions) end(ctx context.Context, r store.Revocation) ([]store.SignIn, error) {
	r.At = s.now()
	ended, err := s.cfg.SignIns.Revoke(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("end sign-ins: %w", err)
	}
	s.note(ended)
	s.Wake()
	return ended, nil
}

// note tells the verifier of this process, which shall not wait for the hub.
func (s *Sessions) note(ended []store.SignIn) {
	if s.cfg.Revocations == nil {
		return
	}
	until := s.now().Add(s.cfg.Signer.RevocationLife())
	for _, in := range ended {
		s.cfg.Revocations.Note(in.ID, until)
	}
}

// Wake says that sign-ins were ended in the store. It does not wait.
func (s *Sessions) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // Run will look anyway
	}
}

// settle waits until all that had ended when it was called is announced, or for announceWait, or for ctx.
func (s *Sessions) settle(ctx context.Context) {
	mine := s.debt.owe()
	s.Wake()
	timer := time.NewTimer(announceWait)
	defer timer.Stop()
	for {
		paid, changed := s.debt.state()
		if paid >= mine {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Run announces the ends of sign-ins until ctx ends: at its start what a process before it owed, then whenever it is
// woken. What could not be announced is tried again, after pauses that grow.
func (s *Sessions) Run(ctx context.Context) error {
	pause := announceFirst
	for failures := 0; ; {
		err := s.announce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wake, wait := s.wake, announceEvery
		switch {
		case err != nil:
			if failures == 0 {
				s.cfg.Logger.Warn("who verifies tokens cannot be told which sign-ins have ended; it is tried again", "err", err)
			}
			failures++
			s.counts.failed.Add(1)
			wake, wait = nil, pause // whoever wakes it must not make it hammer the hub
			pause = min(2*pause, announceLongest)
		case failures > 0:
			s.cfg.Logger.Info("who verifies tokens is told again which sign-ins have ended", "failed", failures)
			failures, pause = 0, announceFirst
		}
		timer := time.NewTimer(wait)
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// announce announces all that is owed. A process that dies between Announce and Announced announces it again, which
// changes nothing.
func (s *Sessions) announce(ctx context.Context) error {
	upTo := s.debt.owed()
	for {
		ended, err := s.cfg.SignIns.Unannounced(ctx, announceBatch)
		if err != nil {
			return fmt.Errorf("read which sign-ins have ended: %w", err)
		}
		if len(ended) == 0 {
			s.debt.pay(upTo)
			return nil
		}
		s.note(ended) // those that the store ended by itself
		if err := s.announceSome(ctx, ended); err != nil {
			return err
		}
		s.counts.announced.Add(uint64(len(ended)))
	}
}

func (s *Sessions) announceSome(ctx context.Context, ended []store.SignIn) error {
	attempt, cancel := context.WithTimeout(ctx, announceBudget)
	defer cancel()
	if err := s.cfg.Announcer.Announce(attempt, ended); err != nil {
		return fmt.Errorf("announce %d ended sign-ins: %w", len(ended), err)
	}
	ids := make([]token.SignInID, len(ended))
	for i, in := range ended {
		ids[i] = in.ID
	}
	if err := s.cfg.SignIns.Announced(ctx, ids); err != nil {
		return fmt.Errorf("note what was announced: %w", err)
	}
	return nil
}

// debt counts who waits for announcements. Each takes the next number; a round that found nothing left to announce
// pays all numbers that were taken before it began.
type debt struct {
	mu      sync.Mutex // guards what follows
	taken   uint64
	paid    uint64
	changed chan struct{} // closed when paid grows, and then another one
}

func newDebt() *debt { return &debt{changed: make(chan struct{})} }

func (d *debt) owe() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken++
	return d.taken
}

func (d *debt) owed() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken
}

func (d *debt) pay(upTo uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if upTo > d.paid {
		d.paid = upTo
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

func (d *debt) state() (paid uint64, changed <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.paid, d.changed
}
