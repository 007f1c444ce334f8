package live

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/fault"
)

// handle does what a frame of the server asks for. Frames that are not known are passed over.
func (c *Conn) handle(ctx context.Context, f *frame, first bool) error {
	switch f.Type {
	case frameHello:
		if !first {
			return nil
		}
		return c.tell(ctx, Online{
			SessionID: f.SessionID, UserID: f.UserID, WorkspaceID: f.WorkspaceID, Cursor: c.order.at(), Resumed: f.Resumed,
		})
	case frameDeliver, frameEvent:
		return c.stored(ctx, f)
	case frameMessageAck:
		c.settle(idKey(f.ClientMsgID), Receipt{Seq: f.Seq, ServerMsgID: f.ServerMsgID, At: f.TS, Duplicate: f.Duplicate})
	case frameAck, framePong:
		c.settle(refKey(f.Ref), Receipt{Seq: f.Seq})
	case frameError:
		return c.refuse(ctx, f)
	case frameResync:
		return c.tellAt(ctx, c.order.resync(f))
	case frameTyping:
		return c.tell(ctx, Typing{ChannelID: f.ChannelID, UserID: f.UserID, Expires: time.Duration(f.ExpiresS) * time.Second})
	case framePresence:
		c.settle(refKey(f.Ref), Receipt{})
		return c.tell(ctx, Presence{UserID: f.UserID, Status: f.Status, Text: f.Text})
	case frameRead:
		c.settle(refKey(f.Ref), Receipt{Seq: f.Seq})
		return c.tell(ctx, ReadMoved{ChannelID: f.ChannelID, Seq: f.Seq})
	case frameStale:
		return c.tell(ctx, ReadStale{})
	}
	return nil
}

// stored tells a stored event, after what is missing before it.
func (c *Conn) stored(ctx context.Context, f *frame) error {
	if r, owed := c.order.owed(); owed {
		if err := c.tell(ctx, r); err != nil {
			return err
		}
	}
	var e Event
	if f.Type == frameDeliver {
		p, err := f.posted()
		if err != nil {
			return err
		}
		e = p
	} else {
		e = f.changed()
	}
	show, gap, missing := c.order.stored(f)
	if !show {
		return nil
	}
	if missing {
		if err := c.bridge(ctx, gap); err != nil {
			return err
		}
	}
	return c.tellAt(ctx, e)
}

// bridge tells a gap, and what history has of it. The cursor that others see stays before it until the
// event behind it is told: who dies meanwhile gets it again.
func (c *Conn) bridge(ctx context.Context, g Gap) error {
	if c.o.NoFill {
		return c.tell(ctx, g)
	}
	messages, err := c.client.Fill(ctx, client.Gap{ChannelID: g.ChannelID, After: g.After, Through: g.Through})
	g.Filled, g.Err = err == nil, err
	if err := c.tell(ctx, g); err != nil {
		return err
	}
	for _, m := range messages {
		if err := c.tell(ctx, Posted{Message: m, Filled: true}); err != nil {
			return err
		}
	}
	return nil
}

// tellAt tells an event that moves the cursor.
func (c *Conn) tellAt(ctx context.Context, e Event) error {
	if err := c.tell(ctx, e); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.order.at()
	if _, resync := e.(Resync); !resync && !c.mute && c.confirm.Note(c.at.Seq) { // what a Resync says did not come
		signal(c.kick)
	}
	return nil
}

// settle brings an answer to who waits for it.
func (c *Conn) settle(key string, r Receipt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outbox.answered(key, r) {
		signal(c.room)
		signal(c.kick)
	}
}

// refuse brings a refusal to who waits for it, or tells it when nobody does.
func (c *Conn) refuse(ctx context.Context, f *frame) error {
	key := refKey(f.Ref)
	if f.ClientMsgID != "" {
		key = idKey(f.ClientMsgID)
	}
	refusal := f.refused()
	if string(f.Ref) == `"`+confirmRef+`"` { // a later one says it again, unless the server knows none
		c.mu.Lock()
		defer c.mu.Unlock()
		c.mute = c.mute || refusal.Code == fault.Unsupported
		return nil
	}
	c.mu.Lock()
	known := c.outbox.refused(key, refusal, time.Now(), rand.Float64())
	if known {
		signal(c.room)
		signal(c.kick)
	}
	c.mu.Unlock()
	if known {
		return nil
	}
	if f.ClientMsgID == "" && len(f.Ref) == 0 { // it is about the socket, which may close
		c.away = refusal.RetryAfter
	}
	return c.tell(ctx, Refused{Err: refusal})
}

// signal wakes whoever waits on a channel that holds one signal.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default: // it is signalled already
	}
}

// beatRef names the pings of the Conn itself.
const beatRef = "beat"

// ownPong reports whether a frame answers a ping of the Conn itself.
func ownPong(f *frame) bool { return f.Type == framePong && string(f.Ref) == `"`+beatRef+`"` }
