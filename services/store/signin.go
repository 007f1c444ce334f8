package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
)

// SignIns are the server's side of who is signed in where. A sign-in lasts until it is revoked or has not been
// refreshed for its life; whoever issues access tokens asks here first. Secrets are kept as SHA-256 hashes: what one
// reads in the database lets nobody in.
type SignIns interface {
	// AddSignIn adds a sign-in with the hash of its first refresh token. When the user has chat.MaxSignIns that last
	// already, the one used longest ago is revoked in the same transaction. NotFound: no such user. Unauthenticated: they are
	// deactivated, which may have happened since the password was looked at. Conflict: the id is taken.
	AddSignIn(ctx context.Context, s SignIn, refresh Secret) error
	// SignIn reads a sign-in, also one that was revoked. NotFound.
	SignIn(ctx context.Context, id token.SignInID) (SignIn, error)
	// SignInsOf lists those of a user that last at a moment, the one used last first.
	SignInsOf(ctx context.Context, user chat.UserID, at time.Time) ([]SignIn, error)
	// Refresh takes a refresh token for another one, as r.Of says of what is kept. The result is the sign-in after it. When
	// the token was used before and its grace is over, the sign-in is revoked in this very transaction, which is kept, and
	// the error is Unauthenticated; so it is, without a change, for a token that never was one of the sign-in, for a
	// sign-in that is revoked or has lapsed, and for a user who is deactivated.
	Refresh(ctx context.Context, r Refresh) (SignIn, error)
	// Revoke ends sign-ins of a user that last. The result is those that it ended.
	Revoke(ctx context.Context, r Revocation) ([]SignIn, error)
	// Unannounced reads sign-ins that were revoked and whose end was not announced yet, the oldest revocation first.
	Unannounced(ctx context.Context, limit int) ([]SignIn, error)
	// Announced notes that the ends of sign-ins were announced. Ids that it does not know are passed over.
	Announced(ctx context.Context, ids []token.SignInID) error
}

// Secret is the SHA-256 of a secret that somebody else holds.
type Secret [32]byte

// SignIn is one sign-in of a user on a device.
type SignIn struct {
	ID        token.SignInID
	UserID    chat.UserID
	Device    string // as the client named it; may be empty
	Address   string // of the client at the last use, an IP address; may be empty
	CreatedAt time.Time
	UsedAt    time.Time // of the sign-in or the last refresh
	ExpiresAt time.Time // when it lapses unless it is refreshed
	RevokedAt time.Time // zero: it was not
}

// Lasts reports whether the sign-in counts at a moment.
func (s SignIn) Lasts(at time.Time) bool { return s.RevokedAt.IsZero() && at.Before(s.ExpiresAt) }

// Refresh takes the refresh token Used for Next. Every token that a sign-in ever had is known until the sign-in is
// forgotten, so that one which was stolen and used again is seen to be.
//
//	Used is the newest          Next becomes the newest; Used was used at At
//	Used was used before        at most Grace ago: the answer was lost, or two windows of a browser asked at once. Next
//	                            becomes the newest, and what was the newest before counts as used as well
//	Used was used before that   a thief or a mistake: the sign-in is revoked
type Refresh struct {
	ID        token.SignInID
	Used      Secret
	Next      Secret
	At        time.Time
	Grace     time.Duration
	ExpiresAt time.Time // of the sign-in from now on
	Address   string
}

// Revocation says which sign-ins end.
type Revocation struct {
	UserID chat.UserID
	Only   token.SignInID // empty: all of the user
	Except token.SignInID // with all: but this one
	At     time.Time
}

// Tickets are what opens one socket, once.
type Tickets interface {
	// AddTicket keeps a ticket. Those that lapsed long ago are forgotten at the same time.
	AddTicket(ctx context.Context, t Ticket) error
	// RedeemTicket takes a ticket away and says whose it was. Of many who ask at once one gets it. Unauthenticated: there
	// is no such ticket (any more), it has lapsed, or its sign-in does not last.
	RedeemTicket(ctx context.Context, ticket Secret, at time.Time) (SignIn, error)
}

// Ticket is a one-time right to open a socket for a sign-in.
type Ticket struct {
	Secret    Secret
	SignInID  token.SignInID
	ExpiresAt time.Time
}

// Device is from where somebody signs in, or refreshes.
type Device struct {
	Name    string // as the client says; may be empty
	Address string // IP address; may be empty
}

// SignedIn is somebody who was let in, with the secrets that they get: services/auth makes it, services/api tells it.
type SignedIn struct {
	User    chat.User
	SignIn  SignIn
	Issued  token.Issued // the access token
	Refresh string       // the refresh token
}
