package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// Accounts is what a sign-in needs of the directory's store.
type Accounts interface {
	// Credentials reads an account by its login, with its password hash. NotFound.
	Credentials(ctx context.Context, login string) (chat.User, string, error)
}

// LoginConfig is what Login is made of. All fields are needed.
type LoginConfig struct {
	Accounts  Accounts
	Passwords *Passwords
	Signer    *Signer
}

// Login lets people in.
type Login struct {
	cfg LoginConfig
}

// NewLogin makes a Login.
func NewLogin(cfg LoginConfig) *Login { return &Login{cfg} }

// Login checks a login and password and makes a token for a new sign-in. It is Unauthenticated, with one
// text, when the login is unknown, the password wrong or the account deactivated; RateLimited or
// Unavailable when it could not be checked.
func (l *Login) Login(ctx context.Context, login, password string) (chat.User, token.Issued, error) {
	user, hash, err := l.credentials(ctx, login)
	if err != nil {
		return chat.User{}, token.Issued{}, err
	}
	ok, err := l.cfg.Passwords.Verify(ctx, hash, password)
	if err != nil {
		return chat.User{}, token.Issued{}, fmt.Errorf("verify a password: %w", err)
	}
	if !ok || user.Deactivated {
		return chat.User{}, token.Issued{}, fault.New(fault.Unauthenticated, "the login or the password is wrong")
	}
	issued, err := l.cfg.Signer.Issue(ctx, user.ID)
	if err != nil {
		return chat.User{}, token.Issued{}, err
	}
	return user, issued, nil
}

// credentials are those of a login. There is no error for an unknown one: its hash is empty, which
// Verify treats as any other.
func (l *Login) credentials(ctx context.Context, login string) (chat.User, string, error) {
	if chat.CheckLogin(login) != nil {
		return chat.User{}, "", nil
	}
	user, hash, err := l.cfg.Accounts.Credentials(ctx, login)
	if fault.Is(err, fault.NotFound) {
		return chat.User{}, "", nil
	}
	if err != nil {
		return chat.User{}, "", fmt.Errorf("read the credentials: %w", err)
	}
	return user, hash, nil
}

// seconds is t without its fraction, as claims hold it.
func seconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
