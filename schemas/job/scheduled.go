package job

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Kind says what a Scheduled job does at its time.
type Kind string

// The kinds.
const (
	Later    Kind = "message"  // sends a message as its user
	Reminder Kind = "reminder" // reminds its user, in their channel of their own
)

// Scheduled is a message or a reminder that waits for its time.
type Scheduled struct {
	V           int              `json:"v"`
	ID          string           `json:"id"` // names it to its user, an id token (chat.IsID)
	Kind        Kind             `json:"kind"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	UserID      chat.UserID      `json:"user_id"`
	ChannelID   chat.ChannelID   `json:"channel_id,omitempty"`    // of a message; of the message that a reminder is about
	Seq         chat.Seq         `json:"seq,omitempty"`           // of the message that a reminder is about
	Thread      chat.Seq         `json:"thread,omitempty"`        // of a message
	ClientMsgID chat.ClientMsgID `json:"client_msg_id,omitempty"` // that the sent message will have: what makes it one
	Body        string           `json:"body"`
	At          time.Time        `json:"at"` // when it is due
	CreatedAt   time.Time        `json:"created_at"`
}

// ParseScheduled reads a job. The error wraps ErrMalformed and says what is wrong.
func ParseScheduled(b []byte) (Scheduled, error) {
	var s Scheduled
	if err := json.Unmarshal(b, &s); err != nil {
		return Scheduled{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case s.V != Version:
		return Scheduled{}, fmt.Errorf("%w: version %d", ErrMalformed, s.V)
	case s.Kind != Later && s.Kind != Reminder:
		return Scheduled{}, fmt.Errorf("%w: kind %.20q", ErrMalformed, s.Kind)
	case !chat.IsID(s.ID) || !chat.IsID(string(s.WorkspaceID)) || !chat.IsID(string(s.UserID)):
		return Scheduled{}, fmt.Errorf("%w: %w", ErrMalformed, chat.ErrBadID)
	case (s.Kind == Later || s.ChannelID != "") && !chat.IsID(string(s.ChannelID)):
		return Scheduled{}, fmt.Errorf("%w: channel_id: %w", ErrMalformed, chat.ErrBadID)
	case s.Seq > chat.MaxSeq || s.Thread > chat.MaxSeq:
		return Scheduled{}, fmt.Errorf("%w: seq %d, thread %d", ErrMalformed, s.Seq, s.Thread)
	case s.At.IsZero():
		return Scheduled{}, fmt.Errorf("%w: at", ErrMalformed)
	}
	return s, nil
}

// Encode writes the job. V is set when it is 0.
func (s Scheduled) Encode() ([]byte, error) {
	if s.V == 0 {
		s.V = Version
	}
	return json.Marshal(s)
}
