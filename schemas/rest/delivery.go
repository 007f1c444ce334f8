package rest

import "github.com/canopychat/canopy/schemas/chat"

// Delivery is a message and what became of it, for a page of its recipients by user id.
type Delivery struct {
	ChannelID   chat.ChannelID `json:"channel_id"`
	Seq         chat.Seq       `json:"seq"`
	ServerMsgID string         `json:"server_msg_id"`
	SenderID    chat.UserID    `json:"sender_id"`
	StoredAt    Time           `json:"stored_at"`
	Deleted     bool           `json:"deleted,omitempty"`
	Routed      bool           `json:"routed"` // who is to be woken for it is decided
	Recipients  []Recipient    `json:"recipients"`
	NextCursor  string         `json:"next_cursor,omitempty"`
}

// Recipient is what became of a message for one member of its channel at its seq.
type Recipient struct {
	UserID   chat.UserID         `json:"user_id"`
	Login    string              `json:"login,omitempty"`
	Status   chat.DeliveryStatus `json:"status"`
	Why      chat.Owed           `json:"why,omitempty"`    // absent: nobody is woken for it
	At       *Time               `json:"at,omitempty"`     // delivered, read: known since; expired, dead: when
	Device   string              `json:"device,omitempty"` // which confirmed it: its name, or the id of its session
	Next     *Time               `json:"next_attempt,omitempty"`
	Attempts int                 `json:"attempts"`
	Error    string              `json:"last_error,omitempty"`
	Reason   string              `json:"reason,omitempty"` // expired, dead
	Rounds   int                 `json:"rounds,omitempty"` // how often it was taken out of the dead letters
	Story    []Step              `json:"story"`            // in the order of their times
}

// Step is one line of the story of a message and a recipient.
type Step struct {
	At   *Time  `json:"at,omitempty"` // absent: not known
	What string `json:"what"`         // stored, routed, attempt, delivered, read, expired, dead, redriven
	Text string `json:"text,omitempty"`
}
