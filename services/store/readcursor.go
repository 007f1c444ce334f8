package store

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// ReadCursors are up to where people have read. A cursor never goes back: whatever the order of the writes and however
// many write at once, the one of the highest chat.Version counts.
type ReadCursors interface {
	// SetRead moves a user's cursor of a channel forward, and returns what counts then: r, or the one that is as far or
	// further. Times are kept to the nanosecond, in UTC. Invalid: a cursor whose epoch or seq no log has.
	SetRead(ctx context.Context, r ReadCursor) (ReadCursor, error)
	// ReadCursorsOf lists a user's cursors in a workspace, by channel id.
	ReadCursorsOf(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) ([]ReadCursor, error)
}

// ReadCursor says that a user has read a channel up to a place.
type ReadCursor struct {
	WorkspaceID chat.WorkspaceID
	ChannelID   chat.ChannelID
	UserID      chat.UserID
	Cursor      chat.Cursor
	At          time.Time // when they told so
}
