package crew

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// over does an op over a conn.
func (h *Hand) over(ctx context.Context, op *record.Op) (doubt bool, err error) {
	c := h.conn(op.Conn)
	if c == nil {
		return false, errNoConn
	}
	ctx, cancel := context.WithTimeout(ctx, sendBudget)
	defer cancel()
	before := c.doubt()
	pending, err := submit(ctx, c, op)
	if err != nil {
		return false, fmt.Errorf("not sent: %v", err) // by the client, whatever it says: no server refused it
	}
	if pending == nil {
		return false, nil // nothing answers
	}
	r, err := pending.Wait(ctx)
	op.Seq, op.Duplicate = int64(r.Seq), r.Duplicate
	return c.doubt() != before, err
}

// submit puts an op into the outbox of its conn.
func submit(ctx context.Context, c *conn, op *record.Op) (*live.Pending, error) {
	ch, seq := chat.ChannelID(op.Channel), chat.Seq(op.Message)
	switch op.F {
	case record.Send:
		return c.Send(ctx, client.Message{ChannelID: ch, Body: op.Body, Thread: chat.Seq(op.Thread), ClientMsgID: chat.ClientMsgID(op.ID)})
	case record.Edit:
		return c.Edit(ctx, ch, seq, op.Body)
	case record.Delete:
		return c.Delete(ctx, ch, seq)
	case record.React:
		return c.React(ctx, ch, seq, op.Emoji)
	case record.Unreact:
		return c.Unreact(ctx, ch, seq, op.Emoji)
	case record.Mark:
		return c.Read(ctx, ch, seq)
	case record.Typing:
		return nil, c.Typing(ch)
	case record.Status:
		return c.SetPresence(ctx, chat.StatusOnline, op.Body)
	}
	return nil, errUnknown
}

// rest does an op over REST. What the client tries several times leaves a refusal in doubt: an earlier try may have been taken.
func (h *Hand) rest(ctx context.Context, c *client.Client, op *record.Op) (doubt bool, err error) {
	if op.Over != record.REST {
		op.Over, op.Conn, op.At = record.REST, "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, restBudget)
	defer cancel()
	var asked atomic.Int64
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { asked.Add(1) }})
	switch op.F {
	case record.Page, record.Marks:
		err = look(ctx, c, h.as.Workspace, op)
	case record.Join, record.Leave, record.Add, record.Kick, record.Ban:
		err = h.member(ctx, c, op)
	case record.Logout:
		err = h.logout(ctx, c)
	case record.Revoke:
		err = revoke(ctx, c, op.Target)
	default:
		err = change(ctx, c, op)
	}
	once := int64(1)
	if client.CodeOf(err) == fault.Unauthenticated {
		once = 2 // the second is the refresh that did not help
	}
	return asked.Load() > once, err
}

// change sends a message, or changes one.
func change(ctx context.Context, c *client.Client, op *record.Op) error {
	message := fmt.Sprintf("/channels/%s/messages", url.PathEscape(op.Channel))
	one := fmt.Sprintf("%s/%d", message, op.Message)
	var stored rest.Stored
	k := request{out: &stored}
	switch op.F {
	case record.Send:
		return post(ctx, c, op)
	case record.Mark:
		r, err := c.MarkRead(ctx, chat.ChannelID(op.Channel), chat.Seq(op.Message))
		op.Seq = int64(r.Seq)
		return err
	case record.Edit:
		body, err := json.Marshal(rest.EditMessage{Body: op.Body})
		if err != nil {
			return fmt.Errorf("write an edit: %w", err)
		}
		k.method, k.path, k.body = http.MethodPatch, one, string(body)
	case record.Delete:
		k.method, k.path = http.MethodDelete, one
	case record.React:
		k.method, k.path = http.MethodPut, one+"/reactions/"+url.PathEscape(op.Emoji)
	case record.Unreact:
		k.method, k.path = http.MethodDelete, one+"/reactions/"+url.PathEscape(op.Emoji)
	default:
		return errUnknown
	}
	err := ask(ctx, c, k)
	op.Seq = int64(stored.Seq)
	return err
}

// post sends a message: by the client, which tries again, or, where the first answer counts, by one request.
func post(ctx context.Context, c *client.Client, op *record.Op) (err error) {
	var ack rest.Ack
	if alone(op) {
		in := rest.NewMessage{Body: op.Body, ClientMsgID: chat.ClientMsgID(op.ID), Thread: chat.Seq(op.Thread)}
		var body []byte
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("write a message: %w", err)
		}
		path := fmt.Sprintf("/channels/%s/messages", url.PathEscape(op.Channel))
		err = ask(ctx, c, request{method: http.MethodPost, path: path, body: string(body), out: &ack})
	} else {
		ack, err = c.Post(ctx, client.Message{
			ChannelID: chat.ChannelID(op.Channel), Body: op.Body, Thread: chat.Seq(op.Thread), ClientMsgID: chat.ClientMsgID(op.ID),
		})
	}
	op.Seq, op.Duplicate = int64(ack.Seq), ack.Duplicate
	return err
}

// member changes who is where.
func (h *Hand) member(ctx context.Context, c *client.Client, op *record.Op) error {
	ch := chat.ChannelID(op.Channel)
	switch op.F {
	case record.Join:
		_, err := c.Join(ctx, ch)
		return err
	case record.Leave:
		return c.Leave(ctx, ch)
	}
	id := h.as.People[op.Target]
	if id == "" {
		return errPerson
	}
	members := fmt.Sprintf("/channels/%s/members", url.PathEscape(op.Channel))
	switch op.F {
	case record.Add:
		return ask(ctx, c, request{method: http.MethodPost, path: members, body: fmt.Sprintf(`{"user_ids":[%q]}`, id)})
	case record.Kick:
		return ask(ctx, c, request{method: http.MethodDelete, path: members + "/" + id})
	}
	path := fmt.Sprintf("/workspaces/%s/members/%s", h.as.Workspace, id)
	return ask(ctx, c, request{method: http.MethodPatch, path: path, body: `{"deactivated":true}`})
}

// revoke ends the sign-in of that name.
func revoke(ctx context.Context, c *client.Client, device string) error {
	var list rest.SessionList
	if err := ask(ctx, c, request{method: http.MethodGet, path: "/me/sessions", out: &list}); err != nil {
		return fmt.Errorf("not revoked: %w", err)
	}
	for _, s := range list.Sessions {
		if s.Device == device {
			return ask(ctx, c, request{method: http.MethodDelete, path: "/me/sessions/" + string(s.ID)})
		}
	}
	return &client.Error{Code: fault.NotFound, Message: "there is no such sign-in"}
}

// probe tries what must not be let in.
func (h *Hand) probe(ctx context.Context, c *client.Client, op *record.Op) error {
	switch op.Over {
	case record.REST:
		ctx, cancel := context.WithTimeout(ctx, restBudget)
		defer cancel()
		words := append(strings.SplitN(op.Body, " ", 3), "", "")
		return ask(ctx, c, request{method: words[0], path: words[1], body: words[2]})
	case record.Socket:
		conn := h.conn(op.Conn)
		if conn == nil {
			return errNoConn
		}
		ctx, cancel := context.WithTimeout(ctx, sendBudget)
		defer cancel()
		pending, err := conn.SendFrame(ctx, []byte(op.Body))
		if err != nil {
			return fmt.Errorf("not sent: %v", err) // by the client
		}
		_, err = pending.Wait(ctx)
		return err
	}
	return h.knock(ctx, c, op)
}

// knock opens a socket that must not open: it is open when the server says hello.
func (h *Hand) knock(ctx context.Context, c *client.Client, op *record.Op) error {
	to := h.as.Sockets[op.At]
	if op.At == "" {
		to = "ws" + strings.TrimPrefix(h.as.URL, "http") + "/socket"
	}
	ctx, cancel := context.WithTimeout(ctx, connectBudget)
	defer cancel()
	token, err := c.Token(ctx)
	if err != nil {
		return err
	}
	socket, err := wsconn.Dial(ctx, to+"?"+op.Body, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		return err
	}
	unlock := context.AfterFunc(ctx, func() { _ = socket.Conn().Close() }) // reading ends, and says why
	defer func() {
		if unlock() {
			_ = socket.Close() // it has said what it had to
		}
	}()
	_, err = socket.Read()
	return err
}
