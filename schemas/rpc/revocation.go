package rpc

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Revocation is the value of a sign-in that ended in the bucket revocations.
type Revocation struct {
	UserID chat.UserID `json:"user_id"`
	Until  time.Time   `json:"until"` // when the last token of it has expired
}
