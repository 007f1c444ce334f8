package accounts

import (
	"context"
	"fmt"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Invitation is what somebody who has a code may know. NotFound unless it lets somebody in now.
func (s *Service) Invitation(ctx context.Context, code string) (store.Invitation, error) {
	i, err := s.inviteOf(ctx, code)
	if err != nil {
		return store.Invitation{}, err
	}
	if !i.Open(s.cfg.Now()) {
		return store.Invitation{}, gone(nil)
	}
	return s.tell(ctx, i)
}

// gone is the one answer for a code that is none, and for an invite that has ended: who tries codes learns nothing.
func gone(cause error) error {
	return fault.Wrap(fault.NotFound, cause, "this invite does not exist, or no longer")
}

// inviteOf is the invite that a code stands for, whatever became of it.
func (s *Service) inviteOf(ctx context.Context, code string) (store.Invite, error) {
	secret, ok := secretOf(code)
	if !ok {
		return store.Invite{}, gone(nil)
	}
	i, err := s.db.InviteOf(ctx, secret)
	if fault.Is(err, fault.NotFound) {
		err = gone(err)
	}
	return i, err
}

// AcceptAsNew makes an account and brings it in, all in one transaction. A password is hashed only for who has an open invite.
func (s *Service) AcceptAsNew(ctx context.Context, code string, who store.Newcomer) (chat.User, error) {
	i, err := s.inviteOf(ctx, code)
	if err != nil {
		return chat.User{}, err
	}
	if !i.Open(s.cfg.Now()) {
		return chat.User{}, gone(nil)
	}
	user, err := s.account(ctx, who)
	if err != nil {
		return chat.User{}, err
	}
	_, err = s.db.AcceptInvite(ctx, store.Acceptance{Code: i.Code, At: s.cfg.Now().UTC(), New: &user})
	if fault.Is(err, fault.NotFound) { // somebody else was faster
		return chat.User{}, gone(err)
	}
	if err != nil {
		return chat.User{}, loginTaken(err, "accept an invite")
	}
	return user.User, s.cfg.Directory.Settle(ctx, i.WorkspaceID)
}

// AcceptAs brings a user in who has an account. Who is a member already stays as they are, also when the invite has
// ended: the answer to their acceptance may have been lost.
func (s *Service) AcceptAs(ctx context.Context, code string, user chat.UserID) (store.Membership, error) {
	account, err := s.db.User(ctx, user)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return store.Membership{}, err
	}
	if err != nil || account.Deactivated {
		return store.Membership{}, fault.New(fault.Unauthenticated, "the account does not exist, or no longer")
	}
	i, err := s.inviteOf(ctx, code)
	if err != nil {
		return store.Membership{}, err
	}
	_, err = s.db.Member(ctx, i.WorkspaceID, user)
	if fault.Is(err, fault.NotFound) {
		_, err = s.db.AcceptInvite(ctx, store.Acceptance{Code: i.Code, At: s.cfg.Now().UTC(), User: user})
		if fault.Is(err, fault.NotFound) {
			return store.Membership{}, gone(err)
		}
	}
	if err != nil {
		return store.Membership{}, fmt.Errorf("accept an invite: %w", err)
	}
	if err := s.cfg.Directory.Settle(ctx, i.WorkspaceID); err != nil {
		return store.Membership{}, err
	}
	member, err := s.member(ctx, i.WorkspaceID, user)
	if err != nil {
		return store.Membership{}, err
	}
	w, err := s.db.Workspace(ctx, i.WorkspaceID)
	return store.Membership{Workspace: w, Role: member.Role}, err
}
