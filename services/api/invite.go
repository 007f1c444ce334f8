package api

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) listInvites(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	after, limit, err := entry.Page(c, cursorInvites)
	if err != nil {
		return err
	}
	all, err := a.cfg.Invites.Invites(c.Request().Context(), me.ID, store.InviteQuery{
		WorkspaceID: id, After: store.InviteID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	list := rest.InviteList{Invites: make([]rest.Invite, len(all))}
	for i, invite := range all {
		list.Invites[i] = inviteOf(store.Invited{Invite: invite})
	}
	if len(all) == limit {
		list.NextCursor = entry.CursorAfter(cursorInvites, string(all[limit-1].ID))
	}
	return entry.Answer(c, http.StatusOK, list)
}

func inviteOf(i store.Invited) rest.Invite {
	return rest.Invite{
		ID: string(i.ID), Code: i.Secret, URL: i.URL, Role: i.Role, Channels: i.ChannelIDs, Email: i.Address, Sent: i.Sent,
		By: i.By, CreatedAt: rest.Time(i.CreatedAt), ExpiresAt: rest.Time(i.ExpiresAt), MaxUses: i.MaxUses, Uses: i.Uses,
	}
}

func (a *API) createInvite(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.NewInvite
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if in.ExpiresIn < 0 || in.ExpiresIn > int64(chat.MaxInviteLife/time.Second) { // before it is multiplied
		return fault.New(fault.Invalid, "expires_in is at most %d seconds", int64(chat.MaxInviteLife/time.Second))
	}
	if in.MaxUses < 0 || in.MaxUses > chat.MaxInviteUses {
		return fault.New(fault.Invalid, "max_uses is at most %d", chat.MaxInviteUses)
	}
	for _, channel := range in.ChannelIDs {
		if _, err := chat.ParseChannelID(string(channel)); err != nil {
			return fault.Wrap(fault.Invalid, err, "channel_ids: %v", chat.ErrBadID)
		}
	}
	made, err := a.cfg.Invites.CreateInvite(c.Request().Context(), store.NewInvite{
		WorkspaceID: id, By: me.ID, Role: in.Role, Life: time.Duration(in.ExpiresIn) * time.Second, MaxUses: in.MaxUses,
		ChannelIDs: in.ChannelIDs, Address: in.Email,
	})
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, inviteOf(made))
}

func (a *API) revokeInvite(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	invite, err := entry.Invite(c)
	if err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Invites.RevokeInvite(c.Request().Context(), me.ID, id, invite))
}

func (a *API) invitation(c echo.Context) error {
	code, err := entry.Code(c)
	if err != nil {
		return err
	}
	i, err := a.cfg.Invites.Invitation(c.Request().Context(), code)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.InviteState{
		Workspace: i.Workspace.Name, Role: i.Invite.Role, InvitedBy: i.By.DisplayName, ExpiresAt: rest.Time(i.Invite.ExpiresAt),
	})
}

// acceptAsNew makes an account of who has the code, and signs it in.
func (a *API) acceptAsNew(c echo.Context) error {
	code, err := entry.Code(c)
	if err != nil {
		return err
	}
	var in rest.AcceptInvite
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	device, err := a.device(c, in.Device)
	if err != nil {
		return err
	}
	user, err := a.cfg.Invites.AcceptAsNew(c.Request().Context(), code, store.Newcomer{
		Login: in.Login, DisplayName: in.DisplayName, Password: in.Password,
	})
	if err != nil {
		return err
	}
	return a.begin(c, user, device)
}

// acceptAs brings somebody in who has an account. What the body says of a new one does not count.
func (a *API) acceptAs(c echo.Context, me entry.Asker) error {
	code, err := entry.Code(c)
	if err != nil {
		return err
	}
	if err := entry.Decode(c, &rest.AcceptInvite{}); err != nil {
		return err
	}
	m, err := a.cfg.Invites.AcceptAs(c.Request().Context(), code, me.ID)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.WorkspaceOf(m.Workspace, m.Role))
}
