package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"runtime"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// hashPause is when it is worth trying again after the queue for hashing was full.
const hashPause = time.Second

// waitersPerSlot is how many may wait for each hash that runs: some two seconds' worth.
const waitersPerSlot = 64

// Passwords hashes and verifies passwords, a bounded number at once: each takes 19 MiB and some tens of
// milliseconds of a core, so without a bound a crowd at the door would take the machine. Who finds the
// queue full is refused as RateLimited.
type Passwords struct {
	slots chan struct{} // holds one token for each hash that runs
	queue chan struct{} // holds one token for each caller, running or waiting
	dummy phc           // what an unknown login is verified against
}

// NewPasswords makes a Passwords that runs at most parallel hashes at once; 0: as many as there are cores.
func NewPasswords(parallel int) *Passwords {
	if parallel < 1 {
		parallel = runtime.GOMAXPROCS(0)
	}
	return &Passwords{
		slots: make(chan struct{}, parallel),
		queue: make(chan struct{}, parallel*(1+waitersPerSlot)),
		dummy: fresh(make([]byte, saltLength)),
	}
}

func fresh(salt []byte) phc {
	return phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: salt, key: make([]byte, keyLength)}
}

// Hash makes the PHC string of a new password. Invalid: it is too short or too long. RateLimited: too many at once.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := chat.CheckPassword(password); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "%v", err)
	}
	salt := make([]byte, saltLength)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	made := fresh(salt)
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	made.key = made.derive(password)
	return made.String(), nil
}

// Verify reports whether password is the one that hash was made of. An empty hash, or one that cannot be
// read, is of no password, and takes as long as any other: what it costs does not tell whether a login
// exists. The error is RateLimited, or that of ctx.
func (p *Passwords) Verify(ctx context.Context, hash, password string) (bool, error) {
	if len(password) > chat.MaxPassword { // whatever the login, so it tells nothing
		return false, nil
	}
	stored, err := parsePHC(hash)
	known := err == nil
	if !known {
		stored = p.dummy
	}
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	same := subtle.ConstantTimeCompare(stored.derive(password), stored.key) == 1
	return known && same, nil
}

// enter waits for a slot.
func (p *Passwords) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil { // who went away costs no hash
		return err
	}
	select {
	case p.queue <- struct{}{}:
	default:
		return fault.New(fault.RateLimited, "too many people are signing in at once").After(hashPause)
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-p.queue
		return ctx.Err()
	}
}

func (p *Passwords) leave() {
	<-p.slots
	<-p.queue
}
