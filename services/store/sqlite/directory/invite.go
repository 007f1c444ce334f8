package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

const (
	endedInvite = 30 * 24 * time.Hour // how long after its end an invite can still be read
	atOnce      = 20                  // old invites that one call forgets
)

// openAt says that an invite is open at the moment ?1.
const openAt = `revoked_at = 0 AND uses < max_uses AND expires_at > ?1`

// askInvites is a question for the invites of which where says more. Their channels come with them, so that an
// invite is one state of the file.
func askInvites(where string) file.Asked[store.Invite] {
	return file.Ask("invite", `SELECT id, workspace_id, code, role, address, invited_by, created_at, expires_at, max_uses, uses, revoked_at,
			(SELECT json_group_array(channel_id) FROM (
				SELECT channel_id FROM invite_channels AS ic WHERE ic.invite_id = invites.id ORDER BY place))
		FROM invites WHERE `+where, scanInvite)
}

func scanInvite(r file.Row) (i store.Invite, err error) {
	var code []byte
	var channels string
	err = r.Scan(&i.ID, &i.WorkspaceID, &code, &i.Role, &i.Address, &i.By, file.Moment{Into: &i.CreatedAt}, file.Moment{Into: &i.ExpiresAt},
		&i.MaxUses, &i.Uses, file.Moment{Into: &i.RevokedAt}, &channels)
	if err != nil {
		return i, err
	}
	copy(i.Code[:], code)
	if err := json.Unmarshal([]byte(channels), &i.ChannelIDs); err != nil {
		return i, fmt.Errorf("channels of the invite %s: %w", i.ID, err)
	}
	return i, nil
}

// AddInvite implements store.Invites.
func (d *Directory) AddInvite(ctx context.Context, i store.Invite) error {
	if !i.Role.Valid() {
		return fault.New(fault.Invalid, "This is no role: %.20q.", string(i.Role))
	}
	return d.write(ctx, "add invite", "invite", func(c change) error {
		_, err := c.Exec(`DELETE FROM invites WHERE id IN (SELECT id FROM invites WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`,
			file.Micros(i.CreatedAt.Add(-endedInvite)), atOnce)
		if err != nil {
			return err
		}
		open, err := file.Get(ctx, c.Tx, file.Ask("invite", `SELECT count(*) FROM invites WHERE workspace_id = ?2 AND `+openAt, file.Scalar[int]),
			file.Micros(i.CreatedAt), i.WorkspaceID)
		if err != nil {
			return err
		}
		if open >= chat.MaxInvites {
			return fault.New(fault.Forbidden, "The workspace has %d open invites: revoke some first.", open)
		}
		_, err = c.Exec(`INSERT INTO invites (id, workspace_id, code, role, address, invited_by, created_at, expires_at, max_uses)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			i.ID, i.WorkspaceID, i.Code[:], i.Role, i.Address, i.By, file.Micros(i.CreatedAt), file.Micros(i.ExpiresAt), i.MaxUses)
		if err != nil {
			return err
		}
		return c.addInviteChannels(i)
	})
}

func (c change) addInviteChannels(i store.Invite) error {
	for place, channel := range i.ChannelIDs {
		n, err := c.Exec(`INSERT INTO invite_channels (invite_id, place, channel_id)
			SELECT ?, ?, id FROM channels WHERE id = ? AND workspace_id = ? AND name IS NOT NULL`, i.ID, place, channel, i.WorkspaceID)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "The workspace has no such channel.")
		}
	}
	return nil
}

// InviteOf implements store.Invites.
func (d *Directory) InviteOf(ctx context.Context, code store.Secret) (store.Invite, error) {
	return get(ctx, d, askInvites(`code = ?`), code[:])
}

// Invites implements store.Invites.
func (d *Directory) Invites(ctx context.Context, q store.InviteQuery) ([]store.Invite, error) {
	if err := file.CheckLimit(q.Limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askInvites(`workspace_id = ?2 AND id > ?3 AND `+openAt+` ORDER BY id LIMIT ?4`),
		file.Micros(q.At), q.WorkspaceID, q.After, q.Limit)
}

// RevokeInvite implements store.Invites.
func (d *Directory) RevokeInvite(ctx context.Context, workspace chat.WorkspaceID, id store.InviteID, at time.Time) error {
	if err := file.CheckMoment(at); err != nil {
		return err
	}
	return d.write(ctx, "revoke invite", "invite", func(c change) error {
		there, err := c.Exists(`SELECT 1 FROM invites WHERE id = ? AND workspace_id = ?`, id, workspace)
		if err != nil {
			return err
		}
		if !there {
			return fault.New(fault.NotFound, "There is no such invite.")
		}
		_, err = c.Exec(`UPDATE invites SET revoked_at = ?1 WHERE id = ?2 AND `+openAt, file.Micros(at), id)
		return err
	})
}

// AcceptInvite implements store.Invites.
func (d *Directory) AcceptInvite(ctx context.Context, a store.Acceptance) (i store.Invite, err error) {
	err = d.write(ctx, "accept invite", "invite", func(c change) error {
		if i, err = file.Get(ctx, c.Tx, askInvites(`code = ?`), a.Code[:]); err != nil {
			return err
		}
		if !i.Open(a.At) {
			return fault.New(fault.NotFound, "There is no such invite.")
		}
		user := a.User
		if a.New != nil {
			user = a.New.ID
			if err := c.createUsers([]store.NewUser{*a.New}); err != nil {
				return err
			}
		}
		there, err := c.isMember(i.WorkspaceID, user)
		if err != nil || there {
			return err
		}
		if _, err := c.Exec(`UPDATE invites SET uses = uses + 1 WHERE id = ?`, i.ID); err != nil {
			return err
		}
		i.Uses++
		return c.comeIn(i, user)
	})
	if err != nil {
		return store.Invite{}, err
	}
	return i, nil
}

// comeIn makes somebody a member as an invite says. They do it themselves, whoever invited them.
func (c change) comeIn(i store.Invite, user chat.UserID) error {
	h, err := c.home(i.WorkspaceID)
	if err != nil {
		return err
	}
	if err := c.addMember(h, user, chat.Member{WorkspaceID: i.WorkspaceID, UserID: user, Role: i.Role}); err != nil {
		return err
	}
	for _, id := range i.ChannelIDs {
		channel, err := file.Get(c.Ctx, c.Tx, askChannels(`c.id = ?`), id)
		if err != nil {
			return err
		}
		if channel.Archived {
			continue
		}
		if _, err := c.join(h, joining{MemberChange: store.MemberChange{ChannelID: id, By: user}}, user); err != nil {
			return err
		}
	}
	return nil
}
