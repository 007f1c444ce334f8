package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// Page says which messages of a channel to read. At most one of Before, After and Around is set; none is the newest.
type Page struct {
	Before chat.Seq // those before this seq
	After  chat.Seq // those after this seq, the oldest of them; FromBeginning for the first of the channel
	Around chat.Seq // those on both sides of it
	Limit  int      // 1 to chat.MaxPageSize; chat.DefaultPageSize when 0
}

// FromBeginning is before every message of a channel.
const FromBeginning chat.Seq = 1

func (p Page) query() string {
	q := url.Values{}
	for _, part := range []struct {
		name  string
		value uint64
	}{{"before", uint64(p.Before)}, {"after", uint64(p.After)}, {"around", uint64(p.Around)}, {"limit", uint64(max(p.Limit, 0))}} {
		if part.value != 0 {
			q.Set(part.name, strconv.FormatUint(part.value, 10))
		}
	}
	return "?" + q.Encode()
}

// History is a page of a channel, newest first.
func (c *Client) History(ctx context.Context, ch chat.ChannelID, p Page) (rest.MessageList, error) {
	return c.page(ctx, channelPath(ch)+"/messages"+p.query())
}

// Replies is a page of the replies to a message, newest first.
func (c *Client) Replies(ctx context.Context, ch chat.ChannelID, root chat.Seq, p Page) (rest.MessageList, error) {
	return c.page(ctx, channelPath(ch)+"/messages/"+strconv.FormatUint(uint64(root), 10)+"/replies"+p.query())
}

func (c *Client) page(ctx context.Context, path string) (rest.MessageList, error) {
	var list rest.MessageList
	err := c.do(ctx, call{method: http.MethodGet, path: path, out: &list, safe: true})
	return list, err
}

// Message is something to say.
type Message struct {
	ChannelID   chat.ChannelID
	Body        string
	Thread      chat.Seq          // the message that it replies to; 0: none
	Attachments []chat.Attachment // over a socket only
	ClientMsgID chat.ClientMsgID  // a new UUIDv7 when empty; the same one twice is stored once
}

// Post sends a message over REST, for programs without a socket. It is tried again under the same client_msg_id
// while that may help, and stored once.
func (c *Client) Post(ctx context.Context, m Message) (rest.Ack, error) {
	if m.ClientMsgID == "" {
		m.ClientMsgID = NewMsgID()
	}
	var ack rest.Ack
	in := rest.NewMessage{Body: m.Body, ClientMsgID: m.ClientMsgID, Thread: m.Thread}
	err := c.do(ctx, call{method: http.MethodPost, path: channelPath(m.ChannelID) + "/messages", in: in, out: &ack, safe: true})
	return ack, err
}

// NewMsgID names a send: a UUIDv7, whose time lets the server skip a look-up.
func NewMsgID() chat.ClientMsgID { return chat.ClientMsgID(uuid.Must(uuid.NewV7()).String()) }
