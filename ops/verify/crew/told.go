package crew

import (
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
)

// note writes down an event right before the program would get it. It runs on the goroutine that reads the socket.
func (c *conn) note(e live.Event) {
	switch e := e.(type) {
	case live.Frame:
		c.take(e.Data)
	case live.Online:
		c.begins(e)
	case live.Offline:
		c.mu.Lock()
		c.online = false
		c.doubts++
		c.mu.Unlock()
		c.tell(record.Told{T: record.Offline, Code: reason(e.Err)})
	case live.Posted:
		c.posted(e)
	case live.Changed:
		c.changed(e)
	case live.Gap:
		c.tell(record.Told{T: record.Gap, Channel: string(e.ChannelID), Seq: int64(e.Through), Prev: int64(e.After), Filled: e.Filled})
	case live.Resync:
		c.stands(e.Head)
		c.tell(record.Told{T: record.Resync, Head: int64(e.Head), Code: e.Reason})
	case live.Typing:
		c.tell(record.Told{T: record.Typed, Channel: string(e.ChannelID), User: string(e.UserID)})
	case live.Presence:
		c.tell(record.Told{T: record.Presence, User: string(e.UserID), Body: e.Text, Code: e.Status})
	case live.ReadMoved:
		c.tell(record.Told{T: record.Marked, Channel: string(e.ChannelID), Seq: int64(e.Seq)})
	case live.ReadStale:
		c.tell(record.Told{T: record.Stale})
	case live.Refused:
		c.tell(record.Told{T: record.Trouble, Code: string(e.Err.Code), Body: e.Err.Message})
	}
}

// begins notes a hello, the first of which connect waits for.
func (c *conn) begins(e live.Online) {
	c.mu.Lock()
	c.online, c.cursor = true, e.Cursor
	c.mu.Unlock()
	c.tell(record.Told{T: record.Hello, Space: string(e.WorkspaceID), Cursor: e.Cursor.String(), Resumed: e.Resumed, Head: c.last.Head})
	if !c.greeted {
		c.greeted, c.first = true, e
		close(c.hello)
	}
}

func (c *conn) posted(e live.Posted) {
	m := e.Message
	t := record.Told{
		T: record.Posted, Channel: string(m.ChannelID), Seq: int64(m.Seq), Prev: -1, Sender: string(m.SenderID), ID: string(m.ClientMsgID),
		Body: m.Body, Thread: int64(m.Thread), Deleted: m.Deleted, Filled: e.Filled,
	}
	if !e.Filled {
		t.Prev = c.prev(m.Seq)
		c.stands(m.Seq)
	}
	c.tell(t)
}

func (c *conn) changed(e live.Changed) {
	t := record.Told{
		T: record.Changed, Channel: string(e.ChannelID), Seq: int64(e.Seq), Prev: c.prev(e.Seq), Kind: string(e.Kind), Sender: string(e.SenderID),
		Message: int64(e.MessageSeq), Body: e.Body, Emoji: e.Emoji, User: string(e.UserID),
	}
	c.stands(e.Seq)
	c.tell(t)
}

// prev is what the frame of an event said of the one before it; -1: it is another one's.
func (c *conn) prev(seq chat.Seq) int64 {
	if c.last.Seq != int64(seq) {
		return -1
	}
	return c.last.Prev
}

// stands notes up to where the conn was told.
func (c *conn) stands(seq chat.Seq) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cursor.Seq = seq
}

func (c *conn) tell(t record.Told) {
	t.Conn, t.Who, t.At = c.name, c.hand.as.Login, c.at
	c.hand.rec.Tell(t)
}
