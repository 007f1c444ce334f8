package store

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
)

// NewScheduled is what a user asks to have done at a time: who asks stands beside it. It is no contract with a store; it
// lies here because the API and the schedule both speak of it and do not know each other.
type NewScheduled struct {
	Kind        job.Kind
	WorkspaceID chat.WorkspaceID // of a reminder; of a message, its channel's counts
	ChannelID   chat.ChannelID   // of a message; of the message that a reminder is about, or empty
	Thread      chat.Seq         // of a message in one; 0: none
	Seq         chat.Seq         // of the message that a reminder is about; 0: about none
	Body        string           // at most chat.MaxBody bytes
	At          time.Time        // ahead, by at most chat.MaxScheduleAhead
	ClientMsgID chat.ClientMsgID // of a message: what makes asking twice one; empty: one is made
}
