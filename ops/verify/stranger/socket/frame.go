package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Types of frames that a gateway sends.
const (
	typeHello    = "hello"
	typeDeliver  = "message.deliver"
	typeEvent    = "event"
	typeSendAck  = "message.ack"
	typeAck      = "ack"
	typePong     = "pong"
	typeTyping   = "typing"
	typePresence = "presence.update"
	typeRead     = "cursor.read"
	typeStale    = "cursor.stale"
	typeResync   = "resync"
	typeError    = "error"
)

// frame is what a gateway sent: the fields of all types, since which of them count follows from Type.
type frame struct {
	Type    string          `json:"type"`
	Ref     json.RawMessage `json:"ref"`
	Message json.RawMessage `json:"message"` // an object in message.deliver, a text in error

	// hello, resync
	User    string `json:"user_id"` // also of typing, presence.update and member events
	Space   string `json:"workspace_id"`
	Epoch   int64  `json:"epoch"`
	Head    int64  `json:"head"`
	Resumed bool   `json:"resumed"`
	Reason  string `json:"reason"`

	// what is stored
	Kind    string `json:"kind"`
	Channel string `json:"channel_id"`
	Seq     int64  `json:"seq"`
	Prev    *int64 `json:"prev"`
	Sender  string `json:"sender_id"`
	About   int64  `json:"message_seq"`
	Body    string `json:"body"`
	Emoji   string `json:"emoji"`

	// answers
	ClientMsgID string  `json:"client_msg_id"`
	ServerMsgID string  `json:"server_msg_id"`
	Status      string  `json:"status"` // stored; of presence.update: online, away, offline
	Text        string  `json:"text"`
	Duplicate   bool    `json:"duplicate"`
	Code        string  `json:"code"`
	RetryAfter  float64 `json:"retry_after"`

	message Message // of message.deliver
	words   string  // of error
}

// Message is a message as frames have it, and pages of REST too.
type Message struct {
	Seq         int64  `json:"seq"`
	ServerMsgID string `json:"server_msg_id"`
	Channel     string `json:"channel_id"`
	Sender      string `json:"sender_id"`
	Body        string `json:"body"`
	ClientMsgID string `json:"client_msg_id"`
	Thread      int64  `json:"thread"`
	EditedAt    string `json:"edited_at"`
	Deleted     bool   `json:"deleted"`
	Reactions   []struct {
		Emoji string   `json:"emoji"`
		Users []string `json:"user_ids"`
	} `json:"reactions"`
}

// Record is the message as a record has it.
func (m Message) Record() record.Message {
	out := record.Message{Seq: m.Seq, Sender: m.Sender, ID: m.ClientMsgID, Body: m.Body, Thread: m.Thread,
		Edited: m.EditedAt != "", Deleted: m.Deleted}
	for _, r := range m.Reactions {
		for _, u := range r.Users {
			out.Reactions = append(out.Reactions, r.Emoji+" "+u)
		}
	}
	slices.Sort(out.Reactions)
	return out
}

// Of reports whether the message says itself that it is one of a channel, under its own seq.
func (m Message) Of(channel string) bool {
	return m.Channel == channel && m.ServerMsgID == cursor(m.ServerMsgID).withSeq(m.Seq)
}

// errFrame says that a frame is not what the documents promise.
var errFrame = errors.New("the frame is not as it is documented")

// parseFrame reads a frame of a gateway. A type that is not known is no error: a later server may have it.
func parseFrame(text []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %w", errFrame, err)
	}
	if string(f.Ref) == "null" {
		f.Ref = nil
	}
	var wrong string
	switch f.Type {
	case typeDeliver:
		wrong = f.delivered()
	case typeError:
		if err := json.Unmarshal(f.Message, &f.words); err != nil || f.Code == "" {
			wrong = "an error without a code or words"
		}
	case typeEvent:
		if f.Kind == "" || f.Seq < 1 || f.Prev == nil {
			wrong = "an event without kind, seq or prev"
		}
	case typeHello:
		if f.Space == "" || f.User == "" || f.Epoch < 1 || f.Head < 0 {
			wrong = "a hello that does not say where it stands"
		}
	case typeSendAck:
		if f.Status != "stored" || f.Seq < 1 || f.ServerMsgID != cursor(f.ServerMsgID).withSeq(f.Seq) {
			wrong = "an acknowledgement that does not say what was stored"
		}
	case "":
		wrong = "no type"
	}
	if wrong != "" {
		return frame{}, fmt.Errorf("%w: %s", errFrame, wrong)
	}
	return f, nil
}

// delivered reads the message of a message.deliver, and says what is wrong with it.
func (f *frame) delivered() string {
	if err := json.Unmarshal(f.Message, &f.message); err != nil {
		return "a delivery without a message"
	}
	if f.Seq < 1 || f.Prev == nil || f.Channel == "" {
		return "a delivery without channel, seq or prev"
	}
	if f.message.Seq != f.Seq || !f.message.Of(f.Channel) {
		return "a delivery whose message is another one"
	}
	return ""
}

// prev is the seq before it in the channel, 0 when there is none.
func (f *frame) prev() int64 {
	if f.Prev == nil {
		return 0
	}
	return *f.Prev
}

// told is the frame as a record has it; false: it answers somebody who asked, and tells nothing new.
func (f *frame) told() (record.Told, bool) {
	switch f.Type {
	case typeHello:
		return record.Told{T: record.Hello, Space: f.Space, Head: f.Head, User: f.User, Resumed: f.Resumed}, true
	case typeDeliver:
		m := f.message
		return record.Told{T: record.Posted, Channel: f.Channel, Seq: f.Seq, Prev: f.prev(), Sender: m.Sender, ID: m.ClientMsgID,
			Body: m.Body, Thread: m.Thread, Deleted: m.Deleted}, true
	case typeEvent:
		return record.Told{T: record.Changed, Channel: f.Channel, Seq: f.Seq, Prev: f.prev(), Kind: f.Kind, Sender: f.Sender,
			Message: f.About, Body: f.Body, Emoji: f.Emoji, User: f.User}, true
	case typeResync:
		return record.Told{T: record.Resync, Head: f.Head, Code: f.Reason}, true
	case typeTyping:
		return record.Told{T: record.Typed, Channel: f.Channel, User: f.User}, true
	case typePresence:
		return record.Told{T: record.Presence, User: f.User, Body: strings.TrimSpace(f.Status + " " + f.Text)}, true
	case typeRead:
		return record.Told{T: record.Marked, Channel: f.Channel, Seq: f.Seq}, true
	case typeStale:
		return record.Told{T: record.Stale}, true
	case typeError:
		return record.Told{T: record.Trouble, Code: f.Code, Body: f.words}, true
	case typeSendAck, typeAck, typePong:
		return record.Told{}, false
	default:
		return record.Told{T: record.Trouble, Code: "unknown_frame", Body: f.Type}, true
	}
}

// answer is the frame as the end of an op.
func (f *frame) answer() answer.Answer {
	if f.Type == typeError {
		return answer.Refusal(f.Code, answer.Seconds(f.RetryAfter))
	}
	return answer.Answer{Outcome: record.OK, Seq: f.Seq, Duplicate: f.Duplicate}
}

// cursor is «<epoch>.<seq>».
type cursor string

func cursorOf(epoch, seq int64) cursor {
	return cursor(strconv.FormatInt(epoch, 10) + "." + strconv.FormatInt(seq, 10))
}

// parts are the epoch and the seq; both are 0 when it is no cursor.
func (c cursor) parts() (epoch, seq int64) {
	left, right, found := strings.Cut(string(c), ".")
	epoch, err := strconv.ParseInt(left, 10, 32)
	seq, err2 := strconv.ParseInt(right, 10, 64)
	if !found || err != nil || err2 != nil || epoch < 1 || seq < 0 {
		return 0, 0
	}
	return epoch, seq
}

// withSeq is the cursor's epoch with another seq.
func (c cursor) withSeq(seq int64) string {
	epoch, _ := c.parts()
	return string(cursorOf(epoch, seq))
}
