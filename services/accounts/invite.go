package accounts

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

const (
	// DefaultInviteLife is how long an invite is open when nobody says.
	DefaultInviteLife = 7 * 24 * time.Hour
	// MaxInviteChannels is how many channels one invite brings people into.
	MaxInviteChannels = 50

	maxAddress = 254       // bytes of an address of e-mail (RFC 5321 §4.5.3.1.3, without the brackets)
	invitePath = "invites" // of REST, which tells what the invite is
	general    = "general" // the channel that an invite leads to when none is named
)

// CreateInvite makes an invite. Its code is told now and never again. With an address it is sent there besides, if mail
// can be sent: Sent says so.
func (s *Service) CreateInvite(ctx context.Context, n store.NewInvite) (store.Invited, error) {
	member, err := s.member(ctx, n.WorkspaceID, n.By)
	if err != nil {
		return store.Invited{}, err
	}
	if n, err = withDefaults(n); err != nil {
		return store.Invited{}, err
	}
	if !chat.MayInvite(member.Role, n.Role) {
		return store.Invited{}, fault.New(fault.Forbidden, "administrators may invite people, as admin, member or guest, and not above themselves")
	}
	if n.ChannelIDs, err = s.inviteChannels(ctx, n, member.Role); err != nil {
		return store.Invited{}, err
	}
	id, err := newID()
	if err != nil {
		return store.Invited{}, err
	}
	code := newCode()
	secret, _ := secretOf(code) // it is one
	now := s.cfg.Now().UTC()
	made := store.Invited{Secret: code, Invite: store.Invite{
		ID: store.InviteID(id), WorkspaceID: n.WorkspaceID, Code: secret, Role: n.Role, ChannelIDs: n.ChannelIDs, Address: n.Address,
		By: n.By, CreatedAt: now, ExpiresAt: now.Add(n.Life), MaxUses: n.MaxUses,
	}}
	if s.cfg.PublicURL != "" {
		made.URL = s.cfg.PublicURL + "/" + invitePath + "/" + code
	}
	err = s.db.AddInvite(ctx, made.Invite)
	if fault.Is(err, fault.Forbidden) {
		return store.Invited{}, fault.Wrap(fault.Forbidden, err, "the workspace has %d open invites already; revoke some", chat.MaxInvites)
	}
	if err != nil {
		return store.Invited{}, fmt.Errorf("make an invite: %w", err)
	}
	made.Sent = s.send(ctx, made)
	return made, nil
}

// withDefaults fills n in and checks it.
func withDefaults(n store.NewInvite) (store.NewInvite, error) {
	if n.Role == "" {
		n.Role = chat.RoleMember
	}
	if n.Life == 0 {
		n.Life = DefaultInviteLife
	}
	if n.MaxUses == 0 {
		n.MaxUses = 1
	}
	switch {
	case !n.Role.Valid():
		return n, fault.New(fault.Invalid, "role is admin, member or guest")
	case n.Life < time.Second || n.Life > chat.MaxInviteLife:
		return n, fault.New(fault.Invalid, "expires_in is 1 to %d seconds", int64(chat.MaxInviteLife.Seconds()))
	case n.MaxUses < 1 || n.MaxUses > chat.MaxInviteUses:
		return n, fault.New(fault.Invalid, "max_uses is 1 to %d", chat.MaxInviteUses)
	case len(n.ChannelIDs) > MaxInviteChannels:
		return n, fault.New(fault.Invalid, "channel_ids are at most %d channels", MaxInviteChannels)
	case n.Address != "" && !isAddress(n.Address):
		return n, fault.New(fault.Invalid, "email is an address such as ada@example.com")
	}
	return n, nil
}

// isAddress reports whether s is a bare address of e-mail: no name, no brackets, nothing that breaks a header.
func isAddress(s string) bool {
	parsed, err := mail.ParseAddress(s)
	return err == nil && len(s) <= maxAddress && parsed.Address == s
}

// inviteChannels are the channels that an invite brings people into: those that were named, which the inviter sees, each
// once; else the channel general. A guest gets only what was named.
func (s *Service) inviteChannels(ctx context.Context, n store.NewInvite, role chat.Role) ([]chat.ChannelID, error) {
	if len(n.ChannelIDs) == 0 {
		if n.Role == chat.RoleGuest {
			return nil, nil
		}
		return s.generalOf(ctx, n.WorkspaceID, n.By, role)
	}
	var channels []chat.ChannelID
	for _, id := range n.ChannelIDs {
		standing, c, err := s.db.Standing(ctx, id, n.By)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err != nil || c.WorkspaceID != n.WorkspaceID || !standing.MaySee() || !c.Type.Named() {
			return nil, fault.New(fault.NotFound, "one of channel_ids is not a channel that you see in the workspace")
		}
		if c.Archived {
			return nil, fault.New(fault.Conflict, "one of channel_ids is archived")
		}
		if !slices.Contains(channels, id) {
			channels = append(channels, id)
		}
	}
	return channels, nil
}

// generalOf is the channel general of a workspace; none when it has no public one in use. It is made with the
// workspace, and ids grow with time, so it is on the first page unless somebody replaced it.
func (s *Service) generalOf(ctx context.Context, ws chat.WorkspaceID, by chat.UserID, role chat.Role) ([]chat.ChannelID, error) {
	q := store.ChannelQuery{WorkspaceID: ws, UserID: by, Role: role, Limit: chat.MaxPageSize}
	for {
		page, err := s.db.ListChannels(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if q.After = c.ID; c.Name == general && c.Type == chat.ChannelPublic && !c.Archived {
				return []chat.ChannelID{c.ID}, nil
			}
		}
		if len(page) < q.Limit {
			return nil, nil
		}
	}
}

// send hands an invite to the Mailer, if there is one and it has an address. The invite stands without the mail: who made
// it hands the link over.
func (s *Service) send(ctx context.Context, made store.Invited) (sent bool) {
	if s.cfg.Mailer == nil || made.Address == "" {
		return false
	}
	told, err := s.tell(ctx, made.Invite)
	if err == nil {
		err = s.cfg.Mailer.SendInvite(ctx, store.InviteMail{
			To: made.Address, Workspace: told.Workspace.Name, InvitedBy: told.By.DisplayName,
			URL: made.URL, Code: made.Secret, ExpiresAt: made.ExpiresAt,
		})
	}
	if err != nil {
		s.cfg.Logger.Warn("an invite was not sent", "workspace_id", made.WorkspaceID, "invite_id", made.ID, "err", err)
	}
	return err == nil
}

// tell adds to an invite what people may know of it.
func (s *Service) tell(ctx context.Context, i store.Invite) (store.Invitation, error) {
	w, err := s.db.Workspace(ctx, i.WorkspaceID)
	if err != nil {
		return store.Invitation{}, err
	}
	by, err := s.db.User(ctx, i.By)
	return store.Invitation{Invite: i, Workspace: w, By: by}, err
}

// Invites lists the open invites of a workspace for its administrators, by id. The moment of q is not looked at.
func (s *Service) Invites(ctx context.Context, by chat.UserID, q store.InviteQuery) ([]store.Invite, error) {
	if err := s.administers(ctx, by, q.WorkspaceID); err != nil {
		return nil, err
	}
	q.At = s.cfg.Now().UTC()
	return s.db.Invites(ctx, q)
}

// RevokeInvite ends an invite. One that has ended stays so.
func (s *Service) RevokeInvite(ctx context.Context, by chat.UserID, ws chat.WorkspaceID, id store.InviteID) error {
	if err := s.administers(ctx, by, ws); err != nil {
		return err
	}
	err := s.db.RevokeInvite(ctx, ws, id, s.cfg.Now().UTC())
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.NotFound, err, "the workspace has no such invite")
	}
	return err
}

func (s *Service) administers(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) error {
	member, err := s.member(ctx, ws, by)
	if err != nil {
		return err
	}
	if !member.Role.Administers() {
		return fault.New(fault.Forbidden, "administrators see the invites of a workspace")
	}
	return nil
}
