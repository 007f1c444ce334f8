package live

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// The frames of a gateway, by type.
const (
	frameHello      = "hello"
	frameDeliver    = "message.deliver"
	frameEvent      = "event"
	frameMessageAck = "message.ack"
	frameAck        = "ack"
	framePong       = "pong"
	frameResync     = "resync"
	frameError      = "error"
	frameTyping     = "typing"
	framePresence   = "presence.update"
	frameRead       = "cursor.read"
	frameStale      = "cursor.stale"
)

// frame is any frame of a gateway; which fields count depends on Type. Fields and types that are not known are
// passed over: servers may be newer than clients.
type frame struct {
	Type        string           `json:"type"`
	Ref         json.RawMessage  `json:"ref"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"`
	ChannelID   chat.ChannelID   `json:"channel_id"`
	UserID      chat.UserID      `json:"user_id"`
	Seq         chat.Seq         `json:"seq"`
	Prev        chat.Seq         `json:"prev"`
	TS          time.Time        `json:"ts"`

	// hello and resync
	SessionID   chat.SessionID   `json:"session_id"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	Epoch       chat.Epoch       `json:"epoch"`
	Head        chat.Seq         `json:"head"`
	Resumed     bool             `json:"resumed"`
	HeartbeatS  int64            `json:"heartbeat_s"`
	Reason      string           `json:"reason"`

	// message.ack
	ServerMsgID string `json:"server_msg_id"`
	Duplicate   bool   `json:"duplicate"`

	// error; message is a text there, and an object in message.deliver
	Code       fault.Kind      `json:"code"`
	RetryAfter float64         `json:"retry_after"`
	Message    json.RawMessage `json:"message"`

	// event
	Kind       event.Kind          `json:"kind"`
	SenderID   chat.UserID         `json:"sender_id"`
	MessageSeq chat.Seq            `json:"message_seq"`
	Body       string              `json:"body"`
	Emoji      string              `json:"emoji"`
	Role       chat.Role           `json:"role"`
	Channel    *event.ChannelState `json:"channel"`
	User       *event.UserState    `json:"user"`

	// typing and presence.update
	ExpiresS uint32 `json:"expires_s"`
	Status   string `json:"status"`
	Text     string `json:"text"`
}

// parse reads a frame. One that it cannot read proves nothing, so the connection that brought it is given up.
func parse(data []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		return f, fmt.Errorf("a frame of the server does not parse: %w", err)
	}
	return f, nil
}

// posted is the message of a message.deliver.
func (f *frame) posted() (Posted, error) {
	var m rest.Message
	if err := json.Unmarshal(f.Message, &m); err != nil {
		return Posted{}, fmt.Errorf("message %d does not parse: %w", f.Seq, err)
	}
	// The frame says where the message stands.
	m.ChannelID, m.Seq, m.TS = f.ChannelID, f.Seq, rest.Time(f.TS)
	return Posted{Message: m}, nil
}

// changed is what an event frame tells.
func (f *frame) changed() Changed {
	return Changed{
		Kind: f.Kind, ChannelID: f.ChannelID, Seq: f.Seq, At: f.TS, SenderID: f.SenderID, MessageSeq: f.MessageSeq,
		Body: f.Body, Emoji: f.Emoji, UserID: f.UserID, Role: f.Role, Channel: f.Channel, User: f.User,
	}
}

// refused is the Error of an error frame.
func (f *frame) refused() *client.Error {
	p := rest.Problem{Title: f.Code.Title(), Code: f.Code, RetryAfter: f.RetryAfter}
	if json.Unmarshal(f.Message, &p.Detail) != nil {
		p.Detail = "" // the title says enough
	}
	return client.ErrorOf(p, "")
}
