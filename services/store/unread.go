package store

import "github.com/canopychat/canopy/schemas/chat"

// Reading of what is unread. Like NewScheduled, these types are no contract with a store: the API, the cursors and the
// history speak of them and do not know each other.

// ReadIn is how far a user has read a channel that they are in.
type ReadIn struct {
	ChannelID chat.ChannelID
	Read      chat.Seq // 0: nothing was read
	Joined    chat.Seq // of the tenure that lasts
	Type      chat.ChannelType
}

// UnreadQuery asks what a user has not read.
type UnreadQuery struct {
	User        chat.User // ID and Login count
	WorkspaceID chat.WorkspaceID
	Shard       int // the CHAT stream of the workspace
	Channels    []ReadIn
	Messages    bool // name the messages, too
}

// Unread is what a user has not read of a channel: the messages of others, not deleted, after both what they have read
// and their joining, replies included. They are counted from the newest, up to chat.MaxUnread.
type Unread struct {
	ChannelID chat.ChannelID
	Count     int
	Mentions  int             // those of Count that name the user; in a dm or group_dm, all
	More      bool            // there are others, or may be, older than those that are counted
	Through   chat.Seq        // everything up to it is counted, nothing that was posted after it is
	Messages  []UnreadMessage // newest first; nil unless the query asked for them
}

// UnreadMessage is one of those that are counted.
type UnreadMessage struct {
	Seq     chat.Seq
	Mention bool
}
