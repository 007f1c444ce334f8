package directory

import (
	"cmp"
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// SetMembers implements store.Channels.
func (d *Directory) SetMembers(ctx context.Context, m store.MemberChange) (store.OutboxID, error) {
	return d.oweOne(ctx, "channel", func(c change) (last store.OutboxID, err error) {
		h, channel, err := c.channel(m.ChannelID)
		if err != nil {
			return 0, err
		}
		if channel.Type.Direct() {
			return 0, fault.New(fault.Conflict, "A direct message is its people: nobody can join or leave it.")
		}
		if m.Leave {
			if err := c.leaving(m); err != nil {
				return 0, err
			}
		}
		for _, user := range m.UserIDs {
			var id store.OutboxID
			if m.Leave {
				id, err = c.leave(h, m, user)
			} else {
				id, err = c.join(h, joining{MemberChange: m}, user)
			}
			if fault.Is(err, fault.NotFound) {
				continue // not a member of the workspace
			}
			if err != nil {
				return 0, err
			}
			last = max(last, id)
		}
		return last, nil
	})
}

// joining is how people come into a channel.
type joining struct {
	store.MemberChange
	as chat.ChannelRole // empty: as a member, of which the event says nothing
}

// join begins a tenure, with its event, and returns the event's outbox id; 0 when the user is in the channel
// already. NotFound: the user is not in the workspace.
func (c change) join(h home, j joining, user chat.UserID) (store.OutboxID, error) {
	var role chat.Role
	var there bool
	err := c.Row(`SELECT role, EXISTS (
			SELECT 1 FROM tenures WHERE channel_id = ?1 AND user_id = ?2 AND left_by IS NULL)
		FROM members WHERE workspace_id = ?3 AND user_id = ?2`, j.ChannelID, user, h.workspace).Scan(&role, &there)
	if err != nil || there {
		return 0, c.Failed(err, "join", "member")
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberJoined, ChannelID: j.ChannelID, SenderID: j.By, UserID: user,
		Role: cmp.Or(j.Role, role), ChannelRole: j.as})
	if err != nil {
		return 0, err
	}
	_, err = c.Exec(`INSERT INTO tenures (channel_id, user_id, joined_by, role) VALUES (?, ?, ?, ?)`,
		j.ChannelID, user, id, cmp.Or(j.as, chat.ChannelMember))
	return id, err
}

// leaving locks tenures that are to end, in the order in which Record locks them, whatever the order of the events is.
func (c change) leaving(m store.MemberChange) error {
	list, err := relational.ListOf(m.UserIDs)
	if err != nil {
		return err
	}
	_, err = c.Exec(`SELECT user_id FROM tenures WHERE channel_id = ? AND left_by IS NULL AND user_id IN (SELECT value FROM json_each(?))
		ORDER BY user_id /*pg FOR NO KEY UPDATE */`, m.ChannelID, list)
	return err
}

// leave ends a tenure, with its event, and returns the event's outbox id; 0 when the user is not in the channel.
func (c change) leave(h home, m store.MemberChange, user chat.UserID) (store.OutboxID, error) {
	const open = ` channel_id = ? AND user_id = ? AND left_by IS NULL`
	there, err := c.Exists(`SELECT 1 FROM tenures WHERE`+open, m.ChannelID, user)
	if err != nil || !there {
		return 0, err
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberLeft, ChannelID: m.ChannelID, SenderID: m.By, UserID: user})
	if err != nil {
		return 0, err
	}
	_, err = c.Exec(`UPDATE tenures SET left_by = ? WHERE`+open, id, m.ChannelID, user)
	return id, err
}

// ChannelMembers implements store.Channels.
func (d *Directory) ChannelMembers(ctx context.Context, channel chat.ChannelID, after chat.UserID, limit int) ([]chat.UserID, error) {
	if err := relational.CheckLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, relational.Ask("member", `SELECT user_id FROM tenures
		WHERE channel_id = ? AND left_by IS NULL AND user_id > ? ORDER BY user_id LIMIT ?`, relational.Scalar[chat.UserID]), channel, after, limit)
}

// Standing implements store.Channels.
func (d *Directory) Standing(ctx context.Context, channel chat.ChannelID, user chat.UserID) (chat.Standing, chat.Channel, error) {
	var s chat.Standing
	scan := func(r relational.Row) (c chat.Channel, err error) {
		return c, r.Scan(append(channelFields(&c), &s.Role, &s.InIt, &s.Manages)...)
	}
	c, err := get(ctx, d, relational.Ask("channel", channelColumns+`, coalesce(m.role, ''), t.user_id IS NOT NULL, coalesce(t.role = 'manager', FALSE)
		FROM channels AS c LEFT JOIN members AS m ON m.workspace_id = c.workspace_id AND m.user_id = ?1
			LEFT JOIN tenures AS t ON t.channel_id = c.id AND t.user_id = ?1 AND t.left_by IS NULL
		WHERE c.id = ?2`, scan), user, channel)
	s.Type, s.Archived = c.Type, c.Archived
	return s, c, err
}

// Tenures implements store.Channels.
func (d *Directory) Tenures(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, since chat.Seq) ([]store.TenureOf, error) {
	scan := func(r relational.Row) (t store.TenureOf, err error) {
		return t, r.Scan(&t.ChannelID, &t.JoinedSeq, &t.LeftSeq, &t.Type, &t.Archived)
	}
	return list(ctx, d, relational.Ask("channel", `SELECT t.channel_id, t.joined_seq, t.left_seq, c.type, c.archived
		FROM tenures AS t JOIN channels AS c ON c.id = t.channel_id
		WHERE t.user_id = ? AND c.workspace_id = ? AND (t.left_seq = 0 OR t.left_seq >= ?)
		ORDER BY t.channel_id, t.joined_by`, scan), user, workspace, int64(min(since, chat.MaxSeq)))
}
