package app_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/wire/wiretest"
)

// client is what a good client does: it resumes by its cursor, and sends what was not acknowledged again with the
// same client_msg_id, however often it is cut off. It belongs to one goroutine.
type client struct {
	t        *testing.T
	user     *user
	channels []string      // that it sends to
	todo     int           // messages still to send
	cuts     float64       // the chance that it is cut off after a frame
	enough   chan struct{} // closed: nothing new is sent; may be nil
	sentAll  func()        // called once, when everything is acknowledged

	cursor  uint64
	seen    []frame
	waiting []post            // sent and not acknowledged, in order
	acked   map[string]uint64 // seq by client_msg_id
	resent  int
	resumed atomic.Int64
}

// post is a message on its way.
type post struct{ id, channel, body string }

// sendWindow is how many messages a client has on their way at most.
const sendWindow = 4

func newClient(u *user, channels []string, todo int) *client {
	return &client{t: u.d.t, user: u, channels: channels, todo: todo, acked: make(map[string]uint64)}
}

// run talks until everything is sent and "the end" was read.
func (c *client) run() {
	deadline := time.Now().Add(4 * patience)
	for !c.finished() {
		if time.Now().After(deadline) {
			c.t.Errorf("a client does not come to the end: cursor %d, %d to send, %d not acknowledged", c.cursor, c.todo, len(c.waiting))
			return
		}
		s, err := c.connect()
		if err != nil {
			time.Sleep(time.Duration(20+rand.IntN(60)) * time.Millisecond)
			continue
		}
		c.converse(s)
	}
}

func (c *client) finished() bool {
	n := len(c.seen)
	return n > 0 && c.seen[n-1].Message != nil && c.seen[n-1].Message.Body == "the end"
}

// connect opens a socket where the client stands, and sends again what was not acknowledged.
func (c *client) connect() (*socket, error) {
	query := ""
	if c.cursor > 0 {
		query = fmt.Sprintf("&cursor=1.%d", c.cursor)
	}
	conn, err := c.user.dial(query)
	if err != nil {
		return nil, err
	}
	s := &socket{t: c.t, c: conn}
	if s.hello, err = s.read(); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if s.hello.Type != "hello" || s.hello.Resumed != (c.cursor > 0) {
		c.t.Errorf("with cursor %d the first frame is %s", c.cursor, s.hello.raw)
	}
	if c.cursor == 0 {
		c.cursor = s.hello.Head
	} else {
		c.resumed.Add(1)
	}
	for _, p := range c.waiting {
		c.resent++
		if err := c.write(s, p); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return s, nil
}

func (c *client) write(s *socket, p post) error {
	text := fmt.Appendf(nil, `{"type":"message.send","channel_id":%q,"client_msg_id":%q,"body":%q}`, p.channel, p.id, p.body)
	watched().frame(c.t, wiretest.FromClient, "message.send", text)
	return s.c.Write(text)
}

// converse sends and reads until the socket ends, by the server's will or by chance.
func (c *client) converse(s *socket) {
	defer s.c.Close()
	for !c.finished() {
		c.checkEnough()
		for c.todo > 0 && len(c.waiting) < sendWindow {
			c.todo--
			id := newMsgID()
			p := post{id, c.channels[rand.IntN(len(c.channels))], "body of " + id}
			c.waiting = append(c.waiting, p)
			if c.write(s, p) != nil {
				return
			}
		}
		f, err := s.readWithin(2 * patience) // others may have much to do before there is anything to say
		if err != nil {
			c.checkEnd(err)
			return
		}
		if !c.take(s, f) {
			return
		}
		if c.cuts > 0 && rand.Float64() < c.cuts {
			if rand.IntN(2) == 0 {
				s.cut()
			}
			return
		}
	}
}

// checkEnough notes that nothing new is to be sent, and that everything is acknowledged.
func (c *client) checkEnough() {
	select {
	case <-c.enough:
		c.todo = 0
	default:
	}
	if c.todo == 0 && len(c.waiting) == 0 && c.sentAll != nil {
		c.sentAll()
		c.sentAll = nil
	}
}

// checkEnd looks at what ended a socket: it may break, but it is not closed for a client's fault.
func (c *client) checkEnd(err error) {
	var closed *wsconn.CloseError
	var network net.Error
	switch {
	case errors.As(err, &closed):
		if closed.Code != 1012 && closed.Code != 1001 && closed.Code != 1013 {
			c.t.Errorf("a client was closed: %v", err)
		}
	case errors.As(err, &network) && network.Timeout():
		c.t.Errorf("a client stays connected, and nothing comes: cursor %d, %d not acknowledged", c.cursor, len(c.waiting))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
	default:
		c.t.Errorf("a client read: %v", err)
	}
}

// take takes a frame. It is false when the client is to connect again.
func (c *client) take(s *socket, f frame) bool {
	switch f.Type {
	case "message.deliver", "event":
		c.cursor = f.Seq
		c.seen = append(c.seen, f)
	case "message.ack":
		if len(c.waiting) == 0 || c.waiting[0].id != f.ClientMsgID {
			c.t.Errorf("acks come in the order of the sends: got %s, waiting %v", f.raw, c.waiting)
			return false
		}
		c.waiting = c.waiting[1:]
		c.acked[f.ClientMsgID] = f.Seq
	case "error":
		switch f.Code {
		case "moving":
		case "unavailable", "rate_limited":
			return false // connecting again sends it again
		default:
			c.t.Errorf("a client was told %s", f.raw)
			return false
		}
	case "presence.update", "typing", "cursor.stale": // at any time, and of no place
	default:
		c.t.Errorf("a client was sent %s", f.raw)
	}
	return true
}

// restSender sends over REST until each message is acknowledged. It may be used by one goroutine.
type restSender struct {
	user    *user
	channel string
	acked   map[string]uint64
}

// send sends one message, however long it takes. It is false when that was too long.
func (r *restSender) send(deadline time.Time) bool {
	id := newMsgID()
	body := map[string]any{"client_msg_id": id, "body": "body of " + id}
	for time.Now().Before(deadline) {
		var ack reply
		status, err := r.user.try("POST", "/channels/"+r.channel+"/messages", body, &ack)
		if err == nil && (status == http.StatusCreated || status == http.StatusOK) {
			r.acked[id] = ack.Seq
			return true
		}
		if err == nil && status != http.StatusServiceUnavailable {
			r.user.d.t.Errorf("REST answered %d", status)
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

// end says "the end", by which clients know that they have seen everything.
func (r *restSender) end(deadline time.Time) {
	body := map[string]any{"client_msg_id": newMsgID(), "body": "the end"}
	for time.Now().Before(deadline) {
		if status, err := r.user.try("POST", "/channels/"+r.channel+"/messages", body, new(reply)); err == nil && status < 300 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.user.d.t.Error("nobody could say the end")
}

// checkAcked fails when history does not hold what was acknowledged, each once, at its seq.
func checkAcked(t *testing.T, history map[string][]message, acked map[string]uint64) {
	t.Helper()
	byID := make(map[string]message)
	for _, messages := range history {
		for i, m := range messages {
			if i > 0 && m.Seq <= messages[i-1].Seq {
				t.Errorf("history has %d after %d", m.Seq, messages[i-1].Seq)
			}
			if first, twice := byID[m.ClientMsgID]; twice {
				t.Errorf("%s is stored at %d and at %d", m.ClientMsgID, first.Seq, m.Seq)
			}
			byID[m.ClientMsgID] = m
		}
	}
	for id, seq := range acked {
		if m, ok := byID[id]; !ok || m.Seq != seq || m.Body != "body of "+id {
			t.Errorf("%s was acknowledged at %d, history has %+v", id, seq, m)
		}
	}
}

// checkSeen fails when a client did not see what history holds of its channels after where it began: all of it,
// once, in the same order.
func (c *client) checkSeen(t *testing.T, history map[string][]message, from uint64, in []string) {
	t.Helper()
	checkOrder(t, c.user.id, c.user.id, c.seen)
	saw := make(map[string][]frame)
	for _, f := range c.seen {
		if f.Message != nil {
			saw[f.ChannelID] = append(saw[f.ChannelID], f)
		}
	}
	end := lastOf(c.seen, 0)
	for _, ch := range in {
		got := saw[ch]
		for _, m := range history[ch] {
			if m.Seq <= from || m.Seq > end {
				continue
			}
			if len(got) == 0 || got[0].Seq != m.Seq || got[0].Message.Body != m.Body || got[0].Message.ClientMsgID != m.ClientMsgID {
				t.Errorf("%s should have seen %d next in %s, has %v", c.user.id, m.Seq, ch, len(got))
				return
			}
			got = got[1:]
		}
		if len(got) > 0 {
			t.Errorf("%s saw %s, which history does not have", c.user.id, got[0].raw)
		}
	}
}
