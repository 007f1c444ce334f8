package rest

import (
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
)

// NewScheduled asks for a message to be sent later.
type NewScheduled struct {
	Body        string           `json:"body"`
	At          Time             `json:"at"`            // at most chat.MaxScheduleAhead ahead
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"` // that the message will have; the server makes one when empty
	Thread      chat.Seq         `json:"thread"`        // the seq of the message that it replies to; 0: none
}

// NewReminder asks to be reminded, in one's own channel of the workspace.
type NewReminder struct {
	Text      string         `json:"text"`
	At        Time           `json:"at"`         // at most chat.MaxScheduleAhead ahead
	ChannelID chat.ChannelID `json:"channel_id"` // of the message that it is about; empty: about none
	Seq       chat.Seq       `json:"seq"`        // of that message
}

// Scheduled is a message or reminder that waits for its time.
type Scheduled struct {
	ID          string           `json:"id"`
	Kind        job.Kind         `json:"kind"`
	ChannelID   chat.ChannelID   `json:"channel_id,omitempty"` // where it will be sent; of the message that a reminder is about
	Seq         chat.Seq         `json:"seq,omitempty"`        // of the message that a reminder is about
	Thread      chat.Seq         `json:"thread,omitempty"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id,omitempty"`
	Body        string           `json:"body"`
	At          Time             `json:"at"`
	CreatedAt   Time             `json:"created_at"`
}

// ScheduledOf is s as its user reads it.
func ScheduledOf(s job.Scheduled) Scheduled {
	return Scheduled{
		ID: s.ID, Kind: s.Kind, ChannelID: s.ChannelID, Seq: s.Seq, Thread: s.Thread, ClientMsgID: s.ClientMsgID,
		Body: s.Body, At: Time(s.At), CreatedAt: Time(s.CreatedAt),
	}
}

// ScheduledList is what waits for the one who asks in a workspace, the next first. There are at most chat.MaxScheduled,
// and a few more of who asked for many at the same moment.
type ScheduledList struct {
	Scheduled []Scheduled `json:"scheduled"`
}
