package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/wire/wiretest"
)

// frame is any frame of a gateway.
type frame struct {
	Type        string     `json:"type"`
	Kind        string     `json:"kind"`
	ChannelID   string     `json:"channel_id"`
	UserID      string     `json:"user_id"`
	Seq         uint64     `json:"seq"`
	Prev        uint64     `json:"prev"`
	Head        uint64     `json:"head"`
	Epoch       int        `json:"epoch"`
	Resumed     bool       `json:"resumed"`
	Duplicate   bool       `json:"duplicate"`
	SenderID    string     `json:"sender_id"`
	ClientMsgID string     `json:"client_msg_id"`
	Code        string     `json:"code"`
	Reason      string     `json:"reason"`
	Ref         any        `json:"ref"`
	RetryAfter  float64    `json:"retry_after"`
	TS          string     `json:"ts"`
	MessageSeq  uint64     `json:"message_seq"`
	Message     *delivered `json:"message"`
	raw         string     // the whole frame
}

// delivered is the message of a frame; of an error it is a text, which is passed over.
type delivered struct {
	Seq         uint64 `json:"seq"`
	ServerMsgID string `json:"server_msg_id"`
	SenderID    string `json:"sender_id"`
	Body        string `json:"body"`
	ClientMsgID string `json:"client_msg_id"`
	TS          string `json:"ts"`
	Deleted     bool   `json:"deleted"`
}

func (d *delivered) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return nil
	}
	type plain delivered
	return json.Unmarshal(b, (*plain)(d))
}

// socket is an open socket.
type socket struct {
	t     *testing.T
	c     *wsconn.Client
	hello frame
}

// dial opens a socket; query is added to the URL.
func (u *user) dial(query string) (*wsconn.Client, error) {
	url := "ws" + strings.TrimPrefix(u.d.run.HTTP, "http") + "/socket?workspace=" + u.d.run.Workspace.ID + query
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	header := http.Header{}
	if u.token != "" {
		header.Set("Authorization", "Bearer "+u.token)
	}
	return wsconn.Dial(ctx, url, header)
}

// open opens a socket from the head, or from a cursor when one is given.
func (u *user) open(cursor ...uint64) *socket {
	u.d.t.Helper()
	query := ""
	if len(cursor) > 0 {
		query = fmt.Sprintf("&cursor=1.%d", cursor[0])
	}
	c, err := u.dial(query)
	if err != nil {
		u.d.t.Fatal(err)
	}
	s := &socket{t: u.d.t, c: c}
	u.d.t.Cleanup(func() { _ = c.Close() })
	s.hello = s.next()
	if s.hello.Type != "hello" {
		u.d.t.Fatalf("the first frame is %s", s.hello.raw)
	}
	return s
}

// read is the next frame, or what ended the socket.
func (s *socket) read() (frame, error) { return s.readWithin(patience) }

func (s *socket) readWithin(d time.Duration) (frame, error) {
	if err := s.c.Conn().SetReadDeadline(time.Now().Add(d)); err != nil {
		return frame{}, err
	}
	text, err := s.c.Read()
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: string(text)}
	if err := json.Unmarshal(text, &f); err != nil {
		return frame{}, fmt.Errorf("%w in %s", err, text)
	}
	watched().frame(s.t, wiretest.FromGateway, f.Type, text)
	return f, nil
}

// next is the next frame.
func (s *socket) next() frame {
	s.t.Helper()
	f, err := s.read()
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// want is the next frame of a type; others are passed over.
func (s *socket) want(types ...string) frame {
	s.t.Helper()
	for {
		f := s.next()
		for _, t := range types {
			if f.Type == t {
				return f
			}
		}
		if f.Type == "error" || f.Type == "resync" {
			s.t.Fatalf("wanted %v, got %s", types, f.raw)
		}
	}
}

// acked sends a frame, and answers its message.ack. While what it needs does not answer it does what a client does: it sends it again.
func (s *socket) acked(f map[string]any) frame {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		s.send(f)
		a := s.next()
		for a.Type != "message.ack" && a.Type != "error" {
			a = s.next()
		}
		if a.Type == "message.ack" {
			return a
		}
		if a.Code != "unavailable" || time.Now().After(end) {
			s.t.Fatalf("%v is answered by %s", f, a.raw)
		}
	}
}

// codeOf is the close code in what ended a socket.
func (s *socket) codeOf(err error) int {
	s.t.Helper()
	var closed *wsconn.CloseError
	if !errors.As(err, &closed) {
		s.t.Fatalf("the socket ended without a close frame: %v", err)
	}
	return closed.Code
}

// send sends a frame that is valid by the document.
func (s *socket) send(f map[string]any) {
	s.t.Helper()
	text := s.sendAnyhow(f)
	watched().frame(s.t, wiretest.FromClient, fmt.Sprint(f["type"]), text)
}

// sendAnyhow sends a frame that need not be valid.
func (s *socket) sendAnyhow(f map[string]any) []byte {
	s.t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.c.Write(text); err != nil {
		s.t.Fatal(err)
	}
	return text
}

func newMsgID() string { return uuid.Must(uuid.NewV7()).String() }

// post sends a message and answers its client_msg_id.
func (s *socket) post(channel, body string) string {
	s.t.Helper()
	id := newMsgID()
	s.send(map[string]any{"type": "message.send", "channel_id": channel, "body": body, "client_msg_id": id})
	return id
}

// stored is the next frame that has a place in the log.
func (s *socket) stored() frame {
	s.t.Helper()
	return s.want("message.deliver", "event")
}

// until reads up to the frame of an event, and answers all that have a place in the log.
func (s *socket) until(seq uint64) []frame {
	s.t.Helper()
	var seen []frame
	for {
		f := s.stored()
		if f.Seq > seq {
			s.t.Fatalf("waited for %d, got %s", seq, f.raw)
		}
		seen = append(seen, f)
		if f.Seq == seq {
			return seen
		}
	}
}

// mark posts a message and answers everything that the socket was given up to it: the proof that nothing else
// was on its way.
func (s *socket) mark(channel string) []frame {
	s.t.Helper()
	id := s.post(channel, "mark")
	var seen []frame
	for {
		f := s.next()
		if f.Type == "error" {
			s.t.Fatalf("a mark was refused: %s", f.raw)
		}
		if f.Type == "message.deliver" || f.Type == "event" {
			seen = append(seen, f)
		}
		if f.Type == "message.deliver" && f.Message.ClientMsgID == id {
			return seen
		}
	}
}

// do sends a frame that changes a message and answers the seq of the change.
func (s *socket) do(kind string, fields map[string]any) uint64 {
	s.t.Helper()
	ref := newMsgID()
	fields["type"], fields["ref"] = kind, ref
	s.send(fields)
	for {
		f := s.next()
		if f.Type == "error" {
			s.t.Fatalf("%s was refused: %s", kind, f.raw)
		}
		if f.Type == "ack" && f.Ref == ref {
			return f.Seq
		}
	}
}

// say posts a message and answers its seq.
func (s *socket) say(channel, body string) uint64 {
	s.t.Helper()
	id := s.post(channel, body)
	for {
		f := s.next()
		if f.Type == "error" {
			s.t.Fatalf("a message was refused: %s", f.raw)
		}
		if f.Type == "message.ack" && f.ClientMsgID == id {
			return f.Seq
		}
	}
}

// joined reads until the socket's user is in a channel.
func (s *socket) joined(channel string) {
	s.t.Helper()
	for f := s.stored(); f.Kind != "member.joined" || f.ChannelID != channel || f.UserID != s.hello.UserID; f = s.stored() {
	}
}

// refused sends a frame and answers the code that it is refused with. It need not be valid by the document.
func (s *socket) refused(fields map[string]any) string {
	s.t.Helper()
	if _, ok := fields["ref"]; !ok {
		fields["ref"] = newMsgID()
	}
	text := s.sendAnyhow(fields)
	for {
		f := s.next()
		switch {
		case f.Type == "error" && f.Ref == fields["ref"]:
			_ = watched().note(wiretest.FromClient, fmt.Sprint(fields["type"]), text) // that it is not valid may be why
			return f.Code
		case f.Type == "ack" || f.Type == "message.ack":
			s.t.Fatalf("%v was taken: %s", fields, f.raw)
		}
	}
}

// cut breaks the connection without a word, as a lost network does.
func (s *socket) cut() {
	if tcp, ok := s.c.Conn().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset, not an end
	}
	_ = s.c.Conn().Close()
}

// checkOrder fails when frames do not rise in seq, or when the chain of a channel in it has a hole. A chain is
// followed from the first frame of its channel on, and anew from where the reader, with id, joins.
func checkOrder(t *testing.T, who, id string, frames []frame) {
	t.Helper()
	last, heads := uint64(0), map[string]uint64{}
	for _, f := range frames {
		if f.Seq <= last {
			t.Errorf("%s: after %d came %s", who, last, f.raw)
		}
		last = f.Seq
		joined := f.Kind == "member.joined" && f.UserID == id
		if head, known := heads[f.ChannelID]; known && !joined && f.Prev != head {
			t.Errorf("%s: the chain of the channel stands at %d, then came %s", who, head, f.raw)
		}
		heads[f.ChannelID] = f.Seq
	}
}
