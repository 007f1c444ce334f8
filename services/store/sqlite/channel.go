package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

const channelColumns = `SELECT c.id, c.workspace_id, coalesce(c.name, ''), c.type, c.topic, c.archived, c.creator_id, c.created_at `

// channelFields is where channelColumns are scanned to.
func channelFields(c *chat.Channel) []any {
	return []any{&c.ID, &c.WorkspaceID, &c.Name, &c.Type, &c.Topic, &c.Archived, &c.CreatorID, moment{&c.CreatedAt}}
}

func scanChannel(r row) (c chat.Channel, err error) { return c, r.Scan(channelFields(&c)...) }

// CreateChannel implements store.Channels.
func (d *Directory) CreateChannel(ctx context.Context, c chat.Channel, members []chat.UserID) error {
	return d.write(ctx, "create channel", "channel", func(tx change) error {
		h, err := tx.home(c.WorkspaceID)
		if err != nil {
			return err
		}
		var name, people any // NULL for what the type does not have
		if c.Type.Direct() {
			people = peopleKey(members)
		} else {
			name = c.Name
		}
		_, err = tx.exec(`INSERT INTO channels (id, workspace_id, name, people, type, topic, archived, creator_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.ID, c.WorkspaceID, name, people, c.Type, c.Topic, c.Archived, c.CreatorID, micros(c.CreatedAt))
		if err != nil {
			return err
		}
		_, err = tx.owe(h, event.Event{Kind: event.ChannelCreated, ChannelID: c.ID, SenderID: c.CreatorID, Channel: stateOf(c)})
		if err != nil {
			return err
		}
		for _, user := range members {
			if _, err := tx.join(h, store.MemberChange{ChannelID: c.ID, By: c.CreatorID}, user); err != nil {
				return err
			}
		}
		return nil
	})
}

// peopleKey is the same text for the same set of people. An id has no space.
func peopleKey(people []chat.UserID) string {
	ids := make([]string, 0, len(people))
	for _, p := range people {
		ids = append(ids, string(p))
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " ")
}

// DirectChannel implements store.Directs.
func (d *Directory) DirectChannel(ctx context.Context, workspace chat.WorkspaceID, people []chat.UserID) (chat.Channel, error) {
	q := asked[chat.Channel]{"channel", channelColumns + `FROM channels AS c WHERE workspace_id = ? AND people = ?`, scanChannel}
	return get(ctx, d, q, workspace, peopleKey(people))
}

// Channel implements store.Channels.
func (d *Directory) Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error) {
	return get(ctx, d, asked[chat.Channel]{"channel", channelColumns + `FROM channels AS c WHERE id = ?`, scanChannel}, id)
}

// ListChannels implements store.Channels.
func (d *Directory) ListChannels(ctx context.Context, q store.ChannelQuery) ([]store.ListedChannel, error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, err
	}
	if !q.Role.Valid() {
		return nil, nil
	}
	scan := func(r row) (l store.ListedChannel, err error) {
		return l, r.Scan(append(channelFields(&l.Channel), &l.Joined)...)
	}
	return list(ctx, d, asked[store.ListedChannel]{"channel", channelColumns + `, t.user_id IS NOT NULL
		FROM channels AS c LEFT JOIN tenures AS t ON t.channel_id = c.id AND t.user_id = ?1 AND t.left_by IS NULL
		WHERE c.workspace_id = ?2 AND c.id > ?3 AND (t.user_id IS NOT NULL OR (?4 AND c.type = ?5))
		ORDER BY c.id LIMIT ?6`, scan},
		q.UserID, q.WorkspaceID, q.After, q.Role != chat.RoleGuest, chat.ChannelPublic, q.Limit)
}

// UpdateChannel implements store.Editing. The write lock is held, so the channel stays what was read.
func (d *Directory) UpdateChannel(ctx context.Context, m store.ChannelChange) (chat.Channel, error) {
	var after chat.Channel
	err := d.write(ctx, "change channel", "channel", func(tx change) error {
		c, err := scanChannel(tx.tx.QueryRowContext(ctx, channelColumns+`FROM channels AS c WHERE id = ?`, m.ChannelID))
		if err != nil {
			return err
		}
		if after, err = m.Of(c); err != nil || after == c {
			return err
		}
		_, err = tx.exec(`UPDATE channels SET name = ?, topic = ?, archived = ? WHERE id = ?`, after.Name, after.Topic, after.Archived, c.ID)
		if err = failed(err, "change channel", "channel"); fault.Is(err, fault.Conflict) {
			return fault.Wrap(fault.Conflict, err, "A channel of this name exists already.")
		}
		if err != nil {
			return err
		}
		h, err := tx.home(c.WorkspaceID)
		if err != nil {
			return err
		}
		kind := event.ChannelUpdated
		if after.Archived {
			kind = event.ChannelArchived
		}
		_, err = tx.owe(h, event.Event{Kind: kind, ChannelID: c.ID, SenderID: m.By, Channel: stateOf(after)})
		return err
	})
	if err != nil {
		return chat.Channel{}, err
	}
	return after, nil
}

// stateOf is what the events of a channel tell of it.
func stateOf(c chat.Channel) *event.ChannelState {
	return &event.ChannelState{Name: c.Name, Type: c.Type, Topic: c.Topic, CreatorID: c.CreatorID}
}

// SetMembers implements store.Channels.
func (d *Directory) SetMembers(ctx context.Context, m store.MemberChange) (store.OutboxID, error) {
	var last store.OutboxID
	err := d.write(ctx, "change members", "channel", func(c change) error {
		var workspace chat.WorkspaceID
		var kind chat.ChannelType
		err := c.tx.QueryRowContext(ctx, `SELECT workspace_id, type FROM channels WHERE id = ?`, m.ChannelID).Scan(&workspace, &kind)
		if err != nil {
			return err
		}
		if kind.Direct() {
			return fault.New(fault.Conflict, "A direct message is its people: nobody can join or leave it.")
		}
		h, err := c.home(workspace)
		if err != nil {
			return err
		}
		step := c.join
		if m.Leave {
			step = c.leave
		}
		for _, user := range m.UserIDs {
			id, err := step(h, m, user)
			if fault.Is(err, fault.NotFound) {
				continue // not a member of the workspace
			}
			if err != nil {
				return err
			}
			last = max(last, id)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return last, nil
}

// join begins a tenure, with its event, and returns the event's outbox id; 0 when the user is in the channel
// already. The write lock is held, so what it reads stays true. NotFound: the user is not in the workspace.
func (c change) join(h home, m store.MemberChange, user chat.UserID) (store.OutboxID, error) {
	var role chat.Role
	var there bool
	err := c.tx.QueryRowContext(c.ctx, `SELECT role, EXISTS (
			SELECT 1 FROM tenures WHERE channel_id = ?1 AND user_id = ?2 AND left_by IS NULL)
		FROM members WHERE workspace_id = ?3 AND user_id = ?2`, m.ChannelID, user, h.workspace).Scan(&role, &there)
	if err != nil || there {
		return 0, failed(err, "join", "member")
	}
	if m.Role != "" {
		role = m.Role
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberJoined, ChannelID: m.ChannelID, SenderID: m.By, UserID: user, Role: role})
	if err != nil {
		return 0, err
	}
	_, err = c.exec(`INSERT INTO tenures (channel_id, user_id, joined_by) VALUES (?, ?, ?)`, m.ChannelID, user, id)
	return id, err
}

// leave ends a tenure, with its event, and returns the event's outbox id; 0 when the user is not in the channel.
func (c change) leave(h home, m store.MemberChange, user chat.UserID) (store.OutboxID, error) {
	var there bool
	err := c.tx.QueryRowContext(c.ctx, `SELECT EXISTS (SELECT 1 FROM tenures WHERE channel_id = ? AND user_id = ? AND left_by IS NULL)`,
		m.ChannelID, user).Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberLeft, ChannelID: m.ChannelID, SenderID: m.By, UserID: user})
	if err != nil {
		return 0, err
	}
	_, err = c.exec(`UPDATE tenures SET left_by = ? WHERE channel_id = ? AND user_id = ? AND left_by IS NULL`, id, m.ChannelID, user)
	return id, err
}

// ChannelMembers implements store.Channels.
func (d *Directory) ChannelMembers(ctx context.Context, channel chat.ChannelID, after chat.UserID, limit int) ([]chat.UserID, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, asked[chat.UserID]{"member", `SELECT user_id FROM tenures
		WHERE channel_id = ? AND left_by IS NULL AND user_id > ? ORDER BY user_id LIMIT ?`, scalar[chat.UserID]}, channel, after, limit)
}

// Standing implements store.Channels.
func (d *Directory) Standing(ctx context.Context, channel chat.ChannelID, user chat.UserID) (chat.Standing, chat.Channel, error) {
	var s chat.Standing
	scan := func(r row) (c chat.Channel, err error) {
		return c, r.Scan(append(channelFields(&c), &s.Role, &s.InIt)...)
	}
	c, err := get(ctx, d, asked[chat.Channel]{"channel", channelColumns + `, coalesce(m.role, ''), EXISTS (
			SELECT 1 FROM tenures AS t WHERE t.channel_id = c.id AND t.user_id = ?1 AND t.left_by IS NULL)
		FROM channels AS c LEFT JOIN members AS m ON m.workspace_id = c.workspace_id AND m.user_id = ?1
		WHERE c.id = ?2`, scan}, user, channel)
	s.Type, s.Archived = c.Type, c.Archived
	return s, c, err
}

// Tenures implements store.Channels.
func (d *Directory) Tenures(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID, since chat.Seq) ([]store.TenureOf, error) {
	scan := func(r row) (t store.TenureOf, err error) {
		return t, r.Scan(&t.ChannelID, &t.JoinedSeq, &t.LeftSeq, &t.Type, &t.Archived)
	}
	return list(ctx, d, asked[store.TenureOf]{"channel", `SELECT t.channel_id, t.joined_seq, t.left_seq, c.type, c.archived
		FROM tenures AS t JOIN channels AS c ON c.id = t.channel_id
		WHERE t.user_id = ? AND c.workspace_id = ? AND (t.left_seq = 0 OR t.left_seq >= ?)
		ORDER BY t.channel_id, t.joined_by`, scan}, user, workspace, int64(min(since, chat.MaxSeq)))
}
