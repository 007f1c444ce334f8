// Package notice is what a target of deliveries gets: the words between services/deliver, which decides when somebody is
// told of a message, and services/deliver/target, which knows how. It decides nothing and does no I/O.
package notice

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// MaxBody is the most characters of a message's text that a Notice carries.
const MaxBody = 200

// Notice tells somebody of a message that is owed to them.
type Notice struct {
	ID          string // of the message and the user, the same at every attempt: by it receivers know a repetition
	WorkspaceID chat.WorkspaceID
	Workspace   string // its name
	ChannelID   chat.ChannelID
	Channel     string // its name; empty: a dm or group_dm
	Seq         chat.Seq
	Epoch       chat.Epoch
	SenderID    chat.UserID
	Sender      string // their display name, or their login
	UserID      chat.UserID
	Why         chat.Owed
	Body        string // the first MaxBody characters
	PostedAt    time.Time
	Attempt     int    // 1 at first
	TraceParent string // of the send; may be empty
}

// IDOf names a message to a user. A workspace uses no seq twice.
func IDOf(ws chat.WorkspaceID, message chat.Cursor, user chat.UserID) string {
	return string(ws) + "." + message.String() + "." + string(user)
}

// Excerpt is the beginning of a message's text, as a Notice carries it. It cuts between characters.
func Excerpt(body string) string {
	n := 0
	for i := range body {
		if n == MaxBody {
			return body[:i]
		}
		n++
	}
	return body
}

// Target is one way to reach one user: a browser's push subscription, a webhook of their workspace.
type Target interface {
	// ID names it in states and logs: push:<id> or webhook:<id>.
	ID() string
	// Send hands a Notice over. nil: it was taken. NotFound: the target is gone for good. RateLimited and Unavailable tell by
	// RetryAfter when it is worth trying again. Every error is a failed attempt, unless the target was not asked at all
	// (the worker's Skipped says so).
	Send(ctx context.Context, n Notice) error
}

// Targets finds the ways to reach people.
type Targets interface {
	// TargetsOf lists those of a user in a workspace: at most chat.MaxSubscriptions and chat.MaxWebhooks.
	TargetsOf(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) ([]Target, error)
}
