// Package token holds what an access token says: the claims, their limits and the fixed words in them.
//
// A token is a JWT (RFC 7519) signed with Ed25519 (alg EdDSA, RFC 8037):
//
//	header   alg "EdDSA", typ Type, kid: which key of the deployment signed it
//	claims   iss Issuer, aud Audience, sub: the user, sid: the sign-in, iat, exp: seconds since 1970
//
// Whoever holds it is that user until exp. The package owns the words; services/auth signs and verifies.
package token

import (
	"errors"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// The fixed words of a token. A token with other ones is not ours.
const (
	Issuer    = "canopy"
	Audience  = "canopy-client"     // what a client may do; other kinds of tokens get other audiences
	Type      = "canopy-access+jwt" // so that no other kind of JWT is taken for one (RFC 8725 §3.11)
	Algorithm = "EdDSA"
)

// MaxLength is the length in bytes of the longest token that is looked at. Ours have less than 500.
const MaxLength = 2048

// SignInID names one sign-in of a user on a device: what ends at a logout. It is not the
// chat.SessionID of a socket, of which a sign-in may have several.
type SignInID string

// Claims are what a token says.
type Claims struct {
	UserID    chat.UserID
	SignInID  SignInID
	IssuedAt  time.Time // whole seconds
	ExpiresAt time.Time // whole seconds
}

var (
	errSubject  = errors.New("sub is not a user id")
	errSignIn   = errors.New("sid is not an id")
	errLifetime = errors.New("exp is not after iat")
)

// Check says what makes c unfit for a token.
func (c Claims) Check() error {
	switch {
	case !chat.IsID(string(c.UserID)):
		return errSubject
	case !chat.IsID(string(c.SignInID)):
		return errSignIn
	case !c.ExpiresAt.After(c.IssuedAt):
		return errLifetime
	}
	return nil
}

// Issued is a token that was made and what it says.
type Issued struct {
	Claims
	Token string
}

// Lifetime is how long the token is valid from its making.
func (i Issued) Lifetime() time.Duration { return i.ExpiresAt.Sub(i.IssuedAt) }
