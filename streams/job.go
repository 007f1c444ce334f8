package streams

import (
	"fmt"
	"strconv"

	"github.com/canopychat/canopy/schemas/chat"
)

const jobPrefix = "job."

// JobMsgID is the Nats-Msg-Id of the first job of a message for a recipient in a round,
// job.<ws>.<user>.<seq>.<round>: a router that writes it again soon after writes nothing. The error is chat.ErrBadID, or
// ErrBadMsgID for a seq that no message has or a round below 0.
func JobMsgID(ws chat.WorkspaceID, user chat.UserID, seq chat.Seq, round int) (string, error) {
	head, err := userSubject(jobPrefix, ws, user)
	if err != nil {
		return "", err
	}
	if seq == 0 || seq > chat.MaxSeq || round < 0 {
		return "", fmt.Errorf("seq %d, round %d: %w", seq, round, ErrBadMsgID)
	}
	return head + "." + strconv.FormatUint(uint64(seq), 10) + "." + strconv.Itoa(round), nil
}
