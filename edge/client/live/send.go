package live

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/wire"
)

// outgoing is a frame that a Conn makes. Which fields count depends on Type.
type outgoing struct {
	Type        wire.Type         `json:"type"`
	Ref         string            `json:"ref,omitempty"`
	ChannelID   chat.ChannelID    `json:"channel_id,omitempty"`
	ClientMsgID chat.ClientMsgID  `json:"client_msg_id,omitempty"`
	Seq         chat.Seq          `json:"seq,omitempty"`
	Body        string            `json:"body,omitempty"`
	Thread      chat.Seq          `json:"thread,omitempty"`
	Emoji       string            `json:"emoji,omitempty"`
	Attachments []chat.Attachment `json:"attachments,omitempty"`
	Status      chat.Status       `json:"status,omitempty"`
	Text        string            `json:"text,omitempty"`
	UserIDs     []chat.UserID     `json:"user_ids,omitempty"`
}

// Send puts a message into the outbox, and waits while that is full. From then on it is sent until the server stores
// or refuses it, over as many sockets as that takes; refusals that may pass (rate_limited, unavailable) are waited out.
// It may be called before Run and while there is no socket. The error is ctx's, or ErrClosed.
func (c *Conn) Send(ctx context.Context, m client.Message) (*Pending, error) {
	return c.submit(ctx, outgoing{
		Type: wire.MessageSend, ChannelID: m.ChannelID, ClientMsgID: m.ClientMsgID, Body: m.Body, Thread: m.Thread, Attachments: m.Attachments,
	})
}

// Edit gives a message another text; as Send.
func (c *Conn) Edit(ctx context.Context, ch chat.ChannelID, seq chat.Seq, body string) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.MessageEdit, ChannelID: ch, Seq: seq, Body: body})
}

// Delete deletes a message; as Send.
func (c *Conn) Delete(ctx context.Context, ch chat.ChannelID, seq chat.Seq) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.MessageDelete, ChannelID: ch, Seq: seq})
}

// React puts an emoji on a message; as Send.
func (c *Conn) React(ctx context.Context, ch chat.ChannelID, seq chat.Seq, emoji string) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.ReactionAdd, ChannelID: ch, Seq: seq, Emoji: emoji})
}

// Unreact takes one's emoji away from a message; as Send.
func (c *Conn) Unreact(ctx context.Context, ch chat.ChannelID, seq chat.Seq, emoji string) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.ReactionRemove, ChannelID: ch, Seq: seq, Emoji: emoji})
}

// Ping asks the gateway for a word. It waits for no other frame's answer.
func (c *Conn) Ping(ctx context.Context) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.Ping})
}

// SetPresence says how the user can be reached, with a text that may be empty. It is said again on each new socket.
func (c *Conn) SetPresence(ctx context.Context, status chat.Status, text string) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.PresenceSet, Status: status, Text: text})
}

// QueryPresence asks how these people (at most chat.MaxWatched) can be reached: a Presence for each follows,
// and from then on one for each change, until the next query. It is asked again on each new socket.
func (c *Conn) QueryPresence(ctx context.Context, users ...chat.UserID) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.PresenceQuery, UserIDs: users})
}

// Read says that the user has read a channel up to a message; as Send, but it waits for nothing and holds nothing up, and of
// what waits for one channel the furthest goes. Its Receipt's Seq is what counts then, which may be further.
func (c *Conn) Read(ctx context.Context, ch chat.ChannelID, seq chat.Seq) (*Pending, error) {
	return c.submit(ctx, outgoing{Type: wire.CursorRead, ChannelID: ch, Seq: seq})
}

// Typing says that the user writes. It is worth nothing later, so without a socket it does nothing, and there is no
// answer. The server passes on one in chat.TypingEvery.
func (c *Conn) Typing(ch chat.ChannelID) error {
	frame, err := json.Marshal(outgoing{Type: wire.TypingStart, ChannelID: ch})
	if err != nil {
		return fmt.Errorf("write a frame: %w", err)
	}
	c.throw(frame)
	return nil
}

// SendFrame puts a frame of one's own making into the outbox, as it is but for a client_msg_id or a ref, which it
// gets when it has none. It is for scripts and for frames that are newer than this package. A typing.start or cursor.delivered has no
// answer, so its Pending is nil. The error is as Send's, and an *client.Error when it is no JSON object.
func (c *Conn) SendFrame(ctx context.Context, frame []byte) (*Pending, error) {
	var head struct {
		Type wire.Type `json:"type"`
	}
	if json.Unmarshal(frame, &head) == nil && (head.Type == wire.TypingStart || head.Type == wire.CursorDelivered) {
		c.throw(frame)
		return nil, nil
	}
	return c.enqueue(ctx, head.Type, frame)
}

func (c *Conn) submit(ctx context.Context, o outgoing) (*Pending, error) {
	frame, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("write a frame: %w", err)
	}
	return c.enqueue(ctx, o.Type, frame)
}

// enqueue waits for room in the outbox.
func (c *Conn) enqueue(ctx context.Context, is wire.Type, frame []byte) (*Pending, error) {
	for {
		p, full, err := c.offer(is, frame)
		if !full {
			return p, err
		}
		select {
		case <-c.room:
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (c *Conn) offer(is wire.Type, frame []byte) (p *Pending, full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil, false, ErrClosed
	}
	if c.outbox.full() {
		return nil, true, nil
	}
	p, err = c.outbox.add(frame, client.NewMsgID)
	if err != nil {
		return nil, false, err
	}
	if is == wire.PresenceSet || is == wire.PresenceQuery {
		c.stands[is] = frame
	}
	if !c.outbox.full() {
		signal(c.room) // for the next who waits: one signal may stand for room for many
	}
	signal(c.kick)
	return p, false, nil
}

// throw writes a frame on the socket that is open, if there is one.
func (c *Conn) throw(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.open {
		return
	}
	if len(c.loose) >= maxLoose {
		c.loose = c.loose[1:]
	}
	c.loose = append(c.loose, frame)
	signal(c.kick)
}

// write sends what waits until ctx ends, and a ping in each heartbeat, so that a server that is gone is noticed.
func (c *Conn) write(ctx context.Context, socket *wsconn.Client, hello <-chan time.Duration) error {
	var heartbeat time.Duration
	select {
	case heartbeat = <-hello:
	case <-ctx.Done():
		return nil
	}
	beat, err := json.Marshal(outgoing{Type: wire.Ping, Ref: beatRef})
	if err != nil {
		return fmt.Errorf("write a frame: %w", err)
	}
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	var confirm <-chan time.Time // while something was told and is not confirmed
	for {
		frame, pause, err := c.next()
		if err != nil {
			return err
		}
		if confirm == nil && c.unconfirmed() {
			confirm = time.After(confirmEvery)
		}
		if frame == nil {
			var again <-chan time.Time
			if pause > 0 {
				again = time.After(pause)
			}
			select {
			case <-c.kick:
				continue
			case <-again:
				continue
			case <-confirm:
				confirm = nil
				c.throwConfirmation()
				continue
			case <-beats.C:
				frame = beat
			case <-ctx.Done():
				return nil
			}
		}
		if err := socket.Conn().SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if err := socket.Write(frame); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
}

// next is the frame to write now, if there is one, or how long nothing may be written.
func (c *Conn) next() (frame []byte, pause time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.loose) > 0 {
		frame, c.loose = c.loose[0], c.loose[1:]
		return frame, 0, nil
	}
	return c.outbox.next(time.Now())
}
