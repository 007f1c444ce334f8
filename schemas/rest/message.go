package rest

import (
	"cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// NewMessage asks the log to take a message.
type NewMessage struct {
	Body        string           `json:"body"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"`
	Thread      chat.Seq         `json:"thread"` // the message that it replies to
}

// EditMessage gives a message another text.
type EditMessage struct {
	Body string `json:"body"`
}

// StatusStored is the status of an Ack: a quorum of the log has the message.
const StatusStored = "stored"

// Ack says where the log has stored a message: the fields of the frame message.ack.
type Ack struct {
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"`
	ChannelID   chat.ChannelID   `json:"channel_id"`
	Seq         chat.Seq         `json:"seq"`
	ServerMsgID string           `json:"server_msg_id"`
	TS          Time             `json:"ts"`
	Status      string           `json:"status"`
	Duplicate   bool             `json:"duplicate"` // it was there already: seq and ts are those of the first send
}

// AckOf says that the post c is stored as r says.
func AckOf(c event.Change, r event.Receipt) Ack {
	return Ack{
		ClientMsgID: c.ClientMsgID, ChannelID: c.ChannelID, Seq: r.Seq,
		ServerMsgID: chat.Cursor{Epoch: cmp.Or(r.Epoch, c.Epoch), Seq: r.Seq}.String(),
		TS:          Time(r.At), Status: StatusStored, Duplicate: r.Duplicate,
	}
}

// Stored is the place that an edit, delete, reaction or pin got in the log.
type Stored struct {
	Seq chat.Seq `json:"seq"` // of the event, not of the message that it is about
}

// Message is a message as it stands now.
type Message struct {
	Seq         chat.Seq          `json:"seq"`
	ServerMsgID string            `json:"server_msg_id"`
	ChannelID   chat.ChannelID    `json:"channel_id"`
	SenderID    chat.UserID       `json:"sender_id"`
	Body        string            `json:"body"` // empty when deleted
	ClientMsgID chat.ClientMsgID  `json:"client_msg_id"`
	TS          Time              `json:"ts"`
	Thread      chat.Seq          `json:"thread,omitempty"`
	EditedAt    *Time             `json:"edited_at,omitempty"`
	Deleted     bool              `json:"deleted,omitempty"`
	Reactions   []chat.Reaction   `json:"reactions,omitempty"`
	Attachments []chat.Attachment `json:"attachments,omitempty"`
}

// MessageOf is m as clients read it. Of a deleted message only its place and its sender are left,
// whatever m still holds.
func MessageOf(m chat.Message) Message {
	out := Message{
		Seq: m.Seq, ServerMsgID: m.ServerMsgID(), ChannelID: m.ChannelID, SenderID: m.SenderID,
		ClientMsgID: m.ClientMsgID, TS: Time(m.PostedAt), Thread: m.Thread, Deleted: m.Deleted,
	}
	if m.Deleted {
		return out
	}
	out.Body, out.Reactions, out.Attachments = m.Body, m.Reactions, m.Attachments
	if !m.EditedAt.IsZero() {
		at := Time(m.EditedAt)
		out.EditedAt = &at
	}
	return out
}

// MessageList is a page of a channel, of a thread in it or of its pins.
type MessageList struct {
	Messages        []Message `json:"messages"`         // newest first
	HasMore         bool      `json:"has_more"`         // in the direction of the query: older, unless after was given
	CompleteThrough chat.Seq  `json:"complete_through"` // what the log stored after this seq may be missing
}

// MessageListOf is messages as clients read them.
func MessageListOf(messages []chat.Message, hasMore bool, completeThrough chat.Seq) MessageList {
	list := MessageList{Messages: make([]Message, len(messages)), HasMore: hasMore, CompleteThrough: completeThrough}
	for i, m := range messages {
		list.Messages[i] = MessageOf(m)
	}
	return list
}
