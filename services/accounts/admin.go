package accounts

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// What an Admin needs besides a Service.
type (
	// Tokens makes access tokens: services/auth.
	Tokens interface {
		// Issue makes a token for a new sign-in of a user.
		Issue(ctx context.Context, user chat.UserID) (token.Issued, error)
	}
	// Rotator makes another key sign tokens: services/auth.
	Rotator interface {
		Rotate(ctx context.Context) (kid string, err error)
	}
)

// Admin answers the questions of operators. Whoever reaches it over NATS has the deployment's own credentials, so it
// asks nobody whether they may; it keeps what must hold whoever asks: names that can be shown, workspaces that have an owner.
//
// An event needs somebody who did it, and an operator is no account. So what concerns an account alone is told as done by
// that account itself, and what concerns a workspace as done by its first owner: of its owners whose accounts are
// open, the one with the lowest id, which is the oldest account.
type Admin struct {
	*Service
	tokens  Tokens
	rotator Rotator
}

// NewAdmin makes an Admin of a Service.
func NewAdmin(s *Service, tokens Tokens, rotator Rotator) *Admin {
	return &Admin{Service: s, tokens: tokens, rotator: rotator}
}

// limitOf is how many rows of a list are asked for. The store refuses what is too many.
func limitOf(limit int) int {
	if limit == 0 {
		return chat.DefaultPageSize
	}
	return limit
}

// Users answers admin.users.
func (a *Admin) Users(ctx context.Context, req rpc.UsersRequest) (rpc.UsersReply, error) {
	limit := limitOf(req.Limit)
	users, err := a.db.ListUsers(ctx, req.After, limit)
	if err != nil {
		return rpc.UsersReply{}, err
	}
	reply := rpc.UsersReply{Users: make([]rpc.Account, len(users))}
	for i, u := range users {
		reply.Users[i] = accountOf(u)
	}
	if len(users) == limit {
		reply.Next = users[limit-1].ID
	}
	return reply, nil
}

func accountOf(u chat.User) rpc.Account {
	return rpc.Account{UserID: u.ID, Login: u.Login, DisplayName: u.DisplayName, Deactivated: u.Deactivated, CreatedAt: u.CreatedAt}
}

// find is the account that is named by its id or by its login.
func (a *Admin) find(ctx context.Context, id chat.UserID, login string) (user chat.User, err error) {
	switch {
	case id != "" && login != "":
		return chat.User{}, fault.New(fault.Invalid, "user_id and login: one says which account")
	case id != "":
		user, err = a.db.User(ctx, id)
	case login != "":
		user, _, err = a.db.Credentials(ctx, login)
	default:
		return chat.User{}, fault.New(fault.Invalid, "say which account by user_id or login")
	}
	if fault.Is(err, fault.NotFound) {
		return chat.User{}, fault.Wrap(fault.NotFound, err, "there is no account %.80q", string(id)+login)
	}
	return user, err
}

// User answers admin.user.
func (a *Admin) User(ctx context.Context, req rpc.UserRequest) (rpc.UserReply, error) {
	if req.Do == rpc.UserAdd {
		return a.addUser(ctx, req)
	}
	user, err := a.find(ctx, req.UserID, req.Login)
	if err != nil {
		return rpc.UserReply{}, err
	}
	lasting, err := a.db.SignInsOf(ctx, user.ID, a.cfg.Now().UTC())
	if err != nil {
		return rpc.UserReply{}, err
	}
	switch req.Do {
	case rpc.UserShow:
	case rpc.UserPassword:
		err = a.setPassword(ctx, user.ID, req.Password)
	case rpc.UserDeactivate, rpc.UserActivate:
		_, err = a.setDeactivated(ctx, store.Deactivation{UserID: user.ID, By: user.ID, Deactivated: req.Do == rpc.UserDeactivate})
	case rpc.UserRevoke:
		err = a.revoke(ctx, user.ID, req.SignInID)
	default:
		err = fault.New(fault.Invalid, "there is no action %.40q", req.Do)
	}
	if err != nil {
		return rpc.UserReply{}, err
	}
	reply, err := a.show(ctx, user.ID)
	reply.Revoked = max(0, len(lasting)-len(reply.SignIns))
	return reply, err
}

// addUser makes an account.
func (a *Admin) addUser(ctx context.Context, req rpc.UserRequest) (rpc.UserReply, error) {
	who := store.Newcomer{Login: req.Login, DisplayName: req.DisplayName, Password: req.Password}
	made, err := a.withoutPassword(who)
	if who.Password != "" {
		made, err = a.account(ctx, who)
	}
	if err != nil {
		return rpc.UserReply{}, err
	}
	if err := a.db.CreateUsers(ctx, []store.NewUser{made}); err != nil {
		return rpc.UserReply{}, loginTaken(err, "make an account")
	}
	return a.show(ctx, made.ID)
}

// setPassword gives an account another password; all sign-ins end.
func (a *Admin) setPassword(ctx context.Context, user chat.UserID, password string) error {
	if err := chat.CheckPassword(password); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	hash, err := a.cfg.Hasher.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	if err := a.db.SetPassword(ctx, hash, store.Revocation{UserID: user, At: a.cfg.Now().UTC()}); err != nil {
		return fmt.Errorf("change a password: %w", err)
	}
	a.signedOut()
	return nil
}

// revoke ends one sign-in of an account, or all of them. One that has ended stays so.
func (a *Admin) revoke(ctx context.Context, user chat.UserID, id token.SignInID) error {
	if id != "" {
		found, err := a.db.SignIn(ctx, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || found.UserID != user {
			return fault.New(fault.NotFound, "the account has no sign-in %.40q", id)
		}
	}
	if _, err := a.db.Revoke(ctx, store.Revocation{UserID: user, Only: id, At: a.cfg.Now().UTC()}); err != nil {
		return fmt.Errorf("end sign-ins: %w", err)
	}
	a.signedOut()
	return nil
}

// show reads an account with what belongs to it.
func (a *Admin) show(ctx context.Context, id chat.UserID) (rpc.UserReply, error) {
	user, err := a.db.User(ctx, id)
	if err != nil {
		return rpc.UserReply{}, err
	}
	all, err := a.db.WorkspacesOf(ctx, id)
	if err != nil {
		return rpc.UserReply{}, err
	}
	signIns, err := a.db.SignInsOf(ctx, id, a.cfg.Now().UTC())
	if err != nil {
		return rpc.UserReply{}, err
	}
	reply := rpc.UserReply{Account: accountOf(user)}
	for _, m := range all {
		reply.Workspaces = append(reply.Workspaces, rpc.UserWorkspace{WorkspaceID: m.Workspace.ID, Name: m.Workspace.Name, Role: m.Role})
	}
	for _, s := range signIns {
		reply.SignIns = append(reply.SignIns, rpc.SignIn{
			SignInID: s.ID, Device: s.Device, Address: s.Address, CreatedAt: s.CreatedAt, UsedAt: s.UsedAt, ExpiresAt: s.ExpiresAt,
		})
	}
	return reply, nil
}

// Token answers admin.token.
func (a *Admin) Token(ctx context.Context, req rpc.TokenRequest) (rpc.TokenReply, error) {
	user, err := a.find(ctx, req.UserID, req.Login)
	if err != nil {
		return rpc.TokenReply{}, err
	}
	if user.Deactivated {
		return rpc.TokenReply{}, fault.New(fault.Conflict, "the account is closed: activate it first")
	}
	issued, err := a.tokens.Issue(ctx, user.ID)
	if err != nil {
		return rpc.TokenReply{}, fmt.Errorf("issue a token: %w", err)
	}
	return rpc.TokenReply{UserID: user.ID, Login: user.Login, Token: issued.Token, SignInID: issued.SignInID, ExpiresAt: issued.ExpiresAt}, nil
}

// Keys answers admin.keys.
func (a *Admin) Keys(ctx context.Context, req rpc.SigningKeysRequest) (rpc.SigningKeysReply, error) {
	if req.Rotate {
		if _, err := a.rotator.Rotate(ctx); err != nil {
			return rpc.SigningKeysReply{}, fmt.Errorf("make another signing key: %w", err)
		}
	}
	keys, err := a.db.SigningKeys(ctx)
	if err != nil {
		return rpc.SigningKeysReply{}, err
	}
	reply := rpc.SigningKeysReply{Keys: make([]rpc.SigningKey, len(keys))}
	for i, k := range keys {
		reply.Keys[i] = rpc.SigningKey{ID: k.ID, CreatedAt: k.CreatedAt}
	}
	return reply, nil
}
