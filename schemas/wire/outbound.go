package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// TimeLayout is how a ts is written: RFC 3339 in UTC with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime writes t as a ts, without quotes.
func AppendTime(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, TimeLayout) }

// Hello is the first frame of a socket.
type Hello struct {
	SessionID   chat.SessionID
	UserID      chat.UserID
	WorkspaceID chat.WorkspaceID
	Epoch       chat.Epoch
	Head        chat.Seq // the workspace's last stored event when the socket opened
	Resumed     bool     // what follows continues at the cursor that the client gave
	Heartbeat   time.Duration
}

// AppendHello writes a hello frame.
func AppendHello(dst []byte, h Hello) []byte {
	dst = append(dst, `{"type":"hello","session_id":"`...)
	dst = append(dst, h.SessionID...)
	dst = append(dst, `","user_id":"`...)
	dst = append(dst, h.UserID...)
	dst = append(dst, `","workspace_id":"`...)
	dst = append(dst, h.WorkspaceID...)
	dst = append(dst, `","epoch":`...)
	dst = strconv.AppendUint(dst, uint64(h.Epoch), 10)
	dst = append(dst, `,"head":`...)
	dst = appendSeq(dst, h.Head)
	dst = append(dst, `,"resumed":`...)
	dst = strconv.AppendBool(dst, h.Resumed)
	dst = append(dst, `,"heartbeat_s":`...)
	dst = strconv.AppendInt(dst, int64(h.Heartbeat/time.Second), 10)
	return append(dst, '}')
}

// Place is where a stored event stands, as its frame tells it.
type Place struct {
	Epoch     chat.Epoch
	ChannelID chat.ChannelID // empty: of the whole workspace
	Seq       chat.Seq
	Prev      chat.Seq // of the event before it in the same channel; 0: the log's window holds none
	At        time.Time
}

// AppendStored writes the frame of a stored event by putting a prefix before its payload, which is not
// decoded: message.deliver for a message.posted of a version that this build knows, event for everything else.
// The payload must be one that event.Parse took.
func AppendStored(dst []byte, p Place, kind event.Kind, payload []byte) []byte {
	if kind != event.MessagePosted {
		dst = append(dst, `{"type":"event","seq":`...)
		dst = appendSeq(dst, p.Seq)
		dst = append(dst, `,"prev":`...)
		dst = appendSeq(dst, p.Prev)
		dst = appendTS(dst, p.At)
		return appendRest(dst, payload)
	}
	dst = append(dst, `{"type":"message.deliver","channel_id":"`...)
	dst = append(dst, p.ChannelID...)
	dst = append(dst, `","seq":`...)
	dst = appendSeq(dst, p.Seq)
	dst = append(dst, `,"prev":`...)
	dst = appendSeq(dst, p.Prev)
	dst = appendTS(dst, p.At)
	dst = append(dst, `,"message":{"seq":`...)
	dst = appendSeq(dst, p.Seq)
	dst = append(dst, `,"server_msg_id":"`...)
	dst = append(dst, chat.Cursor{Epoch: p.Epoch, Seq: p.Seq}.String()...)
	dst = append(dst, '"')
	dst = appendTS(dst, p.At)
	dst = appendRest(dst, payload)
	return append(dst, '}')
}

// AppendDeleted writes the message.deliver frame of a message that was deleted since: its place and its
// sender, and nothing of what it said.
func AppendDeleted(dst []byte, p Place, e *event.Event) []byte {
	stub := append([]byte(nil), `{"channel_id":"`...)
	stub = append(stub, p.ChannelID...)
	stub = append(stub, `","sender_id":"`...)
	stub = append(stub, e.SenderID...)
	stub = append(stub, `","client_msg_id":"`...)
	stub = append(stub, e.ClientMsgID...)
	stub = append(stub, `","body":"","deleted":true`...)
	if e.Thread != 0 {
		stub = append(stub, `,"thread":`...)
		stub = appendSeq(stub, e.Thread)
	}
	return AppendStored(dst, p, event.MessagePosted, append(stub, '}'))
}

// Ack answers a message.send that the log has stored.
type Ack struct {
	ClientMsgID chat.ClientMsgID
	ChannelID   chat.ChannelID
	Epoch       chat.Epoch
	Seq         chat.Seq
	At          time.Time
	Duplicate   bool
}

// AppendMessageAck writes a message.ack frame.
func AppendMessageAck(dst []byte, a Ack) []byte {
	dst = append(dst, `{"type":"message.ack","client_msg_id":"`...)
	dst = append(dst, a.ClientMsgID...)
	dst = append(dst, `","channel_id":"`...)
	dst = append(dst, a.ChannelID...)
	dst = append(dst, `","seq":`...)
	dst = appendSeq(dst, a.Seq)
	dst = append(dst, `,"server_msg_id":"`...)
	dst = append(dst, chat.Cursor{Epoch: a.Epoch, Seq: a.Seq}.String()...)
	dst = append(dst, '"')
	dst = appendTS(dst, a.At)
	dst = append(dst, `,"status":"stored","duplicate":`...)
	dst = strconv.AppendBool(dst, a.Duplicate)
	return append(dst, '}')
}

// AppendAck writes the ack of an edit, a delete, a reaction or a pin: seq is that of the event.
func AppendAck(dst []byte, ref Ref, seq chat.Seq) []byte {
	dst = append(dst, `{"type":"ack"`...)
	dst = appendRef(dst, ref)
	dst = append(dst, `,"seq":`...)
	return append(appendSeq(dst, seq), '}')
}

// AppendPong writes the answer to a ping frame.
func AppendPong(dst []byte, ref Ref) []byte {
	dst = append(dst, `{"type":"pong"`...)
	return append(appendRef(dst, ref), '}')
}

// AppendTyping writes a typing frame. It counts for chat.TypingLife.
func AppendTyping(dst []byte, channel chat.ChannelID, user chat.UserID) []byte {
	dst = append(dst, `{"type":"typing","channel_id":"`...)
	dst = append(dst, channel...)
	dst = append(dst, `","user_id":"`...)
	dst = append(dst, user...)
	dst = append(dst, `","expires_s":`...)
	dst = strconv.AppendInt(dst, int64(chat.TypingLife/time.Second), 10)
	return append(dst, '}')
}

// AppendPresence writes a presence.update frame. ref is that of the frame that it answers, if it answers one.
func AppendPresence(dst []byte, user chat.UserID, p chat.Presence, ref Ref) []byte {
	dst = append(dst, `{"type":"presence.update","user_id":"`...)
	dst = append(dst, user...)
	dst = append(dst, `","status":"`...)
	dst = append(dst, p.Status...)
	dst = append(dst, '"')
	if p.Text != "" {
		dst = append(dst, `,"text":`...)
		dst = appendString(dst, p.Text)
	}
	dst = appendRef(dst, ref)
	return append(dst, '}')
}

// AppendRead writes a cursor.read frame: the user has read a channel up to seq. ref is that of the frame that it answers, if it
// answers one.
func AppendRead(dst []byte, channel chat.ChannelID, seq chat.Seq, ref Ref) []byte {
	dst = append(dst, `{"type":"cursor.read","channel_id":"`...)
	dst = append(dst, channel...)
	dst = append(dst, `","seq":`...)
	dst = appendSeq(dst, seq)
	dst = appendRef(dst, ref)
	return append(dst, '}')
}

// AppendStale writes a cursor.stale frame: read marks may have moved without a cursor.read.
func AppendStale(dst []byte) []byte { return append(dst, `{"type":"cursor.stale"}`...) }

// ResyncReason says why a gateway cannot give everything after a cursor.
type ResyncReason string

// The reasons of a resync.
const (
	ResyncExpired ResyncReason = "expired" // the log no longer holds what came after the cursor
	ResyncEpoch   ResyncReason = "epoch"   // the cursor belongs to another incarnation of the log
	ResyncAhead   ResyncReason = "ahead"   // the cursor is after everything that the log holds
	ResyncGap     ResyncReason = "gap"     // something was missed between frames that were already shown
)

// AppendResync writes a resync frame. What is stored after head will follow.
func AppendResync(dst []byte, reason ResyncReason, head chat.Seq) []byte {
	dst = append(dst, `{"type":"resync","reason":"`...)
	dst = append(dst, reason...)
	dst = append(dst, `","head":`...)
	return append(appendSeq(dst, head), '}')
}

// AppendError writes an error frame: what a user may read of err, and which frame it answers.
func AppendError(dst []byte, err error, about *Inbound) []byte {
	public := fault.Public(err)
	dst = append(dst, `{"type":"error","code":"`...)
	dst = append(dst, public.Kind...)
	dst = append(dst, `","message":`...)
	dst = appendString(dst, public.Message)
	if about != nil {
		dst = appendRef(dst, about.Ref)
		if about.ClientMsgID != "" {
			dst = append(dst, `,"client_msg_id":"`...)
			dst = append(dst, about.ClientMsgID...)
			dst = append(dst, '"')
		}
	}
	if public.RetryAfter > 0 {
		dst = append(dst, `,"retry_after":`...)
		dst = strconv.AppendFloat(dst, public.RetryAfter.Seconds(), 'f', -1, 64)
	}
	return append(dst, '}')
}

func appendSeq(dst []byte, s chat.Seq) []byte { return strconv.AppendUint(dst, uint64(s), 10) }

func appendTS(dst []byte, t time.Time) []byte {
	dst = append(dst, `,"ts":"`...)
	return append(AppendTime(dst, t), '"')
}

// appendRest continues an object, which has at least one field, with the fields of payload.
func appendRest(dst, payload []byte) []byte {
	dst = append(dst, ',')
	return append(dst, payload[1:]...)
}

func appendRef(dst []byte, ref Ref) []byte {
	if len(ref) == 0 {
		return dst
	}
	dst = append(dst, `,"ref":`...)
	return append(dst, ref...)
}

// appendString writes s as a JSON string.
func appendString(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a Go string always has a JSON form
		return append(dst, `""`...)
	}
	return append(dst, b...)
}
