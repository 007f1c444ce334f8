package store

import (
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// ChannelChange gives a channel another name or topic, or archives it. A field that is nil leaves what is.
type ChannelChange struct {
	ChannelID chat.ChannelID
	By        chat.UserID // who does it
	Name      *string
	Topic     *string
	Archived  *bool
}

// Of is what the change makes of c. What changes nothing is always fine, so that a change can be asked for again.
// Conflict: c is a direct message, which has nothing to change, or is archived. Invalid: an archived channel
// would be in use again, which no event tells.
func (m ChannelChange) Of(c chat.Channel) (chat.Channel, error) {
	after := c
	if m.Name != nil {
		after.Name = *m.Name
	}
	if m.Topic != nil {
		after.Topic = *m.Topic
	}
	if m.Archived != nil {
		after.Archived = *m.Archived
	}
	switch {
	case after == c:
		return c, nil
	case c.Type.Direct():
		return c, fault.New(fault.Conflict, "A direct message has no name and no topic, and is not archived.")
	case c.Archived && !after.Archived:
		return c, fault.New(fault.Invalid, "An archived channel stays archived: archived can only be set to true.")
	case c.Archived:
		return c, fault.New(fault.Conflict, "The channel is archived.")
	}
	return after, nil
}

// UserChange gives an account another display name.
type UserChange struct {
	UserID      chat.UserID
	By          chat.UserID // who does it
	DisplayName string
}
