package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// outbox holds what was sent and has no answer yet, in order. It is pure: it is told the time, and says what to
// write. What is in it leaves it only by an answer, so a lost connection loses nothing: all of it goes out again on
// the next one, in the same order and under the same ids.
//
// Presence, pings and read marks are free: they wait for nothing and hold nothing up. Read marks alone of them go out again
// when they are refused for the moment; of those of one channel that wait the furthest is enough. Of all else at most window entries are on
// their way at once. With a window of 1 the log has them in the order of
// the outbox whatever is refused meanwhile; with a larger one, an entry that is refused for the moment can end
// up behind those that were on their way with it.
type outbox struct {
	limit  int // entries, the most
	window int
	queue  []*entry
	hold   time.Time // nothing goes out before
	refs   uint64    // given out
}

// entry is one frame that wants an answer.
type entry struct {
	key     string // what the answer names it by
	frame   []byte
	post    bool // a message.send: it says retry when it goes out again
	free    bool // its order is no matter
	away    bool // written on this connection, and not answered
	tried   bool // written before
	backoff client.Backoff
	pending *Pending

	marks chat.ChannelID // of a read mark: the channel
	upTo  chat.Seq       // and the message
	after time.Time      // and when it goes out, after a refusal
}

func (b *outbox) full() bool { return len(b.queue) >= b.limit }

// add takes a frame of a client, a JSON object, as it is but for the name of its answer, which it gets when it
// has none: a client_msg_id for a message.send, a ref for everything else. newID makes the former.
func (b *outbox) add(data []byte, newID func() chat.ClientMsgID) (*Pending, error) {
	data = bytes.TrimSpace(data)
	var head struct {
		Type        wire.Type       `json:"type"`
		ClientMsgID *string         `json:"client_msg_id"`
		Ref         json.RawMessage `json:"ref"`
	}
	if err := json.Unmarshal(data, &head); err != nil || data[0] != '{' {
		return nil, &client.Error{Code: fault.Invalid, Message: "a frame is a JSON object"}
	}
	if err := named(head.ClientMsgID, wire.Ref(head.Ref)); err != nil {
		return nil, err
	}
	e := &entry{frame: bytes.Clone(data), post: head.Type == wire.MessageSend, free: free[head.Type], pending: newPending()}
	var err error
	if head.Type == wire.CursorRead {
		if err := e.readMark(); err != nil {
			return nil, err
		}
		if waits := b.marking(e.marks); waits != nil && len(head.Ref) == 0 {
			if e.upTo > waits.upTo {
				waits.upTo = e.upTo
				waits.frame, err = with(waits.frame, "seq", e.upTo)
			}
			return waits.pending, err
		}
	}
	switch {
	case e.post && head.ClientMsgID == nil:
		id := newID()
		e.frame, err = with(e.frame, "client_msg_id", id)
		e.key, e.pending.id = idKey(id), id
	case e.post:
		id := chat.ClientMsgID(*head.ClientMsgID)
		e.key, e.pending.id = idKey(id), id
	case len(head.Ref) == 0 || string(head.Ref) == "null":
		b.refs++
		ref := fmt.Sprintf("c%d", b.refs)
		e.frame, err = with(e.frame, "ref", ref)
		e.key = `ref "` + ref + `"`
	default:
		e.key = refKey(head.Ref)
	}
	if err != nil {
		return nil, err
	}
	if b.find(e.key) >= 0 {
		return nil, &client.Error{Code: fault.Conflict, Message: "another frame of the same name has no answer yet"}
	}
	b.queue = append(b.queue, e)
	return e.pending, nil
}

// named says whether the server can name a frame in its answer. One that it cannot would wait for ever.
func named(id *string, ref wire.Ref) error {
	if id != nil {
		if _, err := chat.ParseClientMsgID(*id); err != nil {
			return &client.Error{Code: fault.Invalid, Message: err.Error()}
		}
	}
	var read wire.Ref
	if len(ref) > 0 && read.UnmarshalJSON(ref) != nil {
		return &client.Error{Code: fault.Invalid, Message: "ref is a short string or a number"}
	}
	return nil
}

// free are the frames whose order is no matter.
var free = map[wire.Type]bool{wire.Ping: true, wire.PresenceSet: true, wire.PresenceQuery: true, wire.CursorRead: true}

// readMark reads what a read mark is of.
func (e *entry) readMark() error {
	var mark struct {
		ChannelID chat.ChannelID `json:"channel_id"`
		Seq       chat.Seq       `json:"seq"`
	}
	if err := json.Unmarshal(e.frame, &mark); err != nil {
		return &client.Error{Code: fault.Invalid, Message: "a cursor.read has a channel_id and a seq"}
	}
	e.marks, e.upTo = mark.ChannelID, mark.Seq
	return nil
}

// marking is the read mark of a channel that waits to go out, if there is one.
func (b *outbox) marking(ch chat.ChannelID) *entry {
	for _, e := range b.queue {
		if e.marks == ch && ch != "" && !e.away {
			return e
		}
	}
	return nil
}

func idKey(id chat.ClientMsgID) string  { return "id " + string(id) }
func refKey(ref json.RawMessage) string { return "ref " + string(ref) }

// with is the object frame with one more field, or with another value of a field that it has. Nothing else of
// it changes when the field is new.
func with(frame []byte, name string, value any) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(frame, &fields); err != nil {
		return nil, fmt.Errorf("read a frame: %w", err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	if _, there := fields[name]; there {
		fields[name] = text
		return json.Marshal(fields)
	}
	rest := bytes.TrimLeft(frame[1:], " \t\r\n")
	comma := ","
	if len(fields) == 0 {
		comma = ""
	}
	return fmt.Appendf(nil, `{%q:%s%s%s`, name, text, comma, rest), nil
}

// next is the frame to write now, if there is one. When all that waits is held back, pause says how long.
func (b *outbox) next(now time.Time) (frame []byte, pause time.Duration, err error) {
	away := 0
	var later time.Duration // until a read mark goes out again
	for _, e := range b.queue {
		switch {
		case e.away && e.free:
			continue
		case e.after.After(now):
			if wait := e.after.Sub(now); later == 0 || wait < later {
				later = wait
			}
			continue
		case e.away:
			away++
			continue
		case e.free:
		case away >= b.window || pause > 0:
			continue // there may be a free one behind it
		case b.hold.After(now):
			pause = b.hold.Sub(now)
			continue
		}
		if e.post && e.tried {
			if e.frame, err = with(e.frame, "retry", true); err != nil {
				return nil, 0, err
			}
		}
		e.away, e.tried = true, true
		return e.frame, 0, nil
	}
	if later > 0 && (pause == 0 || later < pause) {
		pause = later
	}
	return nil, pause, nil
}

// lost says that the connection is gone: nothing will be answered there.
func (b *outbox) lost() {
	for _, e := range b.queue {
		e.away = false
	}
}

// answered takes the answer to the entry of that name, and reports whether there was one.
func (b *outbox) answered(key string, r Receipt) bool {
	i := b.find(key)
	if i < 0 {
		return false
	}
	b.remove(i).pending.end(r, nil)
	return true
}

// refusedCap bounds the pause after a refusal while the socket is open, when the server asks for no longer one: after an
// outage of half a minute people would else wait as long again although everything is well. It is the gateway that
// bounds what a crowd may send.
const refusedCap = 5 * time.Second

// refused takes a refusal of the entry of that name, and reports whether there was one. One that may pass keeps
// the entry: everything waits as long as the server asked for, and the entry goes out again.
func (b *outbox) refused(key string, refusal *client.Error, now time.Time, random float64) bool {
	i := b.find(key)
	if i < 0 {
		return false
	}
	if (b.queue[i].free && b.queue[i].marks == "") || !refusal.Passes() {
		b.remove(i).pending.end(Receipt{}, refusal)
		return true
	}
	e := b.queue[i]
	e.away = false
	pause := min(e.backoff.Next(random, 0), refusedCap)
	if least := refusal.RetryAfter; least > 0 {
		pause = max(pause, least+time.Duration(random*float64(least)/10))
	}
	switch until := now.Add(pause); {
	case e.free:
		e.after = until
	case until.After(b.hold):
		b.hold = until
	}
	return true
}

// end fails everything that has no answer.
func (b *outbox) end(err error) {
	for _, e := range b.queue {
		e.pending.end(Receipt{}, err)
	}
	b.queue = nil
}

func (b *outbox) find(key string) int {
	for i, e := range b.queue {
		if e.key == key {
			return i
		}
	}
	return -1
}

func (b *outbox) remove(i int) *entry {
	e := b.queue[i]
	b.queue = append(b.queue[:i], b.queue[i+1:]...)
	return e
}
