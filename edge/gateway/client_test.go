package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// The opcodes of RFC 6455 §5.2.
const (
	opMore  = 0
	opText  = 1
	opBin   = 2
	opClose = 8
	opPing  = 9
	opPong  = 10
)

// frame is what a gateway sent: the union of the frames of DESIGN §9.
type frame struct {
	Type        string           `json:"type"`
	Seq         chat.Seq         `json:"seq"`
	Prev        chat.Seq         `json:"prev"`
	ChannelID   chat.ChannelID   `json:"channel_id"`
	ClientMsgID string           `json:"client_msg_id"`
	Ref         json.RawMessage  `json:"ref"`
	Code        string           `json:"code"`
	RetryAfter  *float64         `json:"retry_after"`
	Head        chat.Seq         `json:"head"`
	Resumed     bool             `json:"resumed"`
	Reason      string           `json:"reason"`
	WorkspaceID chat.WorkspaceID `json:"workspace_id"`
	UserID      chat.UserID      `json:"user_id"`
	Heartbeat   int              `json:"heartbeat_s"`
	Kind        string           `json:"kind"`
	Duplicate   bool             `json:"duplicate"`
	Status      string           `json:"status"`
	Text        string           `json:"text"`
	Message     message          `json:"message"`
}

// message is what a frame delivers. In an error frame the field is a text.
type message struct {
	Body     string      `json:"body"`
	SenderID chat.UserID `json:"sender_id"`
}

func (m *message) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return nil
	}
	type plain message
	return json.Unmarshal(b, (*plain)(m))
}

// stored reports whether the frame is an event of the log.
func (f frame) stored() bool { return f.Type == "message.deliver" || f.Type == "event" }

// closed is a close frame.
type closed struct {
	code   int
	reason string
}

func (c *closed) Error() string { return fmt.Sprintf("closed with %d %q", c.code, c.reason) }

// client is a user's socket, written for the tests: it shares no code with the gateway.
type client struct {
	t     testing.TB
	nc    net.Conn
	br    *bufio.Reader
	hello frame
	pings int
	mute  bool // leaves pings unanswered
}

// connect is a TCP or TLS connection to the gateway.
func (w *world) connect() net.Conn {
	w.t.Helper()
	nc, err := w.tryConnect()
	if err != nil {
		w.t.Fatal(err)
	}
	return nc
}

func (w *world) tryConnect() (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", w.addr, patience)
	if err != nil {
		return nil, err
	}
	if err := nc.SetDeadline(time.Now().Add(6 * patience)); err != nil {
		return nil, err
	}
	if w.driver.tls {
		nc = tls.Client(nc, w.pool)
	}
	return nc, nil
}

// request is an upgrade with more headers.
func (w *world) request(query string, headers ...string) string {
	lines := append([]string{
		"GET /socket?" + query + " HTTP/1.1", "Host: " + w.addr, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, headers...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// ask sends a request and reads the answer's head. extra follows the request in the same write.
func (w *world) ask(request string, extra []byte) (*client, *http.Response, error) {
	nc, err := w.tryConnect()
	if err != nil {
		return nil, nil, err
	}
	c := &client{t: w.t, nc: nc, br: bufio.NewReader(nc)}
	if _, err := nc.Write(append([]byte(request), extra...)); err != nil {
		return nil, nil, errors.Join(err, nc.Close())
	}
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return nil, nil, errors.Join(err, nc.Close())
	}
	return c, resp, nil
}

// tryOpen opens a session.
func (w *world) tryOpen(user chat.UserID, query string) (*client, error) {
	c, resp, err := w.ask(w.request(query, "Authorization: Bearer "+string(user)), nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(resp.Body)
		return nil, errors.Join(fmt.Errorf("%s: %s", resp.Status, body), c.nc.Close())
	}
	if c.hello, err = c.next(); err == nil && c.hello.Type != "hello" {
		err = fmt.Errorf("the first frame is %+v", c.hello)
	}
	if err != nil {
		return nil, errors.Join(err, c.nc.Close())
	}
	return c, nil
}

// open opens a session, which ends with the test.
func (w *world) open(user chat.UserID) *client { w.t.Helper(); return w.resume(user, "") }

// resume opens a session with a query.
func (w *world) resume(user chat.UserID, query string) *client {
	w.t.Helper()
	c, err := w.tryOpen(user, query)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.nc.Close() }) // it may be closed already
	return c
}

// at is the query that resumes after a seq.
func at(seq chat.Seq) string { return "cursor=" + chat.Cursor{Epoch: epoch, Seq: seq}.String() }

// bytesOf is a masked frame.
func bytesOf(first byte, payload string) []byte {
	mask := [4]byte{0x11, 0x92, 0x33, 0xd4}
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

func text(payload string) []byte { return bytesOf(0x80|opText, payload) }

// post is a message.send.
func post(id string, ch chat.ChannelID, body string) []byte {
	b, err := json.Marshal(map[string]any{"type": "message.send", "client_msg_id": id, "channel_id": ch, "body": body})
	if err != nil {
		panic(err)
	}
	return text(string(b))
}

func (c *client) write(frames ...[]byte) {
	c.t.Helper()
	if _, err := c.nc.Write(bytes.Join(frames, nil)); err != nil {
		c.t.Fatal(err)
	}
}

// raw reads one frame as it is. Frames of a server are not masked and, here, never fragmented.
func (c *client) raw() (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(c.br, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0xf0 != 0x80 || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("a frame begins with %x", head)
	}
	size := uint64(head[1])
	if size > 125 {
		long := make([]byte, map[uint64]int{126: 2, 127: 8}[size])
		if _, err = io.ReadFull(c.br, long); err != nil {
			return 0, nil, err
		}
		size = 0
		for _, b := range long {
			size = size<<8 | uint64(b)
		}
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(c.br, payload)
	return head[0] & 0x0f, payload, err
}

// next is the next text frame. Pings are answered on the way; a close frame is the error.
func (c *client) next() (frame, error) {
	for {
		op, payload, err := c.raw()
		if err != nil {
			return frame{}, err
		}
		switch op {
		case opText:
			var f frame
			return f, json.Unmarshal(payload, &f)
		case opPing:
			c.pings++
			if !c.mute {
				if _, err := c.nc.Write(bytesOf(0x80|opPong, string(payload))); err != nil {
					return frame{}, err
				}
			}
		case opClose:
			if len(payload) < 2 {
				return frame{}, &closed{code: 1005}
			}
			return frame{}, &closed{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
		case opPong:
			return frame{Type: "control pong", Code: string(payload)}, nil
		}
	}
}

func (c *client) read() frame {
	c.t.Helper()
	f, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// until reads up to the first frame of a type and returns it, and the seqs of the events on the way.
func (c *client) until(typ string) (f frame, seqs []chat.Seq) {
	c.t.Helper()
	for {
		f := c.read()
		if f.Type == typ {
			return f, seqs
		}
		if f.stored() {
			seqs = append(seqs, f.Seq)
		}
	}
}

// collect reads events up to the one with a seq, and checks each prev against what came in its channel.
func (c *client) collect(last chat.Seq) []chat.Seq {
	c.t.Helper()
	seqs, err := c.gather(last)
	if err != nil {
		c.t.Fatalf("after %v: %v", tail(seqs), err)
	}
	return seqs
}

func (c *client) gather(last chat.Seq) ([]chat.Seq, error) {
	seqs := []chat.Seq{}
	for {
		f, err := c.next()
		if err != nil {
			return seqs, err
		}
		if f.stored() {
			if f.Type == "message.deliver" && f.Message.Body == "" {
				return seqs, fmt.Errorf("no body in %+v", f)
			}
			if seqs = append(seqs, f.Seq); f.Seq >= last {
				return seqs, nil
			}
		}
	}
}

func tail(seqs []chat.Seq) []chat.Seq { return seqs[max(0, len(seqs)-5):] }

// sees checks that the client gets just what its user must see of the log after a position up to another.
func (w *world) sees(c *client, user chat.UserID, after, upTo chat.Seq) {
	w.t.Helper()
	want := w.shown(user, after, upTo)
	if len(want) == 0 {
		return
	}
	got := c.collect(want[len(want)-1])
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s after %d: got %d events, want %d: %s", user, after, len(got), len(want), firstDifference(got, want))
	}
}

func firstDifference(got, want []chat.Seq) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("at %d: %v instead of %v", i, got[i:min(len(got), i+5)], want[i:min(len(want), i+5)])
		}
	}
	return fmt.Sprintf("one ends: %v, %v", tail(got), tail(want))
}

// ends reads up to the close frame and checks its code; then the gateway must end the connection.
func (c *client) ends(code int) {
	c.t.Helper()
	for {
		_, err := c.next()
		if err == nil {
			continue
		}
		var over *closed
		if !errors.As(err, &over) || over.code != code {
			c.t.Fatalf("ended with %v, want %d", err, code)
		}
		break
	}
	_, _ = c.nc.Write(bytesOf(0x80|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code))))) // it may have gone
	if n, err := io.Copy(io.Discard, c.br); n != 0 {
		c.t.Errorf("%d bytes follow the close frame (%v)", n, err)
	}
	_ = c.nc.Close() // the gateway waits for that, for a while
}

// quiet checks that nothing but what a ping asks for is on its way.
func (c *client) quiet() []chat.Seq {
	c.t.Helper()
	c.write(text(`{"type":"ping","ref":"quiet"}`))
	_, seqs := c.until("pong")
	return seqs
}
