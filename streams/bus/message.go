package bus

import (
	"errors"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// ErrUnknown is in the error of a publish whose event may be in the log, now or a little later. Without
// it, an event that could not be published is not in the log and will not be.
var ErrUnknown = errors.New("unknown outcome; sending again is safe")

// Message is an event to be stored.
type Message struct {
	Place       streams.Place
	MsgID       string // by which the log knows a repetition, made by a builder of streams
	TraceParent string // W3C Trace Context; may be empty
	Payload     []byte // must not change until the outcome is known
}

// Ack says where the hub stored an event.
type Ack struct {
	Stream    string
	Domain    string
	Seq       chat.Seq
	Duplicate bool // it was there already: Seq is the first one's
}
