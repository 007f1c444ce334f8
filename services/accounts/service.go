package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// What a Service needs of its neighbours. ops/app hands them over.
type (
	// Directory has the rules of workspaces: services/directory.
	Directory interface {
		// Draft is a workspace that is to be made, with its first channel. The error is Invalid.
		Draft(name string, owner chat.UserID) (chat.Workspace, chat.Channel, error)
		// CreateWorkspace makes a workspace with its first channel.
		CreateWorkspace(ctx context.Context, by chat.UserID, name string) (store.Membership, error)
		// Settle waits until the log has what was changed in a workspace.
		Settle(ctx context.Context, ws chat.WorkspaceID) error
	}
	// Hasher hashes passwords: services/auth.
	Hasher interface {
		Hash(ctx context.Context, password string) (string, error)
	}
	// Mailer sends mail. It answers when the mail is on its way, not when it has arrived.
	Mailer interface {
		SendInvite(ctx context.Context, m store.InviteMail) error
	}
	// SignOuts is told that the store has ended sign-ins, which are to be announced: services/auth. It does not block.
	SignOuts interface {
		Wake()
	}
)

// Config is what a Service is made of. Store, Directory and Hasher are needed.
type Config struct {
	Store     store.Directory
	Directory Directory
	Hasher    Hasher
	Mailer    Mailer           // nil: no mail is sent
	SignOuts  SignOuts         // nil: nobody is told
	PublicURL string           // where people reach REST, https://host; empty: invites are codes without a link
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger     // nil: slog.Default
}

// Service is the rules of accounts and invites. It may be used from many goroutines.
//
// The errors of its methods are *fault.Error, as those of services/directory are, with the same meaning of Unavailable
// after a change.
type Service struct {
	cfg Config
	db  store.Directory
}

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.Store == nil || cfg.Directory == nil || cfg.Hasher == nil {
		return nil, errors.New("accounts need a store, a directory and a hasher")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Service{cfg: cfg, db: cfg.Store}, nil
}

// newID makes an id that sorts by the time of its making.
func newID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make an id: %w", err)
	}
	return chat.IDFromBytes(id), nil
}

// codeLength is that of an invite's code: 128 bits of chance.
const codeLength = chat.MaxIDLength

// newCode makes the code of an invite.
func newCode() string {
	var b [16]byte
	rand.Read(b[:]) // it never fails (crypto/rand)
	return chat.IDFromBytes(b)
}

// secretOf is what the store keeps of a code. What cannot be one is not looked up.
func secretOf(code string) (store.Secret, bool) {
	if len(code) != codeLength || !chat.IsID(code) {
		return store.Secret{}, false
	}
	return sha256.Sum256([]byte(code)), true
}

// account checks who wants an account and makes it, with its password hashed.
func (s *Service) account(ctx context.Context, who store.Newcomer) (store.NewUser, error) {
	if err := chat.CheckPassword(who.Password); err != nil {
		return store.NewUser{}, fault.Wrap(fault.Invalid, err, "%v", err)
	}
	made, err := s.withoutPassword(who)
	if err != nil {
		return store.NewUser{}, err
	}
	if made.PasswordHash, err = s.cfg.Hasher.Hash(ctx, who.Password); err != nil {
		return store.NewUser{}, fmt.Errorf("hash a password: %w", err)
	}
	return made, nil
}

// withoutPassword is an account that nobody can sign in to with a password.
func (s *Service) withoutPassword(who store.Newcomer) (store.NewUser, error) {
	if who.DisplayName == "" {
		who.DisplayName = who.Login
	}
	for _, err := range []error{chat.CheckLogin(who.Login), chat.CheckName(who.DisplayName)} {
		if err != nil {
			return store.NewUser{}, fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	id, err := newID()
	if err != nil {
		return store.NewUser{}, err
	}
	return store.NewUser{User: chat.User{
		ID: chat.UserID(id), Login: who.Login, DisplayName: who.DisplayName, CreatedAt: s.cfg.Now().UTC(),
	}}, nil
}

// loginTaken says for people what a store's Conflict means where an account is made.
func loginTaken(err error, what string) error {
	if fault.Is(err, fault.Conflict) {
		return fault.Wrap(fault.Conflict, err, "this login is taken")
	}
	return fmt.Errorf("%s: %w", what, err)
}

// member is a user's membership. That there is no such workspace and that it is another's is one answer.
func (s *Service) member(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	member, err := s.db.Member(ctx, ws, user)
	if fault.Is(err, fault.NotFound) {
		return chat.Member{}, fault.Wrap(fault.NotFound, err, "there is no such workspace among yours")
	}
	return member, err
}

// signedOut says that the store has ended sign-ins.
func (s *Service) signedOut() {
	if s.cfg.SignOuts != nil {
		s.cfg.SignOuts.Wake()
	}
}

// settleAllOf waits until the logs of all workspaces of a user have what was changed about them.
func (s *Service) settleAllOf(ctx context.Context, all []store.Membership) error {
	for _, m := range all {
		if err := s.cfg.Directory.Settle(ctx, m.Workspace.ID); err != nil {
			return err
		}
	}
	return nil
}
