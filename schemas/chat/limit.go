package chat

import "time"

// Limits that every client can rely on. Bytes are bytes of UTF-8.
const (
	MaxBody           = 16 << 10 // bytes of a message's text
	MaxName           = 80       // characters of a channel's or a workspace's name
	MaxTopic          = 250      // characters of a channel's topic
	MaxDisplayName    = 80       // characters of a user's name
	MaxLogin          = 64       // characters of a login
	MaxPassword       = 128      // bytes: a longer one is refused before it is hashed
	MinPassword       = 8        // bytes
	MaxEmoji          = 64       // bytes of a reaction: an emoji or a :name:
	MaxReactions      = 500      // distinct emoji/user pairs that a message carries to a client
	MaxAttachments    = 10       // attachments of a message
	MaxClientMsgID    = 64       // bytes of a client_msg_id
	MaxPins           = 100      // pins that a channel shows
	MaxPageSize       = 200      // rows of any list
	DefaultPageSize   = 50       // rows of a list whose limit was not given
	MaxGroupDM        = 9        // people of a group direct message, with the one who opens it
	MaxStoredEvent    = 64 << 10 // bytes of an event in the log, headers included
	MaxStatusText     = 100      // characters of a presence's own text
	MaxWatched        = 200      // users whose presence a session watches
	MaxDevice         = 80       // characters of a device's name
	MaxSignIns        = 50       // sign-ins of one user that last; the one used longest ago ends for another
	MaxInvites        = 200      // invites of a workspace that are open
	MaxInviteUses     = 10000    // people whom one invite brings in
	MaxIdempotencyKey = 255      // bytes of an Idempotency-Key
	MaxMentions       = 50       // logins that one message names with effect
	MaxAttempts       = 32       // attempts that the state of a delivery tells; the last ones
	MaxMuted          = 500      // channels that one user mutes in a workspace
	MaxKeywords       = 30       // words that one user watches in a workspace
	MaxUnread         = 1000     // messages of a channel that are counted as unread; beyond, the count says so
	MaxFollowers      = 1000     // people of a thread that its replies are owed to; the latest ones
	MaxSubscriptions  = 20       // Web Push subscriptions of one user; the oldest gives way
	MaxWebhooks       = 10       // webhooks of a workspace
	MaxScheduled      = 100      // messages and reminders of one user in a workspace that wait for their time
	MaxHookURL        = 2048     // bytes of the address of a webhook or push service
	BroadcastMembers  = 1000     // members of a channel above which typing and presence are not broadcast
)

// Times that every client can rely on.
const (
	TicketLife        = 30 * time.Second     // of a socket ticket
	RefreshGrace      = 30 * time.Second     // in which the refresh token before the last is still taken
	IdempotencyWindow = 24 * time.Hour       // in which an Idempotency-Key stands for its first request
	MaxInviteLife     = 30 * 24 * time.Hour  // of an invite; the default is a week
	MaxScheduleAhead  = 365 * 24 * time.Hour // how far ahead a message or reminder can be scheduled
	TypingLife        = 6 * time.Second      // after which a typing frame counts no more
	TypingEvery       = 3 * time.Second      // at most one typing frame a user and channel goes out in it
)

// DedupWindow is how long the log itself remembers a Nats-Msg-Id. A client_msg_id whose own
// time is older than half of it is looked up before it is published (DESIGN §2).
const DedupWindow = 2 * time.Minute
