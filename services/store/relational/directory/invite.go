package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

const (
	endedInvite = 30 * 24 * time.Hour // how long after its end an invite can still be read
	atOnce      = "20"                // old invites that one call forgets; in the text, so that a planner knows how few they are
)

// openAt says that an invite is open at the moment ?1.
const openAt = `revoked_at = 0 AND uses < max_uses AND expires_at > ?1`

// askInvites is a question for the invites of which where says more. Their channels come with them, so that an
// invite is one state of the database.
func askInvites(where string) relational.Asked[store.Invite] {
	return relational.Ask("invite", `SELECT id, workspace_id, code, role, address, invited_by, created_at, expires_at, max_uses, uses, revoked_at,
			(SELECT coalesce(json_group_array(channel_id), '[]') FROM (
				SELECT channel_id FROM invite_channels AS ic WHERE ic.invite_id = invites.id ORDER BY place) AS places)
		FROM invites WHERE `+where, scanInvite)
}

func scanInvite(r relational.Row) (i store.Invite, err error) {
	var code []byte
	var channels string
	err = r.Scan(&i.ID, &i.WorkspaceID, &code, &i.Role, &i.Address, &i.By, relational.Moment{Into: &i.CreatedAt}, relational.Moment{Into: &i.ExpiresAt},
		&i.MaxUses, &i.Uses, relational.Moment{Into: &i.RevokedAt}, &channels)
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
		if _, err := c.home(i.WorkspaceID); err != nil {
			return err
		}
		_, err := c.Exec(`DELETE FROM invites WHERE id IN (SELECT id FROM invites WHERE expires_at < ? ORDER BY expires_at LIMIT `+atOnce+` /*pg FOR UPDATE SKIP LOCKED */)`,
			relational.Micros(i.CreatedAt.Add(-endedInvite)))
		if err != nil {
			return err
		}
		open, err := relational.Get(ctx, c.Source, relational.Ask("invite", `SELECT count(*) FROM invites WHERE workspace_id = ?2 AND `+openAt, relational.Scalar[int]),
			relational.Micros(i.CreatedAt), i.WorkspaceID)
		if err != nil {
			return err
		}
		if open >= chat.MaxInvites {
			return fault.New(fault.Forbidden, "The workspace has %d open invites: revoke some first.", open)
		}
		_, err = c.Exec(`INSERT INTO invites (id, workspace_id, code, role, address, invited_by, created_at, expires_at, max_uses)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			i.ID, i.WorkspaceID, i.Code[:], i.Role, i.Address, i.By, relational.Micros(i.CreatedAt), relational.Micros(i.ExpiresAt), i.MaxUses)
		if err != nil {
			return err
		}
		return c.addInviteChannels(i)
	})
}

func (c change) addInviteChannels(i store.Invite) error {
	for place, channel := range i.ChannelIDs {
		n, err := c.Exec(`INSERT INTO invite_channels (invite_id, place, channel_id)
			SELECT CAST(? AS TEXT), CAST(? AS INTEGER), id FROM channels WHERE id = ? AND workspace_id = ? AND name IS NOT NULL`, i.ID, place, channel, i.WorkspaceID)
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
	if err := relational.CheckLimit(q.Limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askInvites(`workspace_id = ?2 AND id > ?3 AND `+openAt+` ORDER BY id LIMIT ?4`),
		relational.Micros(q.At), q.WorkspaceID, q.After, q.Limit)
}

// RevokeInvite implements store.Invites.
func (d *Directory) RevokeInvite(ctx context.Context, workspace chat.WorkspaceID, id store.InviteID, at time.Time) error {
	if err := relational.CheckMoment(at); err != nil {
		return err
	}
	return d.write(ctx, "revoke invite", "invite", func(c change) error {
		if _, err := c.homeOf("invite", `?`, workspace); err != nil {
			return err
		}
		there, err := c.Exists(`SELECT 1 FROM invites WHERE id = ? AND workspace_id = ?`, id, workspace)
		if err != nil {
			return err
		}
		if !there {
			return fault.New(fault.NotFound, "There is no such invite.")
		}
		_, err = c.Exec(`UPDATE invites SET revoked_at = ?1 WHERE id = ?2 AND `+openAt, relational.Micros(at), id)
		return err
	})
}

// AcceptInvite implements store.Invites.
func (d *Directory) AcceptInvite(ctx context.Context, a store.Acceptance) (i store.Invite, err error) {
	err = d.write(ctx, "accept invite", "invite", func(c change) error {
		if a.New == nil {
			if err := c.coming(a.User); err != nil {
				return err
			}
		}
		h, err := c.homeOf("invite", `(SELECT workspace_id FROM invites WHERE code = ?)`, a.Code[:])
		if err != nil {
			return err
		}
		if i, err = relational.Get(ctx, c.Source, askInvites(`code = ?`), a.Code[:]); err != nil {
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
		return c.comeIn(h, i, user)
	})
	if err != nil {
		return store.Invite{}, err
	}
	return i, nil
}

// comeIn makes somebody a member as an invite says. They do it themselves, whoever invited them.
func (c change) comeIn(h home, i store.Invite, user chat.UserID) error {
	if err := c.addMember(h, user, chat.Member{WorkspaceID: i.WorkspaceID, UserID: user, Role: i.Role}); err != nil {
		return err
	}
	for _, id := range i.ChannelIDs {
		channel, err := relational.Get(c.Ctx, c.Source, askChannels(`c.id = ?`), id)
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
