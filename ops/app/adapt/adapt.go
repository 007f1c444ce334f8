// Package adapt makes of one or two parts the neighbour that another part wants.
package adapt

import (
	"context"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
)

// SignIns counts how logins end.
type SignIns struct {
	*auth.Sessions
	Metrics *obs.Metrics
}

// Login is api.SignIns.
func (s SignIns) Login(ctx context.Context, login, password string, d store.Device) (store.SignedIn, error) {
	in, err := s.Sessions.Login(ctx, login, password, d)
	s.Metrics.LoginAttempt(err)
	return in, err
}

// Roles is all that changes what people are: the rules of workspaces and channels, and those of accounts.
type Roles struct {
	*directory.Service
	Accounts *accounts.Service
}

// SetDeactivated is api.Roles.
func (r Roles) SetDeactivated(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, d store.Deactivation) (chat.User, error) {
	return r.Accounts.SetDeactivated(ctx, by, ws, d)
}

// Tokens makes tokens for operators: each is a sign-in that can be listed and revoked.
type Tokens struct {
	Sessions *auth.Sessions
	Users    store.Users
}

// Issue is accounts.Tokens.
func (t Tokens) Issue(ctx context.Context, user chat.UserID) (token.Issued, error) {
	account, err := t.Users.User(ctx, user)
	if err != nil {
		return token.Issued{}, err
	}
	in, err := t.Sessions.Begin(ctx, account, store.Device{Name: "canopy token"})
	return in.Issued, err
}
