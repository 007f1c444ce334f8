package wire

import (
	"bytes"
	"encoding/json"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/ijson"
)

// Type names a frame.
type Type string

// The frames that clients send.
const (
	MessageSend    Type = "message.send"
	MessageEdit    Type = "message.edit"
	MessageDelete  Type = "message.delete"
	ReactionAdd    Type = "reaction.add"
	ReactionRemove Type = "reaction.remove"
	Ping           Type = "ping"

	TypingStart     Type = "typing.start"
	PresenceSet     Type = "presence.set"
	PresenceQuery   Type = "presence.query"
	CursorRead      Type = "cursor.read"
	CursorDelivered Type = "cursor.delivered"
)

// MaxRef is the length in bytes of the longest ref, as JSON.
const MaxRef = 64

// Inbound is a frame of a client. Which fields count depends on Type.
type Inbound struct {
	Type        Type              `json:"type"`
	Ref         Ref               `json:"ref,omitempty"`
	ChannelID   chat.ChannelID    `json:"channel_id,omitempty"`
	ClientMsgID chat.ClientMsgID  `json:"client_msg_id,omitempty"`
	Seq         chat.Seq          `json:"seq,omitempty"`
	Body        string            `json:"body,omitempty"`
	Thread      chat.Seq          `json:"thread,omitempty"`
	Emoji       string            `json:"emoji,omitempty"`
	Attachments []chat.Attachment `json:"attachments,omitempty"`
	Retry       bool              `json:"retry,omitempty"`
	Status      chat.Status       `json:"status,omitempty"`
	Text        string            `json:"text,omitempty"`
	UserIDs     []chat.UserID     `json:"user_ids,omitempty"`
}

// Ref is a client's name for a request: a JSON string or number, kept as it was written.
type Ref []byte

// UnmarshalJSON takes a string or a number of at most MaxRef bytes. null is the same as none.
func (r *Ref) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*r = nil
		return nil
	}
	if len(b) > MaxRef || (b[0] != '"' && b[0] != '-' && (b[0] < '0' || b[0] > '9')) || ijson.Check(b, rules) != nil {
		return fault.New(fault.Invalid, "ref must be a string or a number of at most %d bytes", MaxRef)
	}
	*r = append((*r)[:0], b...)
	return nil
}

// MarshalJSON writes what was read.
func (r Ref) MarshalJSON() ([]byte, error) { return r, nil }

// kinds says which event a frame asks for.
var kinds = map[Type]event.Kind{
	MessageSend:    event.MessagePosted,
	MessageEdit:    event.MessageEdited,
	MessageDelete:  event.MessageDeleted,
	ReactionAdd:    event.ReactionAdded,
	ReactionRemove: event.ReactionRemoved,
}

// Kind is the kind of event that the frame asks for; empty when it asks for none.
func (in *Inbound) Kind() event.Kind { return kinds[in.Type] }

// MaxDepth is how deep a frame of a client may nest, itself included.
const MaxDepth = 32

// rules are what a frame must keep. A field may be null, which many clients write for one that they leave out.
var rules = ijson.Rules{Shape: ijson.ShapeOf[Inbound](), MaxDepth: MaxDepth}

// Parse reads a frame, which must be I-JSON (schemas/ijson). When it fails the error is a *fault.Error (Invalid
// or NotFound), and Ref and ClientMsgID are set as far as they could be read and may be repeated,
// so that the answer can name what it is about. Nothing of the result lies in data.
func Parse(data []byte) (Inbound, error) {
	var in Inbound
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 || data[0] != '{' {
		return in, fault.New(fault.Invalid, "a frame is a JSON object")
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return quotable(data), fault.Wrap(fault.Invalid, err, "the frame is not JSON of the documented form: %s", jsonProblem(err))
	}
	if err := ijson.Check(data, rules); err != nil {
		return quotable(data), fault.Wrap(fault.Invalid, err, "the frame is not JSON of the documented form: %v", err)
	}
	_, badID := chat.ParseClientMsgID(string(in.ClientMsgID))
	if badID != nil {
		in.ClientMsgID = "" // an answer writes it as it is
	}
	return in, in.check(badID)
}

// check says whether the fields that Type needs are there; badID is what is wrong with the client_msg_id. What
// a message may hold is for the log's side to say.
func (in *Inbound) check(badID error) error {
	switch in.Type {
	case Ping:
		return nil
	case PresenceSet:
		return in.checkPresence()
	case PresenceQuery:
		return in.checkQuery()
	case CursorDelivered:
		return in.checkSeq()
	case "":
		return fault.New(fault.Invalid, "type is missing")
	}
	if in.Kind() == "" && in.Type != TypingStart && in.Type != CursorRead {
		return fault.New(fault.Invalid, "type is not one of the documented frames")
	}
	if _, err := chat.ParseChannelID(string(in.ChannelID)); err != nil {
		return fault.Wrap(fault.NotFound, err, "there is no such channel among yours")
	}
	if in.Type == TypingStart {
		return nil
	}
	if in.Type == MessageSend {
		if badID != nil {
			return fault.Wrap(fault.Invalid, badID, "%v", badID)
		}
		return nil
	}
	return in.checkSeq()
}

func (in *Inbound) checkSeq() error {
	if in.Seq == 0 || in.Seq > chat.MaxSeq {
		return fault.New(fault.Invalid, "seq must name a message or an event")
	}
	return nil
}

func (in *Inbound) checkPresence() error {
	if !in.Status.Valid() {
		return fault.New(fault.Invalid, "status is online, away or offline")
	}
	if err := chat.CheckStatusText(in.Text); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	return nil
}

func (in *Inbound) checkQuery() error {
	if len(in.UserIDs) > chat.MaxWatched {
		return fault.New(fault.Invalid, "user_ids are at most %d users", chat.MaxWatched)
	}
	for _, id := range in.UserIDs {
		if _, err := chat.ParseUserID(string(id)); err != nil {
			return fault.Wrap(fault.Invalid, err, "user_ids: %v", chat.ErrBadID)
		}
	}
	return nil
}

// quotable reads only what an error frame repeats.
func quotable(data []byte) Inbound {
	var raw struct {
		Ref         json.RawMessage `json:"ref"`
		ClientMsgID json.RawMessage `json:"client_msg_id"`
	}
	var in Inbound
	if json.Unmarshal(data, &raw) != nil {
		return in
	}
	var ref Ref
	if len(raw.Ref) > 0 && ref.UnmarshalJSON(raw.Ref) == nil {
		in.Ref = ref
	}
	var id string
	if json.Unmarshal(raw.ClientMsgID, &id) == nil {
		if parsed, err := chat.ParseClientMsgID(id); err == nil {
			in.ClientMsgID = parsed
		}
	}
	return in
}

// jsonProblem says what is wrong without repeating what the client wrote.
func jsonProblem(err error) string {
	switch e := err.(type) {
	case *json.UnmarshalTypeError:
		return "field " + e.Field + " has the wrong type"
	case *fault.Error:
		return e.Message
	}
	return "it does not parse"
}
