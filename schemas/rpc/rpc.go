// Package rpc holds what the processes of a deployment ask one another over NATS request/reply: the
// gateways know no database, so they ask the roles that have one.
//
// The subjects are in streams, the carrying is in streams/rpc. Everything is JSON, so that an operator
// can ask as well: `nats req rpc.directory.session '{"user_id":"…"}'`. A failure comes back as Fault.
package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// SessionRequest asks directory.session what a socket starts from.
type SessionRequest struct {
	UserID      chat.UserID      `json:"user_id"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id,omitempty"` // empty: the only one that the user belongs to
	Since       chat.Seq         `json:"since,omitempty"`        // tenures that ended before it are left out; 0: only those that last
}

// SessionReply is a user's place in a workspace. It is right for every position of the log from the
// moment of the request on, when member events that are stored after that moment are applied to it.
type SessionReply struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Shard       int              `json:"shard"`
	Epoch       chat.Epoch       `json:"epoch"`
	Role        chat.Role        `json:"role"`
	Members     int              `json:"members"` // of the workspace, roughly: some seconds ago
	Tenures     []Tenure         `json:"tenures"`
}

// Tenure is a time in a channel. LeftSeq 0: it lasts.
type Tenure struct {
	ChannelID chat.ChannelID   `json:"channel_id"`
	Type      chat.ChannelType `json:"type"`
	Archived  bool             `json:"archived,omitempty"`
	JoinedSeq chat.Seq         `json:"joined_seq"`
	LeftSeq   chat.Seq         `json:"left_seq,omitempty"`
	Members   int              `json:"members"` // of the channel at the moment of the answer, roughly: above chat.BroadcastMembers nothing is broadcast
}

// KeysRequest asks directory.keys for the keys that verify tokens.
type KeysRequest struct{}

// KeysReply lists them, the newest first.
type KeysReply struct {
	Keys []VerifyKey `json:"keys"`
}

// VerifyKey is the public half of a signing pair.
type VerifyKey struct {
	ID     string `json:"kid"`
	Public []byte `json:"public"` // 32 bytes, Ed25519
}

// TicketRequest asks directory.ticket whose a socket ticket is. It takes the ticket away.
type TicketRequest struct {
	Ticket string `json:"ticket"`
}

// TicketReply says it: what an access token of that sign-in would.
type TicketReply struct {
	UserID    chat.UserID    `json:"user_id"`
	SignInID  token.SignInID `json:"sign_in_id"`
	ExpiresAt time.Time      `json:"expires_at"` // of the sign-in
}

// SendRequest asks history.send which message a client_msg_id stands for.
type SendRequest struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Shard       int              `json:"shard"`
	SenderID    chat.UserID      `json:"sender_id"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"`
}

// SendReply says it. Seq 0: it is not stored up to Through; what the log holds after that is for the asker to search.
type SendReply struct {
	ChannelID chat.ChannelID `json:"channel_id,omitempty"`
	Seq       chat.Seq       `json:"seq,omitempty"`
	Through   chat.Seq       `json:"through"`
}

// MessageRequest asks history.message for a message that the log no longer holds.
type MessageRequest struct {
	ChannelID chat.ChannelID `json:"channel_id"`
	Seq       chat.Seq       `json:"seq"`
}

// MessageReply is what the rules need of it. It is NotFound when there is none.
type MessageReply struct {
	Epoch       chat.Epoch        `json:"epoch,omitempty"` // 0: who answers is of an earlier build
	SenderID    chat.UserID       `json:"sender_id"`
	ClientMsgID chat.ClientMsgID  `json:"client_msg_id"`
	Thread      chat.Seq          `json:"thread,omitempty"`
	Body        string            `json:"body,omitempty"` // as it is now
	Edited      bool              `json:"edited,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"`
	Attachments []chat.Attachment `json:"attachments,omitempty"`
	At          time.Time         `json:"ts"`
}

// ImportRequest asks directory.import, which `canopy seed` uses, to make accounts and put them in channels.
type ImportRequest struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Users       []ImportUser     `json:"users,omitempty"`    // at most MaxImport
	Channels    []ImportChannel  `json:"channels,omitempty"` // at most MaxImport
}

// MaxImport is the most users or channels of one ImportRequest: its bytes must fit a NATS message.
const MaxImport = 100

// ImportUser is an account to be made. An existing login keeps its account.
type ImportUser struct {
	Login       string   `json:"login"`
	DisplayName string   `json:"display_name"`
	Join        []string `json:"join,omitempty"` // names of public channels
}

// ImportChannel is a public channel to be made. An existing name keeps its channel.
type ImportChannel struct {
	Name  string `json:"name"`
	Topic string `json:"topic,omitempty"`
}

// ImportReply says what is there now, in the order of the request, with a token for each user.
type ImportReply struct {
	Users    []ImportedUser    `json:"users,omitempty"`
	Channels []ImportedChannel `json:"channels,omitempty"`
}

// ImportedUser is an account and a token that opens sockets and calls for it.
type ImportedUser struct {
	UserID chat.UserID `json:"user_id"`
	Login  string      `json:"login"`
	Token  string      `json:"token"`
}

// ImportedChannel is a channel that exists.
type ImportedChannel struct {
	ChannelID chat.ChannelID `json:"channel_id"`
	Name      string         `json:"name"`
}

// Fault is a failure on its way between processes.
type Fault struct {
	Code         fault.Kind `json:"code"`
	Message      string     `json:"message"`
	RetryAfterMS int64      `json:"retry_after_ms,omitempty"`
}
