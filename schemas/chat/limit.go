package chat

import "time"

// Limits that every client can rely on. Bytes are bytes of UTF-8.
const (
	MaxBody          = 16 << 10 // bytes of a message's text
	MaxName          = 80       // characters of a channel's or a workspace's name
	MaxTopic         = 250      // characters of a channel's topic
	MaxDisplayName   = 80       // characters of a user's name
	MaxLogin         = 64       // characters of a login
	MaxPassword      = 128      // bytes: a longer one is refused before it is hashed
	MinPassword      = 8        // bytes
	MaxEmoji         = 64       // bytes of a reaction: an emoji or a :name:
	MaxReactions     = 500      // distinct emoji/user pairs that a message carries to a client
	MaxAttachments   = 10       // attachments of a message
	MaxClientMsgID   = 64       // bytes of a client_msg_id
	MaxPins          = 100      // pins that a channel shows
	MaxPageSize      = 200      // rows of any list
	DefaultPageSize  = 50       // rows of a list whose limit was not given
	MaxGroupDM       = 9        // people of a group direct message, with the one who opens it
	MaxStoredEvent   = 64 << 10 // bytes of an event in the log, headers included
	BroadcastMembers = 1000     // members of a channel above which typing and presence are not broadcast
)

// DedupWindow is how long the log itself remembers a Nats-Msg-Id. A client_msg_id whose own
// time is older than half of it is looked up before it is published (DESIGN §2).
const DedupWindow = 2 * time.Minute
