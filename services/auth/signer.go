package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// DefaultLifetime is how long a token is valid when the config does not say: a working day, because
// without a refresh whoever holds it signs in again after that.
const DefaultLifetime = 12 * time.Hour

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

// Signer makes tokens with the newest of the deployment's signing pairs. It may be used from many goroutines.
type Signer struct {
	cfg  SignerConfig
	id   string
	pair ed25519.PrivateKey
}

// OpenSigner reads the signing pairs, and makes the first one when there is none yet.
func OpenSigner(ctx context.Context, cfg SignerConfig) (*Signer, error) {
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pairs, err := cfg.Keyring.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	if len(pairs) == 0 {
		if pairs, err = makeFirst(ctx, cfg); err != nil {
			return nil, err
		}
	}
	newest := pairs[0]
	if len(newest.Seed) != ed25519.SeedSize || newest.ID == "" {
		return nil, fmt.Errorf("the signing key %.40q is not an Ed25519 pair", newest.ID)
	}
	return &Signer{cfg: cfg, id: newest.ID, pair: ed25519.NewKeyFromSeed(newest.Seed)}, nil
}

// makeFirst adds the first pair and reads back which one was kept: another process may have been faster.
func makeFirst(ctx context.Context, cfg SignerConfig) ([]store.SigningKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := rand.Read(seed); err != nil {
		return nil, err
	}
	if err := cfg.Keyring.AddKey(ctx, store.SigningKey{ID: firstKey, Seed: seed, CreatedAt: cfg.Now()}); err != nil {
		return nil, fmt.Errorf("keep the first signing key: %w", err)
	}
	pairs, err := cfg.Keyring.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	if len(pairs) == 0 {
		return nil, errors.New("the first signing key was not kept")
	}
	return pairs, nil
}

// claims are token.Claims in the names of RFC 7519.
type claims struct {
	jwt.RegisteredClaims
	SignInID token.SignInID `json:"sid"`
}

// Issue makes a token for a new sign-in of a user. The caller has made sure who it is.
func (s *Signer) Issue(_ context.Context, user chat.UserID) (token.Issued, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return token.Issued{}, err
	}
	now := seconds(s.cfg.Now())
	return s.Sign(token.Claims{
		UserID: user, SignInID: token.SignInID(chat.IDFromBytes(id)),
		IssuedAt: now, ExpiresAt: now.Add(s.cfg.Lifetime),
	})
}

// Sign makes the token of c, whose times are cut to seconds.
func (s *Signer) Sign(c token.Claims) (token.Issued, error) {
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
	t.Header["kid"] = s.id
	raw, err := t.SignedString(s.pair)
	if err != nil {
		return token.Issued{}, fmt.Errorf("sign a token: %w", err)
	}
	return token.Issued{Claims: c, Token: raw}, nil
}

// Keys lists the public halves of all pairs, newest first, as they are in the store now. It makes the
// Signer the KeySource of a Verifier in its process, and answers directory.keys to those in others.
func (s *Signer) Keys(ctx context.Context) ([]rpc.VerifyKey, error) {
	pairs, err := s.cfg.Keyring.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the signing keys: %w", err)
	}
	keys := make([]rpc.VerifyKey, 0, len(pairs))
	for _, pair := range pairs {
		if len(pair.Seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("the signing key %.40q is not an Ed25519 pair", pair.ID)
		}
		public := ed25519.NewKeyFromSeed(pair.Seed)[ed25519.SeedSize:]
		keys = append(keys, rpc.VerifyKey{ID: pair.ID, Public: public})
	}
	return keys, nil
}
