package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
)

// ReadRequest tells cursors.read that a user has read a channel up to a message.
type ReadRequest struct {
	UserID    chat.UserID    `json:"user_id"`
	ChannelID chat.ChannelID `json:"channel_id"`
	Seq       chat.Seq       `json:"seq"`
}

// ReadReply says up to where they have read it then: Seq or further.
type ReadReply struct {
	Seq chat.Seq `json:"seq"`
}

// MaxDelivered is the most cursors of one DeliveredRequest.
const MaxDelivered = 500

// DeliveredRequest tells cursors.delivered up to where devices have got everything.
type DeliveredRequest struct {
	Cursors []DeviceCursor `json:"cursors"` // at most MaxDelivered
}

// DeviceCursor is one of them.
type DeviceCursor struct {
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	UserID      chat.UserID      `json:"user_id"`
	DeviceID    token.SignInID   `json:"device_id"`
	Epoch       chat.Epoch       `json:"epoch"`
	Seq         chat.Seq         `json:"seq"`
	At          time.Time        `json:"at"` // by the gateway's clock
}

// DeliveredReply says that they are kept.
type DeliveredReply struct{}

// ReadNotice tells gateways that a user has read a channel: it goes over eph.<ws>.read.<user>, and may be lost.
type ReadNotice struct {
	ChannelID chat.ChannelID `json:"channel_id"`
	Seq       chat.Seq       `json:"seq"`
}
