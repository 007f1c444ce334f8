package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// LedgerRequest asks ledger.show what became of a message. Whoever may ask over NATS may ask about every message.
type LedgerRequest struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	ChannelID   chat.ChannelID   `json:"channel_id,omitempty"` // empty: found by the log, if that still holds the message
	Seq         chat.Seq         `json:"seq"`
	UserID      chat.UserID      `json:"user_id,omitempty"` // only for this recipient; empty: a page of all
	Login       string           `json:"login,omitempty"`   // instead of UserID
	After       chat.UserID      `json:"after,omitempty"`
	Limit       int              `json:"limit,omitempty"` // 0: chat.DefaultPageSize
}

// LedgerReply is a message and what became of it for each recipient.
type LedgerReply struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	ChannelID   chat.ChannelID   `json:"channel_id"`
	Seq         chat.Seq         `json:"seq"`
	Epoch       chat.Epoch       `json:"epoch"`
	SenderID    chat.UserID      `json:"sender_id"`
	SenderLogin string           `json:"sender_login,omitempty"`
	StoredAt    time.Time        `json:"stored_at"`
	Deleted     bool             `json:"deleted,omitempty"`
	Routed      bool             `json:"routed"` // the router is past it: who is owed it is decided
	Recipients  []Recipient      `json:"recipients"`
	Next        chat.UserID      `json:"next,omitempty"` // the After of the next page, also of one with less than Limit; empty: this is the last
}

// Recipient is what became of the message for one member of its channel at its seq. Who is gone by now is one, if something shows that
// they were still there when it came.
type Recipient struct {
	UserID   chat.UserID         `json:"user_id"`
	Login    string              `json:"login,omitempty"`
	Status   chat.DeliveryStatus `json:"status"`
	Why      chat.Owed           `json:"why,omitempty"`    // empty: it was not owed to them: nobody is woken for it
	At       time.Time           `json:"at,omitzero"`      // delivered, read: known since; expired, dead: when
	Device   string              `json:"device,omitempty"` // which confirmed it: its name, or the id of its sign-in
	DeviceID string              `json:"device_id,omitempty"`
	Next     time.Time           `json:"next_attempt,omitzero"`
	Attempts int                 `json:"attempts"`
	Error    string              `json:"last_error,omitempty"`
	Reason   string              `json:"reason,omitempty"` // expired, dead
	Rounds   int                 `json:"rounds,omitempty"` // how often it was taken out of the dead letters
	Story    []Step              `json:"story"`            // in the order of their times
}

// Step is one line of the story of a message and a recipient.
type Step struct {
	At   time.Time `json:"at,omitzero"` // zero: not known
	What string    `json:"what"`        // stored, routed, attempt, delivered, read, expired, dead, redriven
	Text string    `json:"text,omitempty"`
}

// DeadRetryRequest asks deadletter.retry to try one dead letter again, now.
type DeadRetryRequest struct {
	ID     uint64 `json:"id"`                // its seq in the DLQ
	DryRun bool   `json:"dry_run,omitempty"` // say what would be done
}

// DeadRetryReply says what became of it.
type DeadRetryReply struct {
	Done   bool   `json:"done"`             // it is dealt with, and no dead letter any more (with DryRun: it can be tried)
	Reason string `json:"reason,omitempty"` // why not
	Place  string `json:"place,omitempty"`  // where it ended: "stored at its place, seq 17 of channel …"
}
