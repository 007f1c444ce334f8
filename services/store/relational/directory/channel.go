package directory

import (
	"context"
	"slices"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

const channelColumns = `SELECT c.id, c.workspace_id, coalesce(c.name, ''), c.type, c.topic, c.archived, c.creator_id, c.created_at `

// channelFields is where channelColumns are scanned to.
func channelFields(c *chat.Channel) []any {
	return []any{&c.ID, &c.WorkspaceID, &c.Name, &c.Type, &c.Topic, &c.Archived, &c.CreatorID, relational.Moment{Into: &c.CreatedAt}}
}

// askChannels is a question for the channels of which where says more.
func askChannels(where string) relational.Asked[chat.Channel] {
	scan := func(r relational.Row) (c chat.Channel, err error) { return c, r.Scan(channelFields(&c)...) }
	return relational.Ask("channel", channelColumns+`FROM channels AS c WHERE `+where, scan)
}

// CreateChannel implements store.Channels.
func (d *Directory) CreateChannel(ctx context.Context, c chat.Channel, members []chat.UserID) error {
	return d.write(ctx, "create channel", "channel", func(tx change) error { return tx.createChannel(c, members) })
}

func (c change) createChannel(n chat.Channel, members []chat.UserID) error {
	h, err := c.home(n.WorkspaceID)
	if err != nil {
		return err
	}
	var name, people any // NULL for what the type does not have
	if n.Type.Direct() {
		people = peopleKey(members)
	} else {
		name = n.Name
	}
	_, err = c.Exec(`INSERT INTO channels (id, workspace_id, name, people, type, topic, archived, creator_id, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		n.ID, n.WorkspaceID, name, people, n.Type, n.Topic, n.Archived, n.CreatorID, relational.Micros(n.CreatedAt))
	if err != nil {
		return err
	}
	_, err = c.owe(h, event.Event{Kind: event.ChannelCreated, ChannelID: n.ID, SenderID: n.CreatorID, Channel: stateOf(n)})
	if err != nil {
		return err
	}
	for _, user := range members {
		j := joining{MemberChange: store.MemberChange{ChannelID: n.ID, By: n.CreatorID}}
		if user == n.CreatorID && n.Type.Named() {
			j.as = chat.ChannelManager
		}
		if _, err := c.join(h, j, user); err != nil {
			return err
		}
	}
	return nil
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
	return get(ctx, d, askChannels(`c.workspace_id = ? AND c.people = ?`), workspace, peopleKey(people))
}

// Channel implements store.Channels.
func (d *Directory) Channel(ctx context.Context, id chat.ChannelID) (chat.Channel, error) {
	return get(ctx, d, askChannels(`c.id = ?`), id)
}

// ListChannels implements store.Channels.
func (d *Directory) ListChannels(ctx context.Context, q store.ChannelQuery) ([]store.ListedChannel, error) {
	if err := relational.CheckLimit(q.Limit); err != nil {
		return nil, err
	}
	if !q.Role.Valid() {
		return nil, nil
	}
	scan := func(r relational.Row) (l store.ListedChannel, err error) {
		return l, r.Scan(append(channelFields(&l.Channel), &l.Joined)...)
	}
	return list(ctx, d, relational.Ask("channel", channelColumns+`, t.user_id IS NOT NULL
		FROM channels AS c LEFT JOIN tenures AS t ON t.channel_id = c.id AND t.user_id = ?1 AND t.left_by IS NULL
		WHERE c.workspace_id = ?2 AND c.id > ?3 AND (t.user_id IS NOT NULL OR (?4 AND c.type = ?5))
		ORDER BY c.id LIMIT ?6`, scan),
		q.UserID, q.WorkspaceID, q.After, q.Role != chat.RoleGuest, chat.ChannelPublic, q.Limit)
}

// UpdateChannel implements store.Editing.
func (d *Directory) UpdateChannel(ctx context.Context, m store.ChannelChange) (chat.Channel, error) {
	var after chat.Channel
	err := d.write(ctx, "change channel", "channel", func(tx change) error {
		h, c, err := tx.channel(m.ChannelID)
		if err != nil {
			return err
		}
		if after, err = m.Of(c); err != nil || after == c {
			return err
		}
		_, err = tx.Exec(`UPDATE channels SET name = ?, topic = ?, archived = ? WHERE id = ?`, after.Name, after.Topic, after.Archived, c.ID)
		if err = tx.Failed(err, "change channel", "channel"); fault.Is(err, fault.Conflict) {
			return fault.Wrap(fault.Conflict, err, "A channel of this name exists already.")
		}
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
