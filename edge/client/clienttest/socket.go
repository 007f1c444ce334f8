package clienttest

import (
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// socket is one that is open.
type socket struct {
	user chat.UserID
	conn net.Conn
}

// write sends a frame. A client that takes nothing is the test's to notice.
func (to *socket) write(frame []byte) {
	_ = to.conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // as above
	_, _ = to.conn.Write(wsconn.AppendText(nil, frame))           // as above
}

func (to *socket) end(code int) {
	_, _ = to.conn.Write(wsconn.AppendClose(nil, code, "")) // it may have gone
	_ = to.conn.Close()                                     // it may have gone
}

func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	credential, _ := wsconn.Credentials(r)
	s.mu.Lock()
	user, known := s.tokens[credential]
	s.mu.Unlock()
	if !known {
		problem(w, errUnauthenticated)
		return
	}
	conn, early, err := wsconn.Upgrade(w, r, rules)
	if err != nil {
		problem(w, err)
		return
	}
	defer func() { _ = conn.Close() }() // Cut may have been first
	to := &socket{user: user, conn: conn}
	s.open(to, r.URL.Query().Get("cursor"))
	var p wsconn.Parser
	buf := append(early, make([]byte, 16<<10)...)
	for n := len(early); ; {
		if err := p.Feed(buf[:n], func(e wsconn.Event) error { s.take(to, e); return nil }); err != nil {
			s.t.Errorf("clienttest: a client sent what is no WebSocket: %v", err)
			break
		}
		if n, err = conn.Read(buf); err != nil {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets = slices.DeleteFunc(s.sockets, func(other *socket) bool { return other == to })
}

// open says hello and tells what came after the cursor.
func (s *Server) open(to *socket, cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hello := wire.Hello{SessionID: "s1", UserID: to.user, WorkspaceID: Workspace, Epoch: epoch, Heartbeat: 30 * time.Second}
	if len(s.log) > 0 {
		hello.Head = s.log[len(s.log)-1].place.Seq
	}
	at, err := chat.ParseCursor(cursor)
	hello.Resumed = err == nil && at.Epoch == epoch
	to.write(wire.AppendHello(nil, hello))
	if cursor != "" && !hello.Resumed {
		to.write(wire.AppendResync(nil, wire.ResyncEpoch, hello.Head))
	}
	for _, e := range s.log {
		if hello.Resumed && e.place.Seq > at.Seq && s.sees(to.user, &e) {
			to.write(wire.AppendStored(nil, e.place, e.Kind, e.payload))
		}
	}
	s.sockets = append(s.sockets, to)
}

// take answers a frame.
func (s *Server) take(to *socket, e wsconn.Event) {
	if e.Kind != wsconn.Text {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, string(e.Payload))
	in, err := wire.Parse(e.Payload)
	if err == nil && (in.Kind() != "" || in.Type == wire.CursorRead) && len(s.refuse) > 0 {
		err, s.refuse = s.refuse[0], s.refuse[1:]
	}
	if err != nil {
		to.write(wire.AppendError(nil, err, &in))
		return
	}
	switch in.Type {
	case wire.Ping:
		to.write(wire.AppendPong(nil, in.Ref))
	case wire.MessageSend:
		s.send(to, in)
	case wire.TypingStart:
		for _, other := range s.sockets {
			if other.user != to.user {
				other.write(wire.AppendTyping(nil, in.ChannelID, to.user))
			}
		}
	case wire.PresenceSet:
		for _, other := range s.sockets {
			ref := in.Ref
			if other != to {
				ref = nil
			}
			other.write(wire.AppendPresence(nil, to.user, chat.Presence{Status: in.Status, Text: in.Text}, ref))
		}
	case wire.PresenceQuery:
		for _, id := range in.UserIDs {
			to.write(wire.AppendPresence(nil, id, chat.Presence{Status: s.status(id)}, in.Ref))
		}
	case wire.CursorRead:
		to.write(wire.AppendRead(nil, in.ChannelID, s.read(to.user, in.ChannelID, in.Seq, to), in.Ref))
	case wire.CursorDelivered:
		s.confirms[to.user] = max(s.confirms[to.user], in.Seq)
	default:
		seq := s.store(event.Event{
			Kind: in.Kind(), ChannelID: in.ChannelID, SenderID: to.user, MessageSeq: in.Seq, Body: in.Body, Emoji: in.Emoji,
		})
		to.write(wire.AppendAck(nil, in.Ref, seq))
	}
}

func (s *Server) status(id chat.UserID) chat.Status {
	if slices.ContainsFunc(s.sockets, func(o *socket) bool { return o.user == id }) {
		return chat.StatusOnline
	}
	return chat.StatusOffline
}

func (s *Server) send(to *socket, in wire.Inbound) {
	seq, duplicate := s.sends[in.ClientMsgID]
	if !duplicate {
		seq = s.store(event.Event{
			Kind: event.MessagePosted, ChannelID: in.ChannelID, SenderID: to.user, ClientMsgID: in.ClientMsgID, Body: in.Body, Thread: in.Thread,
		})
		s.sends[in.ClientMsgID] = seq
	}
	if s.mute > 0 {
		s.mute--
		to.end(fault.CloseGoingAway)
		return
	}
	ack := wire.Ack{ClientMsgID: in.ClientMsgID, ChannelID: in.ChannelID, Epoch: epoch, Seq: seq, At: s.log[seq/2-1].place.At, Duplicate: duplicate}
	to.write(wire.AppendMessageAck(nil, ack))
}
