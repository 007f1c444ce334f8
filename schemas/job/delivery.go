package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Version is the version of both kinds of jobs that this build writes.
const Version = 1

// ErrMalformed is what every error of a parser here wraps: the bytes are not a job, and never will be.
var ErrMalformed = errors.New("malformed job")

// Delivery is one message that is owed to one recipient, and what was tried so far.
type Delivery struct {
	V           int              `json:"v"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	UserID      chat.UserID      `json:"user_id"`
	Shard       int              `json:"shard"`
	Epoch       chat.Epoch       `json:"epoch"`
	ChannelID   chat.ChannelID   `json:"channel_id"`
	Seq         chat.Seq         `json:"seq"` // of the message
	Why         chat.Owed        `json:"why"`
	PostedAt    time.Time        `json:"posted_at"`
	RoutedAt    time.Time        `json:"routed_at"`
	Round       int              `json:"round,omitempty"`    // how often it was taken out of the dead letters again
	Attempts    []chat.Attempt   `json:"attempts,omitempty"` // of this round; the last chat.MaxAttempts
	Tried       int              `json:"tried,omitempty"`    // attempts of this round, all of them
	TraceParent string           `json:"traceparent,omitempty"`
}

// ParseDelivery reads a job. The error wraps ErrMalformed and says what is wrong.
func ParseDelivery(b []byte) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(b, &d); err != nil {
		return Delivery{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case d.V != Version:
		return Delivery{}, fmt.Errorf("%w: version %d", ErrMalformed, d.V)
	case !chat.IsID(string(d.WorkspaceID)) || !chat.IsID(string(d.UserID)) || !chat.IsID(string(d.ChannelID)):
		return Delivery{}, fmt.Errorf("%w: %w", ErrMalformed, chat.ErrBadID)
	case d.Seq == 0 || d.Seq > chat.MaxSeq || d.Epoch == 0 || d.Epoch > chat.MaxEpoch:
		return Delivery{}, fmt.Errorf("%w: epoch %d, seq %d", ErrMalformed, d.Epoch, d.Seq)
	case d.Shard < 0 || d.Round < 0 || d.Tried < 0 || d.Why == "":
		return Delivery{}, fmt.Errorf("%w: shard, round, tried or why", ErrMalformed)
	}
	return d, nil
}

// Encode writes the job. V is set when it is 0.
func (d Delivery) Encode() ([]byte, error) {
	if d.V == 0 {
		d.V = Version
	}
	return json.Marshal(d)
}
