package live

import (
	"encoding/json"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
)

// Order is the proof of order, for tests that feed it frames.
type Order struct{ o *order }

// NewOrder begins at a cursor.
func NewOrder(at chat.Cursor) *Order { return &Order{newOrder(at)} }

// At is the cursor.
func (o *Order) At() chat.Cursor { return o.o.at() }

// Take is what a Conn tells because of a frame: Online without its ids, Gap, Resync, and a Posted or Changed.
func (o *Order) Take(data []byte) ([]Event, error) {
	f, err := parse(data)
	if err != nil {
		return nil, err
	}
	switch f.Type {
	case frameHello:
		o.o.hello(&f)
		return []Event{Online{Cursor: o.o.at(), Resumed: f.Resumed}}, nil
	case frameResync:
		return []Event{o.o.resync(&f)}, nil
	}
	var all []Event
	if r, owed := o.o.owed(); owed {
		all = append(all, r)
	}
	show, gap, missing := o.o.stored(&f)
	if missing {
		all = append(all, gap)
	}
	if show {
		all = append(all, Changed{ChannelID: f.ChannelID, Seq: f.Seq})
	}
	return all, nil
}

// Outbox is the outbox, for tests that play the server.
type Outbox struct{ b outbox }

// NewOutbox holds limit frames, of which window are on their way.
func NewOutbox(limit, window int) *Outbox { return &Outbox{outbox{limit: limit, window: window}} }

// Full says that there is no room.
func (b *Outbox) Full() bool { return b.b.full() }

// Add takes a frame.
func (b *Outbox) Add(frame string, newID func() chat.ClientMsgID) (*Pending, error) {
	return b.b.add([]byte(frame), newID)
}

// Next is what to write now.
func (b *Outbox) Next(now time.Time) (string, time.Duration, error) {
	frame, pause, err := b.b.next(now)
	return string(frame), pause, err
}

// Lost is the end of a connection.
func (b *Outbox) Lost() { b.b.lost() }

// Stored answers a message.
func (b *Outbox) Stored(id chat.ClientMsgID, r Receipt) bool { return b.b.answered(idKey(id), r) }

// Acked answers anything else.
func (b *Outbox) Acked(ref string, r Receipt) bool {
	return b.b.answered(refKey(json.RawMessage(ref)), r)
}

// Refused refuses a message; random is 1.
func (b *Outbox) Refused(id chat.ClientMsgID, e *client.Error, now time.Time) bool {
	return b.b.refused(idKey(id), e, now, 1)
}

// Judge says what the end of a socket means.
func Judge(err error) (final, signIn bool, atLeast time.Duration) {
	v := judge(err)
	return v.final, v.signIn, v.atLeast
}
