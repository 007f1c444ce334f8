package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// PresenceState is how a user can be reached at one gateway: the value of their key in the bucket presence. Who is
// offline there has no key.
type PresenceState struct {
	Status   chat.Status      `json:"status"` // online or away
	Text     string           `json:"text,omitempty"`
	Channels []chat.ChannelID `json:"channels,omitempty"` // small ones that they are in, sorted: who is in one of them is told
	At       time.Time        `json:"at"`                 // by the gateway's clock: of two texts the later one counts
}

// PresenceTold is what gateways tell those of other regions on eph.<ws>.presence.<user>, and answer to eph.<ws>.ask
// (there in a list).
type PresenceTold struct {
	Region  string        `json:"region"`
	Gateway string        `json:"gateway"`
	UserID  chat.UserID   `json:"user_id"`
	State   PresenceState `json:"state"` // offline: not there any more
}

// TypingTold is what gateways tell each other on eph.<ws>.typing.<ch>.
type TypingTold struct {
	Gateway string      `json:"gateway"`
	UserID  chat.UserID `json:"user_id"`
}
