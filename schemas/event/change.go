package event

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// A Change is what a user asks the log to take, over a socket or over REST: the wish for an event.
// Who accepts it has authenticated the user and says where the user stands.
type Change struct {
	Kind      Kind // MessagePosted to PinRemoved: the kinds that a member of a channel may cause
	Workspace chat.WorkspaceID
	Shard     int
	Epoch     chat.Epoch
	ChannelID chat.ChannelID
	UserID    chat.UserID
	Standing  chat.Standing // of the user towards the channel

	ClientMsgID chat.ClientMsgID // of a post
	Retry       bool             // of a post: the client says that it sent this before
	MessageSeq  chat.Seq         // the message that an edit, delete, reaction or pin is about
	Thread      chat.Seq         // the root that a post answers, or 0
	Body        string
	Emoji       string
	Attachments []chat.Attachment
	TraceParent string // W3C trace context, or empty
}

// A Receipt says where a Change ended up. It exists only for what the log has stored.
type Receipt struct {
	Seq       chat.Seq
	At        time.Time  // the stream's timestamp
	Duplicate bool       // a post whose client_msg_id was there already: Seq and At are those of the first
	Epoch     chat.Epoch // of the first, when that is another than the change's; else 0
}

// Submitter takes changes into the log. Submit returns when the log has stored the change, or refused it.
// The error is a *fault.Error: Invalid, NotFound, Forbidden, Conflict (the client_msg_id with another text),
// TooLarge, RateLimited, or Unavailable when the log did not answer within its budget; then the outcome is
// unknown, and sending again with the same client_msg_id is safe.
type Submitter interface {
	Submit(ctx context.Context, c Change) (Receipt, error)
}
