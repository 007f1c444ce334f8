package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// DefaultLifetime is how long a token is valid when the config does not say.
const DefaultLifetime = 15 * time.Minute

const (
	// rereadEvery is the longest time that a Signer signs with a pair that is no longer the newest.
	rereadEvery = time.Minute
	// keptKeys is how many pairs verify at most: who rotates oftener within a token's life ends the oldest tokens early.
	keptKeys = 8
	// latest is what may lie between the moment that a sign-in ends, or a pair is replaced, and the last token that is
	// signed all the same: by who was just doing it.
	latest = 10 * time.Second
)

// firstKey is the id of the pair that a deployment starts with. It is fixed, so that of two processes that
// make it at once the store keeps one.
const firstKey = "1"

// Keyring is where the signing pairs are kept: store.Keys.
type Keyring interface {
	// AddKey keeps a pair. When one with the same id exists, nothing changes.
	AddKey(ctx context.Context, k store.SigningKey) error
	// SigningKeys lists the pairs, newest first.
	SigningKeys(ctx context.Context) ([]store.SigningKey, error)
}

// SignerConfig is what a Signer is made of. Keyring is needed.
type SignerConfig struct {
	Keyring  Keyring
	Lifetime time.Duration    // of a token; 0: DefaultLifetime
	Now      func() time.Time // nil: time.Now
}

// Signer makes tokens with the newest of the deployment's signing pairs. It reads the keyring again from time to
// time, so that a pair that another process added is used without a restart. It may be used from many goroutines.
type Signer struct {
	cfg     SignerConfig // immutable after Open
	reading sync.Mutex   // held by the one who reads the keyring; nobody waits for it
	newest  atomic.Pointer[signingPair]
}

// signingPair is what a Signer signs with. It is never written to.
type signingPair struct {
	id      string
	private ed25519.PrivateKey
	made    time.Time
	readAt  time.Time // when the keyring said that it is the newest
}

// OpenSigner reads the signing pairs, and makes the first one when there is none yet.
func OpenSigner(ctx context.Context, cfg SignerConfig) (*Signer, error) {
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Signer{cfg: cfg}
	pairs, err := s.pairs(ctx)
	if err != nil {
		return nil, err
	}
	if len(pairs) == 0 {
		if pairs, err = s.makeFirst(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.use(pairs)
}

// pairs reads the keyring, newest first, and refuses one with what is no pair in it.
func (s *Signer) pairs(ctx context.Context) ([]store.SigningKey, error) {
	pairs, err := s.cfg.Keyring.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	for _, pair := range pairs {
		if len(pair.Seed) != ed25519.SeedSize || pair.ID == "" {
			return nil, fmt.Errorf("the signing key %.40q is not an Ed25519 pair", pair.ID)
		}
	}
	return pairs, nil
}

// use signs with the newest of pairs from now on.
func (s *Signer) use(pairs []store.SigningKey) error {
	if len(pairs) == 0 {
		return errors.New("there is no signing key")
	}
	newest := pairs[0]
	s.newest.Store(&signingPair{
		id: newest.ID, private: ed25519.NewKeyFromSeed(newest.Seed), made: newest.CreatedAt, readAt: s.cfg.Now(),
	})
	return nil
}

// pair is what to sign with. One caller in rereadEvery reads the keyring for all.
func (s *Signer) pair(ctx context.Context) (*signingPair, error) {
	now := s.newest.Load()
	if s.cfg.Now().Sub(now.readAt) < rereadEvery || !s.reading.TryLock() {
		return now, nil
	}
	defer s.reading.Unlock()
	if err := s.reread(ctx); err != nil {
		return nil, err
	}
	return s.newest.Load(), nil
}

func (s *Signer) reread(ctx context.Context) error {
	pairs, err := s.pairs(ctx)
	if err != nil {
		return err
	}
	return s.use(pairs)
}

// Rotate adds a pair and signs with it from now on; other processes do within a minute. It answers the new pair's id.
// What the older ones signed is verified until it expires.
func (s *Signer) Rotate(ctx context.Context) (id string, err error) {
	now := s.cfg.Now().UTC()
	if before := s.newest.Load(); !now.After(before.made) { // the clock of another process is ahead
		now = before.made.Add(time.Millisecond)
	}
	var b [16]byte  // the time and then chance, so that ids are in the order of time
	rand.Read(b[:]) // crypto/rand ends the process rather than fail
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMicro()))
	id = chat.IDFromBytes(b)
	if err := s.cfg.Keyring.AddKey(ctx, store.SigningKey{ID: id, Seed: newSeed(), CreatedAt: now}); err != nil {
		return "", fmt.Errorf("keep a signing key: %w", err)
	}
	return id, s.reread(ctx)
}

func newSeed() []byte {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // crypto/rand ends the process rather than fail
	return seed
}

// RevocationLife is how long the end of a sign-in must be known to those who verify tokens: until the last of its
// tokens has expired by the slowest clock. It counts from when they are told.
func (s *Signer) RevocationLife() time.Duration { return s.cfg.Lifetime + 2*leeway + latest }

// makeFirst adds the first pair and reads back which one was kept: another process may have been faster.
func (s *Signer) makeFirst(ctx context.Context) ([]store.SigningKey, error) {
	if err := s.cfg.Keyring.AddKey(ctx, store.SigningKey{ID: firstKey, Seed: newSeed(), CreatedAt: s.cfg.Now()}); err != nil {
		return nil, fmt.Errorf("keep the first signing key: %w", err)
	}
	pairs, err := s.pairs(ctx)
	if err == nil && len(pairs) == 0 {
		err = errors.New("the first signing key was not kept")
	}
	return pairs, err
}

// claims are token.Claims in the names of RFC 7519.
type claims struct {
	jwt.RegisteredClaims
	SignInID token.SignInID `json:"sid"`
}

// Issue makes a token of a sign-in that is kept nowhere, for those who are imported by the thousand: it cannot be
// refreshed or ended, and expires by itself. The caller has made sure who it is.
func (s *Signer) Issue(ctx context.Context, user chat.UserID) (token.Issued, error) {
	return s.IssueFor(ctx, user, token.SignInID(newID()))
}

// IssueFor makes a token of a sign-in of a user. The caller has made sure that it lasts.
func (s *Signer) IssueFor(ctx context.Context, user chat.UserID, id token.SignInID) (token.Issued, error) {
	pair, err := s.pair(ctx)
	if err != nil {
		return token.Issued{}, err
	}
	now := seconds(s.cfg.Now())
	return pair.sign(token.Claims{UserID: user, SignInID: id, IssuedAt: now, ExpiresAt: now.Add(s.cfg.Lifetime)})
}

// seconds is t without its fraction, as claims hold it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// sign makes the token of c, whose times are cut to seconds.
func (p *signingPair) sign(c token.Claims) (token.Issued, error) {
	c.IssuedAt, c.ExpiresAt = seconds(c.IssuedAt), seconds(c.ExpiresAt)
	if err := c.Check(); err != nil {
		return token.Issued{}, fmt.Errorf("sign a token: %w", err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: token.Issuer, Audience: jwt.ClaimStrings{token.Audience}, Subject: string(c.UserID),
			IssuedAt: jwt.NewNumericDate(c.IssuedAt), ExpiresAt: jwt.NewNumericDate(c.ExpiresAt),
		},
		SignInID: c.SignInID,
	})
	t.Header["typ"] = token.Type
	t.Header["kid"] = p.id
	raw, err := t.SignedString(p.private)
	if err != nil {
		return token.Issued{}, fmt.Errorf("sign a token: %w", err)
	}
	return token.Issued{Claims: c, Token: raw}, nil
}

// Keys lists the public halves of the pairs that tokens may still be verified with, newest first, as they are in the
// store now. It makes the Signer the KeySource of a Verifier in its process, and answers directory.keys to those in
// others. A pair that was replaced is left out when the last token that it signed has expired.
func (s *Signer) Keys(ctx context.Context) ([]rpc.VerifyKey, error) {
	pairs, err := s.pairs(ctx)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	keys := make([]rpc.VerifyKey, 0, min(len(pairs), keptKeys))
	for i, pair := range pairs[:min(len(pairs), keptKeys)] {
		if i > 0 && now.Sub(pairs[i-1].CreatedAt) > rereadEvery+latest+s.cfg.Lifetime+2*leeway {
			break // and so were all before it
		}
		public := ed25519.NewKeyFromSeed(pair.Seed)[ed25519.SeedSize:]
		keys = append(keys, rpc.VerifyKey{ID: pair.ID, Public: public})
	}
	return keys, nil
}
