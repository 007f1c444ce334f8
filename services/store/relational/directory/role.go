package directory

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// oweOne runs do in one transaction and returns the outbox id that do gives; what is for relational.Failed.
func (d *Directory) oweOne(ctx context.Context, what string, do func(c change) (store.OutboxID, error)) (last store.OutboxID, err error) {
	err = d.write(ctx, "change "+what, what, func(c change) error {
		last, err = do(c)
		return err
	})
	if err != nil {
		return 0, err
	}
	return last, nil
}

// SetRole implements store.Roles.
func (d *Directory) SetRole(ctx context.Context, m store.RoleChange) (store.OutboxID, error) {
	return d.oweOne(ctx, "member", func(c change) (store.OutboxID, error) {
		h, err := c.homeOf("member", `?`, m.WorkspaceID)
		if err != nil {
			return 0, err
		}
		was, err := relational.Get(ctx, c.Source, askMembers(`AND user_id = ?`), m.WorkspaceID, m.UserID)
		if err != nil || was.Role == m.Role {
			return 0, err
		}
		if err := c.keepsOwner(m.WorkspaceID, m.UserID); err != nil {
			return 0, err
		}
		if _, err := c.Exec(`UPDATE members SET role = ? WHERE workspace_id = ? AND user_id = ?`, m.Role, m.WorkspaceID, m.UserID); err != nil {
			return 0, err
		}
		return c.owe(h, event.Event{Kind: event.MemberUpdated, SenderID: m.By, UserID: m.UserID, Role: m.Role})
	})
}

// lastOwner finds the workspaces whose only owner with an open account is ?1.
const lastOwner = `SELECT 1 FROM members AS m JOIN users AS u ON u.id = m.user_id
	WHERE m.user_id = ?1 AND m.role = 'owner' AND NOT u.deactivated AND NOT EXISTS (
		SELECT 1 FROM members AS o INDEXED BY owners JOIN users AS ou ON ou.id = o.user_id
		WHERE o.workspace_id = m.workspace_id AND o.role = 'owner' AND o.user_id <> ?1 AND NOT ou.deactivated)`

// keepsOwner refuses when a workspace would be without an owner if the user were none.
func (c change) keepsOwner(workspace chat.WorkspaceID, user chat.UserID) error {
	return refuseLastOwner(c.Exists(lastOwner+` AND m.workspace_id = ?2`, user, workspace))
}

// keepsOwners is keepsOwner for all workspaces of the user.
func (c change) keepsOwners(user chat.UserID) error {
	return refuseLastOwner(c.Exists(lastOwner, user))
}

func refuseLastOwner(last bool, err error) error {
	if err == nil && last {
		return fault.New(fault.Conflict, "A workspace needs an owner: make somebody else one first.")
	}
	return err
}

// RemoveMember implements store.Roles. The membership's row goes; the tenures in direct messages stay open.
func (d *Directory) RemoveMember(ctx context.Context, workspace chat.WorkspaceID, by, user chat.UserID) (store.OutboxID, error) {
	return d.oweOne(ctx, "member", func(c change) (store.OutboxID, error) {
		h, err := c.homeOf("member", `?`, workspace)
		if err != nil {
			return 0, err
		}
		there, err := c.isMember(workspace, user)
		if err != nil {
			return 0, err
		}
		if !there {
			return 0, fault.New(fault.NotFound, "There is no such member.")
		}
		if err := c.keepsOwner(workspace, user); err != nil {
			return 0, err
		}
		in, err := relational.List(ctx, c.Source, relational.Ask("channel", `SELECT t.channel_id FROM tenures AS t JOIN channels AS c ON c.id = t.channel_id
			WHERE t.user_id = ? AND t.left_by IS NULL AND c.workspace_id = ? AND c.name IS NOT NULL ORDER BY t.channel_id`,
			relational.Scalar[chat.ChannelID]), user, workspace)
		if err != nil {
			return 0, err
		}
		for _, channel := range in {
			if _, err := c.leave(h, store.MemberChange{ChannelID: channel, By: by}, user); err != nil {
				return 0, err
			}
		}
		if _, err := c.Exec(`DELETE FROM members WHERE workspace_id = ? AND user_id = ?`, workspace, user); err != nil {
			return 0, err
		}
		return c.owe(h, event.Event{Kind: event.MemberLeft, SenderID: by, UserID: user})
	})
}

// SetChannelRole implements store.Roles.
func (d *Directory) SetChannelRole(ctx context.Context, m store.ChannelRoleChange) (store.OutboxID, error) {
	return d.oweOne(ctx, "channel", func(c change) (store.OutboxID, error) {
		h, channel, err := c.channel(m.ChannelID)
		if err != nil {
			return 0, err
		}
		if channel.Type.Direct() {
			return 0, fault.New(fault.Conflict, "A direct message is its people: nobody has a role in it.")
		}
		role, err := relational.Get(ctx, c.Source, relational.Ask("member", `SELECT role FROM tenures WHERE channel_id = ? AND user_id = ? AND left_by IS NULL`,
			relational.Scalar[chat.ChannelRole]), m.ChannelID, m.UserID)
		if err != nil || role == m.Role {
			return 0, err
		}
		_, err = c.Exec(`UPDATE tenures SET role = ? WHERE channel_id = ? AND user_id = ? AND left_by IS NULL`, m.Role, m.ChannelID, m.UserID)
		if err != nil {
			return 0, err
		}
		return c.owe(h, event.Event{Kind: event.MemberUpdated, ChannelID: m.ChannelID, SenderID: m.By, UserID: m.UserID, ChannelRole: m.Role})
	})
}

// ChannelRoles implements store.Roles.
func (d *Directory) ChannelRoles(ctx context.Context, channel chat.ChannelID, users []chat.UserID) (map[chat.UserID]chat.ChannelRole, error) {
	wanted, err := listOf(users)
	if err != nil {
		return nil, err
	}
	type has struct {
		user chat.UserID
		role chat.ChannelRole
	}
	scan := func(r relational.Row) (h has, err error) { return h, r.Scan(&h.user, &h.role) }
	all, err := list(ctx, d, relational.Ask("member", `SELECT user_id, role FROM tenures
		WHERE channel_id = ? AND left_by IS NULL AND user_id IN (SELECT value FROM json_each(?))`, scan), channel, wanted)
	if err != nil {
		return nil, err
	}
	roles := make(map[chat.UserID]chat.ChannelRole, len(all))
	for _, h := range all {
		roles[h.user] = h.role
	}
	return roles, nil
}
