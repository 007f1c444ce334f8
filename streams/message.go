package streams

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// Headers of a stored event. The server sets those on a republished event and on the answers of
// Direct Get (nats-server stream.go), except HeaderMsgID and HeaderTrace, which are the publisher's.
const (
	HeaderMsgID        = "Nats-Msg-Id"        // by which the stream knows a repetition
	HeaderStream       = "Nats-Stream"        // the stream that stored it
	HeaderSubject      = "Nats-Subject"       // the subject it is stored on
	HeaderSequence     = "Nats-Sequence"      // its seq
	HeaderLastSequence = "Nats-Last-Sequence" // the seq before it: on fan of the same subject, in a batch of the same answer; 0: none is left
	HeaderTimeStamp    = "Nats-Time-Stamp"    // when it was stored, RFC 3339 with nanoseconds
	HeaderNumPending   = "Nats-Num-Pending"   // in a batch: how many that match come after it
	HeaderUpToSequence = "Nats-UpTo-Sequence" // at the end of the last of many subjects: how far the replica that answers has come
	HeaderTrace        = "traceparent"        // the trace that caused it (W3C Trace Context); every part of ours carries it on
)

// outboxSender stands where a user's id would: a Directory change has a number instead. No user may
// be called so, or their client_msg_id could be taken for the number.
const outboxSender = "outbox"

// ErrBadMsgID says that a text is not a message id that one of our builders made.
var ErrBadMsgID = errors.New("not a message id of ours")

// PostMsgID is the Nats-Msg-Id of a post, <sender>.<client_msg_id>: a client's repetition of a send
// has the same one. The error is chat.ErrBadID or chat.ErrBadClientMsgID.
func PostMsgID(sender chat.UserID, id chat.ClientMsgID) (string, error) {
	return senderMsgID(sender, string(id))
}

// ChangeMsgID is the Nats-Msg-Id of any other change that a user makes, <sender>.<unique>. The unique
// part is a UUIDv7 made for the attempt, so that our own repetition of it is known and nobody else's.
// The error is chat.ErrBadID or chat.ErrBadClientMsgID.
func ChangeMsgID(sender chat.UserID, unique string) (string, error) {
	return senderMsgID(sender, unique)
}

func senderMsgID(sender chat.UserID, unique string) (string, error) {
	if !chat.IsID(string(sender)) || sender == outboxSender {
		return "", fmt.Errorf("sender_id: %w", chat.ErrBadID)
	}
	if _, err := chat.ParseClientMsgID(unique); err != nil {
		return "", err
	}
	return string(sender) + "." + unique, nil
}

// ParseSenderMsgID is the inverse of PostMsgID and ChangeMsgID. The error is ErrBadMsgID.
func ParseSenderMsgID(id string) (sender chat.UserID, unique string, err error) {
	user, unique, _ := strings.Cut(id, ".")
	if again, err := senderMsgID(chat.UserID(user), unique); err != nil || again != id {
		return "", "", ErrBadMsgID
	}
	return chat.UserID(user), unique, nil
}

// OutboxMsgID is the Nats-Msg-Id of a change that the Directory made, outbox.<id of the outbox's row>.
// The id is positive; the error is ErrBadMsgID.
func OutboxMsgID(id int64) (string, error) {
	if id <= 0 {
		return "", ErrBadMsgID
	}
	return outboxSender + "." + strconv.FormatInt(id, 10), nil
}

// ParseOutboxMsgID is the inverse of OutboxMsgID. The error is ErrBadMsgID.
func ParseOutboxMsgID(id string) (int64, error) {
	digits, ok := strings.CutPrefix(id, outboxSender+".")
	if !ok {
		return 0, ErrBadMsgID
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != digits {
		return 0, ErrBadMsgID
	}
	return n, nil
}
