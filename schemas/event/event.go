package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ijson"
)

// Version is the envelope's version that this build writes.
const Version = 1

// Kind names what happened.
type Kind string

// The kinds of version 1.
const (
	MessagePosted   Kind = "message.posted"
	MessageEdited   Kind = "message.edited"
	MessageDeleted  Kind = "message.deleted"
	ReactionAdded   Kind = "reaction.added"
	ReactionRemoved Kind = "reaction.removed"
	PinAdded        Kind = "pin.added"
	PinRemoved      Kind = "pin.removed"
	MemberJoined    Kind = "member.joined"
	MemberLeft      Kind = "member.left"
	MemberUpdated   Kind = "member.updated"
	ChannelCreated  Kind = "channel.created"
	ChannelUpdated  Kind = "channel.updated"
	ChannelArchived Kind = "channel.archived"
	UserUpdated     Kind = "user.updated"

	WorkspaceUpdated Kind = "workspace.updated"
)

// Event is what happened, as its publisher writes it. The order of the fields is the order of the
// stored bytes.
type Event struct {
	V           int               `json:"v"`
	Kind        Kind              `json:"kind"`
	Epoch       chat.Epoch        `json:"epoch"`
	ChannelID   chat.ChannelID    `json:"channel_id,omitempty"` // absent: of the whole workspace
	SenderID    chat.UserID       `json:"sender_id"`            // who did it
	ClientMsgID chat.ClientMsgID  `json:"client_msg_id,omitempty"`
	MessageSeq  chat.Seq          `json:"message_seq,omitempty"` // the message it is about
	Thread      chat.Seq          `json:"thread,omitempty"`      // the root that a reply answers
	Body        string            `json:"body,omitempty"`
	Emoji       string            `json:"emoji,omitempty"`
	Attachments []chat.Attachment `json:"attachments,omitempty"`
	UserID      chat.UserID       `json:"user_id,omitempty"`      // whom it is about
	Role        chat.Role         `json:"role,omitempty"`         // in the workspace
	ChannelRole chat.ChannelRole  `json:"channel_role,omitempty"` // in the channel
	Channel     *ChannelState     `json:"channel,omitempty"`
	User        *UserState        `json:"user,omitempty"`
	Workspace   *WorkspaceState   `json:"workspace,omitempty"`
	Post        *PostState        `json:"post,omitempty"` // of the message that is deleted
}

// ChannelState is what a channel looks like after the event.
type ChannelState struct {
	Name      string           `json:"name"`
	Type      chat.ChannelType `json:"type"`
	Topic     string           `json:"topic"`
	CreatorID chat.UserID      `json:"creator_id"`
}

// UserState is what a user looks like after the event.
type UserState struct {
	Login       string `json:"login"`
	DisplayName string `json:"display_name"`
	Deactivated bool   `json:"deactivated"`
}

// WorkspaceState is what a workspace looks like after the event.
type WorkspaceState struct {
	Name string `json:"name"`
}

// PostState is what stays of a deleted message: all of its post but what it said. The delete carries it, because the post is erased
// from the log. Deletes of earlier builds do not have it.
type PostState struct {
	Epoch       chat.Epoch       `json:"epoch"`
	SenderID    chat.UserID      `json:"sender_id"`
	ClientMsgID chat.ClientMsgID `json:"client_msg_id"`
	Thread      chat.Seq         `json:"thread,omitempty"`
	At          time.Time        `json:"ts"` // the stream's timestamp, UTC, to the nanosecond
}

// Known reports whether this build understands the event. One that it does not is carried as it is.
func (e *Event) Known() bool { return e.V == Version && checks[e.Kind] != nil }

// Stored is an event in its place in the log.
type Stored struct {
	Event
	WorkspaceID chat.WorkspaceID
	Seq         chat.Seq
	At          time.Time // the stream's timestamp, UTC
	Payload     []byte    // the stored bytes; shared, never written to
	TraceParent string    // W3C trace context of the header, or empty
}

// Version orders the event among all of its workspace: the write timestamp of what it causes.
func (s *Stored) Version() chat.Version { return chat.VersionOf(s.Epoch, s.Seq) }

// Encode checks e and writes its stored bytes. V is set when it is 0. A post has a body also when that is empty.
func Encode(e Event) ([]byte, error) {
	if e.V == 0 {
		e.V = Version
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	var v any = e
	if e.Kind == MessagePosted && e.Body == "" {
		v = struct {
			Event
			Body string `json:"body"` // stands in for the Event's, which would be left out
		}{Event: e}
	}
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Kind, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ErrMalformed is what every error of Parse wraps: the bytes are not an event, and never will be.
var ErrMalformed = errors.New("malformed event")

// MaxDepth is how deep an event may nest, itself included. Its frame nests one deeper; the strictest
// parsers that clients use stop at 64.
const MaxDepth = 32

// shape is the names of version 1, and those that frames put before the stored bytes.
var shape = ijson.ShapeOf[Event]("type", "seq", "ts", "prev", "server_msg_id")

// Parse reads stored bytes. It ignores fields that it does not know, and takes kinds that it does
// not know as they are. What it takes is I-JSON of at most chat.MaxStoredEvent bytes and MaxDepth deep, in
// which each known name has its one spelling, so that every reader of a frame made of it reads the same. The
// error wraps ErrMalformed and says what is wrong.
func Parse(payload []byte) (Event, error) {
	var e Event
	switch {
	case len(payload) > chat.MaxStoredEvent:
		return Event{}, fmt.Errorf("%w: %d bytes", ErrMalformed, len(payload))
	case len(payload) == 0 || payload[0] != '{':
		return Event{}, fmt.Errorf("%w: not a JSON object", ErrMalformed)
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		// A later version may give a field another type: take the fields that route it, and carry the rest.
		if e, err = parseForeign(payload, err); err != nil {
			return Event{}, err
		}
	}
	rules := ijson.Rules{Shape: shape, MaxDepth: MaxDepth, NoNull: e.Known()}
	if err := ijson.Check(payload, rules); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := e.check(); err != nil {
		return Event{}, err
	}
	return e, nil
}

// parseForeign reads the envelope of an event of a later version. An event of this version that did not
// parse because of cause is malformed.
func parseForeign(payload []byte, cause error) (Event, error) {
	var in struct {
		V         int            `json:"v"`
		Kind      Kind           `json:"kind"`
		Epoch     chat.Epoch     `json:"epoch"`
		ChannelID chat.ChannelID `json:"channel_id"`
		SenderID  chat.UserID    `json:"sender_id"`
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return Event{}, malformed(err)
	}
	e := Event{V: in.V, Kind: in.Kind, Epoch: in.Epoch, ChannelID: in.ChannelID, SenderID: in.SenderID}
	if e.V <= Version && checks[e.Kind] != nil {
		return Event{}, malformed(cause)
	}
	return e, nil
}

// malformed says what encoding/json found without the value that it found, which may be long.
func malformed(err error) error {
	if mistyped := new(json.UnmarshalTypeError); errors.As(err, &mistyped) {
		return fmt.Errorf("%w: the field %q has the wrong type", ErrMalformed, mistyped.Field)
	}
	return fmt.Errorf("%w: %w", ErrMalformed, err)
}
