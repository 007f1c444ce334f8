package auth

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
)

const (
	// DefaultPause is the least time between two fetches of keys when the config does not say.
	DefaultPause = 5 * time.Second
	// failedPause is the least time to the next fetch after one that failed: people wait for it.
	failedPause = 250 * time.Millisecond
	// fetchBudget is how long one fetch of keys may take.
	fetchBudget = 3 * time.Second
	// leeway is how far the clocks of two machines may be apart.
	leeway = 10 * time.Second
	// maxKeys is how many keys are kept of what a KeySource says.
	maxKeys = 64
)

// KeySource is where a Verifier gets public keys: a Signer, or directory.keys of another process.
type KeySource interface {
	// Keys lists the keys that verify tokens.
	Keys(ctx context.Context) ([]rpc.VerifyKey, error)
}

// VerifierConfig is what a Verifier is made of. Source is needed.
type VerifierConfig struct {
	Source      KeySource
	Revocations *Revocations     // whose tokens are refused though they are good; nil: nobody's
	Pause       time.Duration    // least time between two fetches; 0: DefaultPause
	Now         func() time.Time // nil: time.Now
}

// Verifier checks tokens with public keys that it keeps. It fetches keys when a token names one that it does
// not have, or has another key under that name (a deployment that was made anew); never more often than
// the pause (a short one after a fetch that failed), so that tokens with made-up names cost the directory nothing. Keys that it has go on
// verifying while the source is down. It may be used from many goroutines.
type Verifier struct {
	// immutable after New
	cfg    VerifierConfig
	parser *jwt.Parser
	turn   chan struct{} // holds a token while one caller fetches; the others wait for its result

	known atomic.Pointer[keySet]
}

// keySet is what one fetch ended with. It is never written to.
type keySet struct {
	keys map[string]ed25519.PublicKey
	at   time.Time // when the fetch ended
	err  error     // that it ended with: keys are those of the fetch before
}

var (
	errUnknownKey = errors.New("no key of this name")
	errHeader     = errors.New("the header is not that of an access token")
	errRevoked    = errors.New("its sign-in has ended")
)

// NewVerifier makes a Verifier, which has no keys before its first Refresh or Verify.
func NewVerifier(cfg VerifierConfig) *Verifier {
	if cfg.Pause <= 0 {
		cfg.Pause = DefaultPause
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	v := &Verifier{
		cfg:  cfg,
		turn: make(chan struct{}, 1),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{token.Algorithm}), jwt.WithIssuer(token.Issuer), jwt.WithAudience(token.Audience),
			jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(cfg.Now), jwt.WithStrictDecoding(),
		),
	}
	v.known.Store(&keySet{})
	return v
}

// Verify says who holds a token. It is Unauthenticated, with one text, for everything that is not a valid
// token or is of a sign-in that has ended, and Unavailable when its key is not known and keys cannot be fetched.
func (v *Verifier) Verify(ctx context.Context, raw string) (token.Claims, error) {
	if len(raw) > token.MaxLength {
		return token.Claims{}, refuse(errHeader)
	}
	before := v.known.Load()
	c, err := v.check(raw, before)
	if err == nil {
		return c, nil
	}
	if !errors.Is(err, errUnknownKey) && !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		return token.Claims{}, refuse(err)
	}
	now, fetchErr := v.fetch(ctx, before)
	if fetchErr != nil {
		return token.Claims{}, fetchErr
	}
	if c, err = v.check(raw, now); err == nil {
		return c, nil
	}
	if errors.Is(err, errUnknownKey) && now.err != nil {
		return token.Claims{}, fault.Wrap(fault.Unavailable, now.err, "tokens cannot be checked at this moment").After(v.pauseAfter(now))
	}
	return token.Claims{}, refuse(err)
}

// refuse says the same of every token that is not valid: why is for the log only.
func refuse(err error) error {
	return fault.Wrap(fault.Unauthenticated, err, "the token is not valid, or no longer")
}

// Refresh fetches the keys, so that tokens are verified from the first one on also when the source goes down.
func (v *Verifier) Refresh(ctx context.Context) error {
	set, err := v.fetch(ctx, v.known.Load())
	if err != nil {
		return err
	}
	return set.err
}

// fetch answers a key set that is newer than before, or the one there is when the last fetch was within
// the pause. One caller fetches; the others wait and take what it got. The error is that of ctx.
func (v *Verifier) fetch(ctx context.Context, before *keySet) (*keySet, error) {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	last := v.known.Load()
	if last != before || (!last.at.IsZero() && v.cfg.Now().Sub(last.at) < v.pauseAfter(last)) {
		return last, nil
	}
	// A fetch serves everybody who waits, so the one who happens to make it may not end it by going away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchBudget)
	defer cancel()
	listed, err := v.cfg.Source.Keys(ctx)
	next := &keySet{keys: last.keys, at: v.cfg.Now()}
	if err != nil {
		next.err = fmt.Errorf("fetch the keys of tokens: %w", err)
	} else {
		next.keys = keysOf(listed)
	}
	v.known.Store(next)
	return next, nil
}

// pauseAfter is the least time between a fetch and the next one.
func (v *Verifier) pauseAfter(last *keySet) time.Duration {
	if last.err != nil {
		return min(failedPause, v.cfg.Pause)
	}
	return v.cfg.Pause
}

func keysOf(listed []rpc.VerifyKey) map[string]ed25519.PublicKey {
	keys := make(map[string]ed25519.PublicKey, len(listed))
	for _, k := range listed[:min(len(listed), maxKeys)] {
		if len(k.Public) == ed25519.PublicKeySize {
			keys[k.ID] = ed25519.PublicKey(k.Public)
		}
	}
	return keys
}

// check verifies raw with the keys of set alone. Whatever keys a header carries or points to (jwk, jku,
// x5u) are not looked at: only kid chooses, among ours.
func (v *Verifier) check(raw string, set *keySet) (token.Claims, error) {
	var c claims
	_, err := v.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		if typ, ok := t.Header["typ"].(string); !ok || typ != token.Type {
			return nil, errHeader
		}
		if _, critical := t.Header["crit"]; critical { // we know no extension, so we must refuse (RFC 7515 §4.1.11)
			return nil, errHeader
		}
		kid, ok := t.Header["kid"].(string)
		if !ok {
			return nil, errHeader
		}
		key, ok := set.keys[kid]
		if !ok {
			return nil, errUnknownKey
		}
		return key, nil
	})
	if err != nil {
		return token.Claims{}, err
	}
	out := token.Claims{UserID: chat.UserID(c.Subject), SignInID: c.SignInID}
	if c.IssuedAt == nil {
		return token.Claims{}, errHeader
	}
	out.IssuedAt, out.ExpiresAt = c.IssuedAt.UTC(), c.ExpiresAt.UTC()
	if v.cfg.Revocations.Revoked(out.SignInID) {
		return token.Claims{}, errRevoked
	}
	return out, out.Check()
}
