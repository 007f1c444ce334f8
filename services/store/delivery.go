package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
)

// How long what nobody writes any more is kept at least. A state outlives the dead letter of its message (90 days), so that
// who retries one finds what was tried before.
const (
	DeviceLife   = 90 * 24 * time.Hour  // a device's cursor, since it was last written
	DeliveryLife = 180 * 24 * time.Hour // a delivery's state, since it was last written
)

// DeviceCursors are up to where devices have got everything of a workspace. A cursor never goes back: whatever the order of the
// writes and however often one comes, the furthest one counts, by epoch and seq.
type DeviceCursors interface {
	// SetDelivered moves cursors forward, any number of them, of any users. Of one device's cursor at the same place the
	// earliest time counts. Times are kept to the nanosecond, in UTC. After an error any part may be written, and it can be
	// called again. Invalid: a cursor whose epoch or seq no log has; then nothing is written.
	SetDelivered(ctx context.Context, cursors []DeviceCursor) error
	// DevicesOf lists the cursors of users in a workspace, at most chat.MaxPageSize users; users and devices in no particular
	// order. Invalid: more of them.
	DevicesOf(ctx context.Context, workspace chat.WorkspaceID, users []chat.UserID) ([]DeviceCursor, error)
	// ForgetDevices takes away what is kept of devices that were last heard of before a moment; it may leave some. With them go
	// the states of deliveries that are older than that by what DeliveryLife is longer than DeviceLife. Called from time to time,
	// with DeviceLife ago, it keeps a store from growing; one that forgets by itself does nothing.
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
	// writes and however often one comes, the highest counts, whole. Of two different ones of one rank either counts,
	// for every reader the same one. Any number of them, of any messages. After an error any part may be written, and it can be called
	// again. Times are kept to the millisecond, in UTC. Invalid: a message whose seq no log has; then nothing is written.
	SetDeliveries(ctx context.Context, states []chat.Delivery) error
	// DeliveriesOf lists the states of one message by user id, after the given one, at most limit (1 to chat.MaxPageSize).
	// Invalid: another limit.
	DeliveriesOf(ctx context.Context, q DeliveryQuery) ([]chat.Delivery, error)
	// DeliveriesFor reads the states of one message for some users, at most chat.MaxPageSize of them, in no particular order;
	// users without one are left out. Invalid: more of them.
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

// Check says what makes q a query that no store can answer. The error is Invalid.
func (q DeliveryQuery) Check() error {
	if q.Limit < 1 || q.Limit > chat.MaxPageSize {
		return fault.New(fault.Invalid, "A limit is 1 to %d.", chat.MaxPageSize)
	}
	return nil
}

// Threads are who takes part in one.
type Threads interface {
	// Participants reads who wrote in a thread: the author of its root and of its replies, each once, at most
	// chat.MaxFollowers of them, who wrote last first. Deleted messages count. Of a thread with more than MaxThreadRead replies
	// it reads the latest. A thread that is not there has nobody.
	Participants(ctx context.Context, channel chat.ChannelID, root chat.Seq) ([]chat.UserID, error)
}

// MaxThreadRead is how many replies Participants looks at: every reply asks who is in its thread, and one that never ends
// must not make them dearer and dearer.
const MaxThreadRead = 10_000

// CheckUsers refuses more users than one question is about. The error is Invalid.
func CheckUsers(users []chat.UserID) error {
	if len(users) > chat.MaxPageSize {
		return fault.New(fault.Invalid, "One question is about %d users at most.", chat.MaxPageSize)
	}
	return nil
}

// CheckCursor refuses a place that is in no log. The error is Invalid.
func CheckCursor(c chat.Cursor) error {
	if c.Epoch < 1 || c.Epoch > chat.MaxEpoch || c.Seq > chat.MaxSeq {
		return fault.New(fault.Invalid, "There is no such place in a log.")
	}
	return nil
}

// deliveryRow is what is kept of a delivery besides its key, as one text: two writes of one rank must not end as a mixture,
// and where cells are merged one by one, only a row of one cell is sure to be whole. An operator can read it.
type deliveryRow struct {
	ChannelID chat.ChannelID      `json:"channel_id"`
	Status    chat.DeliveryStatus `json:"status"`
	Why       chat.Owed           `json:"why,omitempty"`
	Round     int                 `json:"round,omitempty"`
	Attempts  []chat.Attempt      `json:"attempts,omitempty"`
	Next      time.Time           `json:"next,omitzero"`
	Reason    string              `json:"reason,omitempty"`
	RoutedAt  time.Time           `json:"routed_at,omitzero"`
	At        time.Time           `json:"at,omitzero"`
}

// EncodeDelivery is what a store keeps of d besides its key and rank. The error is Invalid for a message whose seq no log has.
func EncodeDelivery(d chat.Delivery) (string, error) {
	if d.Seq < 1 || d.Seq > chat.MaxSeq {
		return "", fault.New(fault.Invalid, "There is no such message.")
	}
	row := deliveryRow{ChannelID: d.ChannelID, Status: d.Status, Why: d.Why, Round: d.Round, Reason: d.Reason,
		Next: inMillis(d.Next), RoutedAt: inMillis(d.RoutedAt), At: inMillis(d.At)}
	for _, a := range d.Attempts {
		a.At = inMillis(a.At)
		row.Attempts = append(row.Attempts, a)
	}
	text, err := json.Marshal(row)
	if err != nil {
		return "", fmt.Errorf("the state of %d for %s: %w", d.Seq, d.UserID, err)
	}
	return string(text), nil
}

// ParseDelivery reads what EncodeDelivery wrote.
func ParseDelivery(m MessageKey, user chat.UserID, text string) (chat.Delivery, error) {
	var row deliveryRow
	if err := json.Unmarshal([]byte(text), &row); err != nil {
		return chat.Delivery{}, fmt.Errorf("the state of %d for %s: %w", m.Seq, user, err)
	}
	return chat.Delivery{WorkspaceID: m.WorkspaceID, ChannelID: row.ChannelID, Seq: m.Seq, UserID: user,
		Status: row.Status, Why: row.Why, Round: row.Round, Attempts: row.Attempts, Next: row.Next, Reason: row.Reason,
		RoutedAt: row.RoutedAt, At: row.At}, nil
}

func inMillis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
