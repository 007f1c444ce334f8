package chat

import "time"

// Owed is why a message is owed to somebody who was not there when it came: why a device is to be woken for it.
type Owed string

// The reasons, from the strongest. A message is owed to a user for the strongest one that holds.
const (
	OwedDirect  Owed = "direct"  // it is in a dm or group_dm of theirs
	OwedMention Owed = "mention" // it names them: @login
	OwedThread  Owed = "thread"  // it is a reply in a thread that they follow
	OwedChannel Owed = "channel" // it names everybody: @channel
	OwedHere    Owed = "here"    // it names everybody who is active: @here
	OwedKeyword Owed = "keyword" // it holds a word that they watch
)

// DeliveryStatus is what became of a message for one recipient.
type DeliveryStatus string

// The statuses. Nothing moves back; Delivered and Read can come after every other one, because people can come back
// for what was given up.
const (
	DeliveryPending   DeliveryStatus = "pending"   // it is owed, and was not confirmed yet
	DeliveryExpired   DeliveryStatus = "expired"   // it came to nothing by itself: deleted, they left, too old
	DeliveryDead      DeliveryStatus = "dead"      // given up after the last attempt: undelivered
	DeliveryDelivered DeliveryStatus = "delivered" // a device of theirs confirmed it, or a push service or webhook took it
	DeliveryRead      DeliveryStatus = "read"      // they read it
)

// A Delivery is the state of one message for one recipient, as long as it is an exception: what a device's cursor
// covers needs none.
type Delivery struct {
	WorkspaceID WorkspaceID
	ChannelID   ChannelID
	Seq         Seq
	UserID      UserID
	Status      DeliveryStatus // Pending, Expired, Dead or Delivered
	Why         Owed
	Round       int       // how often it was taken out of the dead letters again
	Attempts    []Attempt // of this round, in order; at most MaxAttempts
	Next        time.Time // Pending: when the next attempt is due; zero: not said
	Reason      string    // Expired, Dead: why; Delivered: by what
	RoutedAt    time.Time // when it was found to be owed
	At          time.Time // of this state
}

// An Attempt is one try to reach one target.
type Attempt struct {
	At     time.Time `json:"at"`
	Target string    `json:"target"`          // push:<id>, webhook:<id>; empty: there was none to try
	Error  string    `json:"error,omitempty"` // empty: it was taken
}

// Rank orders the states of one message for one recipient: a higher one never gives way to a lower one. A read one is above
// everything, and a delivered one above all others; within a round, an ended one is above a pending one, which is the higher
// the more it was tried. Rounds above the thousandth are not told apart, nor are attempts beyond those that are kept. It
// is above 0, and below what a time in microseconds is.
func (d Delivery) Rank() int64 {
	const (
		ended     = 1 << 20
		round     = 1 << 21
		delivered = 1 << 40
		rounds    = 1000
	)
	begun := int64(min(d.Round, rounds)) * round
	switch d.Status {
	case DeliveryRead:
		return delivered + 1
	case DeliveryDelivered:
		return delivered
	case DeliveryDead, DeliveryExpired:
		return begun + ended
	}
	return begun + 1 + int64(min(len(d.Attempts), MaxAttempts))
}
