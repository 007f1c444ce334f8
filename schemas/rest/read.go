package rest

import "github.com/canopychat/canopy/schemas/chat"

// MarkRead says how far the one who asks has read a channel.
type MarkRead struct {
	Seq chat.Seq `json:"seq"`
}

// ReadCursor is how far somebody has read a channel. It never goes back.
type ReadCursor struct {
	ChannelID chat.ChannelID `json:"channel_id"`
	Seq       chat.Seq       `json:"seq"`
}

// ReadState is what somebody has read of a channel that they are in, and what waits for them there: the messages of others
// that are not deleted and lie after both Seq and JoinedSeq, replies included.
//
// It is right up to Through: a client that follows the log goes on from there. What the log has after Through may be in it
// already, in part: a message that is counted and is deleted after Through is one; so a client goes on by messages, with
// the set of those that are unread, and not by numbers.
type ReadState struct {
	ChannelID chat.ChannelID  `json:"channel_id"`
	Seq       chat.Seq        `json:"seq"`        // up to which they have read; 0: nothing was
	JoinedSeq chat.Seq        `json:"joined_seq"` // of the joining that lasts
	Unread    int             `json:"unread"`     // at most chat.MaxUnread, the newest
	Mentions  int             `json:"mentions"`   // those of them that name the user; in a dm or group_dm, all
	More      bool            `json:"more,omitempty"`
	Through   chat.Seq        `json:"through"`
	Messages  []UnreadMessage `json:"messages,omitempty"` // those that are counted, newest first; only when asked for
}

// UnreadMessage is a message that is counted as unread.
type UnreadMessage struct {
	Seq     chat.Seq `json:"seq"`
	Mention bool     `json:"mention,omitempty"`
}

// ReadCursorList is the channels of a workspace that the one who asks is in, by channel id.
type ReadCursorList struct {
	Cursors []ReadState `json:"cursors"`
}
