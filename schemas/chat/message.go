package chat

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Message is what a user posted, with everything that was done to it since.
type Message struct {
	ChannelID   ChannelID
	Seq         Seq // of its message.posted event: its id inside the workspace
	Epoch       Epoch
	SenderID    UserID
	Body        string // empty once Deleted
	ClientMsgID ClientMsgID
	Thread      Seq // the root that it replies to; 0: not a reply
	Attachments []Attachment
	Reactions   []Reaction // sorted by emoji
	PostedAt    time.Time  // the stream's timestamp
	EditedAt    time.Time  // zero: never edited
	Deleted     bool
	Pinned      bool
}

// ServerMsgID is the message's name to clients.
func (m Message) ServerMsgID() string { return Cursor{m.Epoch, m.Seq}.String() }

// An Attachment is a file that a message refers to. Uploading comes with its own work;
// the format is reserved now so that stored events do not change then.
type Attachment struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	Type string `json:"type"` // MIME type
}

// A Reaction is an emoji on a message and the users who put it there, sorted.
type Reaction struct {
	Emoji   string   `json:"emoji"`
	UserIDs []UserID `json:"user_ids"`
}

// ClientMsgID is the client's own name for a send: the key by which a resend is recognised for ever.
// It should be a UUIDv7, whose time lets the usual send skip a look-up; any other text of 1 to 64
// characters from [0-9A-Za-z_-] is taken too, and always looked up.
type ClientMsgID string

var (
	// ErrBadClientMsgID says that a client_msg_id has a form that cannot be kept.
	ErrBadClientMsgID = errors.New("a client_msg_id is a UUIDv7, or 1 to 64 of the characters 0-9, A-Z, a-z, - and _")
	// ErrBadBody says that a message's text is empty, too long or not text.
	ErrBadBody = errors.New("a body is 1 to 16384 bytes of UTF-8 without NUL, and not only white space")
	// ErrBadEmoji says that a reaction is not a short text.
	ErrBadEmoji = errors.New("an emoji is neither . nor .. but 1 to 64 bytes of UTF-8 without white space, control characters or '/'")
)

// ParseClientMsgID checks s. The error is ErrBadClientMsgID.
func ParseClientMsgID(s string) (ClientMsgID, error) {
	if len(s) == 0 || len(s) > MaxClientMsgID {
		return "", ErrBadClientMsgID
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return "", ErrBadClientMsgID
		}
	}
	return ClientMsgID(s), nil
}

// Time is the millisecond that a UUIDv7 was made in, by its maker's clock (RFC 9562 §5.7).
// It is false when the id is not a UUIDv7.
func (id ClientMsgID) Time() (time.Time, bool) {
	const shape = "xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx"
	if len(id) != len(shape) {
		return time.Time{}, false
	}
	var ms int64
	for i := range len(shape) {
		c := id[i]
		if shape[i] != 'x' {
			if c != shape[i] {
				return time.Time{}, false
			}
			continue
		}
		digit := strings.IndexByte("0123456789abcdef0123456789ABCDEF", c) // the digit's value, modulo 16
		if digit < 0 {
			return time.Time{}, false
		}
		if i < len("xxxxxxxx-xxxx") {
			ms = ms<<4 | int64(digit%16)
		}
	}
	if strings.IndexByte("89abAB", id[len("xxxxxxxx-xxxx-7xxx-")]) < 0 {
		return time.Time{}, false // another variant than the RFC's
	}
	return time.UnixMilli(ms), true
}

// CheckBody says whether body may be a message's text; a message with attachments may have none. The error is ErrBadBody.
func CheckBody(body string, attachments int) error {
	if body == "" && attachments > 0 {
		return nil
	}
	if len(body) > MaxBody || !utf8.ValidString(body) || strings.IndexByte(body, 0) >= 0 || strings.TrimSpace(body) == "" {
		return ErrBadBody
	}
	return nil
}

// CheckEmoji says whether emoji may be a reaction. The error is ErrBadEmoji.
func CheckEmoji(emoji string) error {
	if emoji == "" || len(emoji) > MaxEmoji || !utf8.ValidString(emoji) {
		return ErrBadEmoji
	}
	if emoji == "." || emoji == ".." { // an address ends in the emoji, and these would change it
		return ErrBadEmoji
	}
	for _, r := range emoji {
		if unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' {
			return ErrBadEmoji
		}
	}
	return nil
}
