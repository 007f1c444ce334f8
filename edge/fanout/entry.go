package fanout

import (
	"encoding/json"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
)

// An Entry is one event of a workspace, ready for sockets. It never changes, and is shared by all of them.
type Entry struct {
	Seq       chat.Seq
	Prev      chat.Seq       // of the event before it in its channel; 0: none is left in the log's window
	ChannelID chat.ChannelID // empty: of the whole workspace
	At        time.Time      // the stream's timestamp
	Event     event.Event    // without its text, which is in Frame only
	Frame     []byte         // a whole WebSocket frame, header included
}

// newEntry makes the entry of an event whose payload event.Parse took.
func newEntry(e event.Event, place wire.Place, payload []byte) *Entry {
	e.Body, e.Attachments = "", nil
	return &Entry{
		Seq: place.Seq, Prev: place.Prev, ChannelID: place.ChannelID, At: place.At, Event: e,
		Frame: wsconn.Frame(func(dst []byte) []byte { return wire.AppendStored(dst, place, frameKind(&e), payload) }),
	}
}

// frameKind is the kind that decides the form of the frame: only a post of a version that this build
// knows becomes message.deliver.
func frameKind(e *event.Event) event.Kind {
	if e.Kind == event.MessagePosted && !e.Known() {
		return ""
	}
	return e.Kind
}

// textOf is the message whose text the entry holds: a post holds its own, an edit that of the post. 0: none's.
func (e *Entry) textOf() chat.Seq {
	switch e.Event.Kind {
	case event.MessagePosted:
		return e.Seq
	case event.MessageEdited:
		return e.Event.MessageSeq
	}
	return 0
}

// redacted is the entry of a post or an edit of a message that was deleted since: the same place, without what
// it said.
func (e *Entry) redacted() *Entry {
	r := *e
	if _, err := chat.ParseClientMsgID(string(e.Event.ClientMsgID)); err != nil {
		r.Event.ClientMsgID = "" // of a later version, and not in a form that goes into a frame as it is
	}
	place := wire.Place{Epoch: e.Event.Epoch, ChannelID: e.ChannelID, Seq: e.Seq, Prev: e.Prev, At: e.At}
	r.Frame = wsconn.Frame(func(dst []byte) []byte {
		if e.Event.Kind == event.MessagePosted {
			return wire.AppendDeleted(dst, place, &r.Event)
		}
		return wire.AppendStored(dst, place, e.Event.Kind, withoutText(&r.Event))
	})
	return &r
}

// withoutText is the payload of an edit whose text is left out, marked as AppendDeleted marks a post.
func withoutText(e *event.Event) []byte {
	payload, err := json.Marshal(e)
	if err != nil { // it came from JSON
		return []byte(`{"deleted":true}`)
	}
	return append(payload[:len(payload)-1], `,"body":"","deleted":true}`...)
}
