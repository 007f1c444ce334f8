package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/token"
)

// DeviceCursors are up to where devices have got everything of a workspace. A cursor never goes back: whatever the order of the
// writes and however often one comes, the furthest one counts, by epoch and seq.
type DeviceCursors interface {
	// SetDelivered moves cursors forward, any number of them, of any users. Of one device's cursor at the same place the
	// first time that is kept counts. Times are kept to the nanosecond, in UTC. After an error any part may be written,
	// and it can be called again.
	SetDelivered(ctx context.Context, cursors []DeviceCursor) error
	// DevicesOf lists the cursors of users in a workspace, at most chat.MaxPageSize users; users and devices in no particular order.
	DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]DeviceCursor, error)
	// ForgetDevices takes away what is kept of devices that were last heard of before a moment; it may leave some.
	ForgetDevices(ctx context.Context, before time.Time) error
}

// DeviceCursor says that a device of a user has got everything of a workspace up to a place: a device is a sign-in.
type DeviceCursor struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	DeviceID    token.SignInID
	Cursor      chat.Cursor
	At          time.Time // when it told so
}

// Deliveries are the states of messages for recipients, as exceptions: of what is owed and was not confirmed in time.
type Deliveries interface {
	// SetDeliveries moves states forward, each to the one of the higher rank (chat.Delivery.Rank): whatever the order of the
	// writes and however often one comes, the highest counts, whole. Any number of them, of any messages. After an error
	// any part may be written, and it can be called again. Times are kept to the millisecond, in UTC.
	SetDeliveries(ctx context.Context, states []chat.Delivery) error
	// DeliveriesOf lists the states of one message by user id, after the given one, at most limit (1 to chat.MaxPageSize).
	DeliveriesOf(ctx context.Context, q DeliveryQuery) ([]chat.Delivery, error)
	// DeliveriesFor reads the states of one message for some users, at most chat.MaxPageSize of them, in no particular order;
	// users without one are left out.
	DeliveriesFor(ctx context.Context, m MessageKey, users []chat.UserID) ([]chat.Delivery, error)
}

// MessageKey names a message by its workspace: a workspace uses no seq twice.
type MessageKey struct {
	WorkspaceID chat.WorkspaceID
	Seq         chat.Seq
}

// DeliveryQuery says which states to list.
type DeliveryQuery struct {
	MessageKey
	After chat.UserID // exclusive; empty: from the start
	Limit int
}

// Threads are who takes part in one.
type Threads interface {
	// Participants reads who wrote in a thread: the author of its root and of its replies, each once, at most
	// chat.MaxFollowers of them, the latest ones. Deleted messages count. A thread that is not there has nobody.
	Participants(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]chat.UserID, error)
}
