// Package clienttest is a deployment in memory, for the tests of programs that are written with edge/client: two people,
// a workspace with a few channels, one log, REST and sockets on loopback. It can do what a real one does on a bad day:
// lose frames, cut sockets, refuse sends, forget tokens.
//
// It keeps the protocol of DESIGN §9 by the server's own formats (schemas/*), so a client that gets along with it
// reads the same bytes as it would elsewhere. It promises nothing about speed, checks little of what it is told, and
// knows no permissions.
package clienttest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/wire"
)

// What is there from the start. Everybody's password is Password.
const (
	Password                   = "correct horse"
	Workspace chat.WorkspaceID = "w1"
	Alice     chat.UserID      = "alice1"
	Bob       chat.UserID      = "bob1"
	General   chat.ChannelID   = "c1" // public, with both of them
	Plans     chat.ChannelID   = "c2" // public, with bob
	epoch                      = 1
)

// Start is the time of the log's first event; each later one comes a second after the one before it.
var Start = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// Server is a deployment. Its methods may be called from any goroutine.
type Server struct {
	URL string

	t  testing.TB
	mu sync.Mutex // guards everything below

	users    []rest.User
	channels []rest.Channel
	members  map[chat.ChannelID][]chat.UserID
	log      []stored
	sends    map[chat.ClientMsgID]chat.Seq
	sockets  []*socket
	tokens   map[string]chat.UserID // access and refresh tokens that are good
	issued   int
	lifetime time.Duration
	joined   map[seat]chat.Seq // the joining that lasts, if the log has it
	reads    map[seat]chat.Seq // up to where channels are read
	confirms map[chat.UserID]chat.Seq
	seen     []string // the frames of clients
	asked    []string // the requests of clients

	lose   int            // of the next stored events, how many reach nobody
	mute   int            // of the next sends, how many are stored and cut instead of answered
	refuse []*fault.Error // answers to the next frames that want to store something
}

type stored struct {
	event.Event
	place   wire.Place
	payload []byte
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{
		t: t, members: map[chat.ChannelID][]chat.UserID{General: {Alice, Bob}, Plans: {Bob}},
		joined: map[seat]chat.Seq{}, reads: map[seat]chat.Seq{}, confirms: map[chat.UserID]chat.Seq{},
		sends: map[chat.ClientMsgID]chat.Seq{}, tokens: map[string]chat.UserID{}, lifetime: time.Hour,
		users: []rest.User{{ID: Alice, Login: "alice", DisplayName: "Alice"}, {ID: Bob, Login: "bob", DisplayName: "Bob"}},
	}
	for _, c := range []rest.Channel{{ID: General, Name: "general", CreatorID: Alice}, {ID: Plans, Name: "plans", CreatorID: Bob}} {
		c.WorkspaceID, c.Type, c.CreatedAt = Workspace, chat.ChannelPublic, rest.Time(Start)
		s.channels = append(s.channels, c)
		s.Store(event.Event{Kind: event.ChannelCreated, ChannelID: c.ID, SenderID: c.CreatorID, Channel: state(c)})
	}
	h := httptest.NewServer(s.routes())
	s.URL = h.URL
	t.Cleanup(func() {
		s.Cut(fault.CloseNormal)
		h.Close()
	})
	return s
}

func state(c rest.Channel) *event.ChannelState {
	return &event.ChannelState{Name: c.Name, Type: c.Type, Topic: c.Topic, CreatorID: c.CreatorID}
}

// Say stores a message and tells it.
func (s *Server) Say(by chat.UserID, ch chat.ChannelID, body string) chat.Seq {
	return s.Store(event.Event{Kind: event.MessagePosted, ChannelID: ch, SenderID: by, ClientMsgID: "m", Body: body})
}

// Store stores an event and tells it to all who are in its channel.
func (s *Server) Store(e event.Event) chat.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store(e)
}

func (s *Server) store(e event.Event) chat.Seq {
	e.Epoch = epoch
	payload, err := event.Encode(e)
	if err != nil {
		s.t.Errorf("clienttest: %v", err)
		return 0
	}
	// Seqs have holes: the stream holds other workspaces.
	n := chat.Seq(len(s.log))
	entry := stored{Event: e, payload: payload, place: wire.Place{
		Epoch: epoch, ChannelID: e.ChannelID, Seq: 2*n + 2, At: Start.Add(time.Duration(n) * time.Second),
	}}
	for _, before := range slices.Backward(s.log) {
		if before.ChannelID == e.ChannelID {
			entry.place.Prev = before.place.Seq
			break
		}
	}
	s.log = append(s.log, entry)
	s.apply(e, entry.place.Seq)
	if s.lose > 0 {
		s.lose--
		return entry.place.Seq
	}
	for _, to := range s.sockets {
		if s.sees(to.user, &entry) {
			to.write(wire.AppendStored(nil, entry.place, e.Kind, payload))
		}
	}
	return entry.place.Seq
}

// apply changes who is where.
func (s *Server) apply(e event.Event, seq chat.Seq) {
	in := s.members[e.ChannelID]
	switch i := slices.Index(in, e.UserID); {
	case e.Kind == event.MemberJoined && i < 0:
		s.members[e.ChannelID] = append(in, e.UserID)
		s.joined[seat{e.ChannelID, e.UserID}] = seq
	case e.Kind == event.MemberLeft && i >= 0:
		s.members[e.ChannelID] = slices.Delete(slices.Clone(in), i, i+1)
	}
	if e.Channel == nil {
		return
	}
	for i := range s.channels {
		if c := &s.channels[i]; c.ID == e.ChannelID {
			c.Name, c.Topic, c.Archived = e.Channel.Name, e.Channel.Topic, e.Kind == event.ChannelArchived
		}
	}
}

func (s *Server) sees(user chat.UserID, e *stored) bool {
	return e.ChannelID == "" || e.UserID == user || e.Channel != nil && e.Channel.Type == chat.ChannelPublic || slices.Contains(s.members[e.ChannelID], user)
}

// Lose lets the next n events be stored and reach nobody.
func (s *Server) Lose(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.lose = n }

// Mute lets the next n sends be stored, and their sockets be cut instead of answered.
func (s *Server) Mute(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.mute = n }

// Refuse answers the next frames that want to store something with these failures, one each.
func (s *Server) Refuse(with ...*fault.Error) { s.mu.Lock(); defer s.mu.Unlock(); s.refuse = with }

// Forget makes all access tokens invalid; those who sign in from now on get some that live for d.
func (s *Server) Forget(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
	for token := range s.tokens {
		if token[0] == 'a' {
			delete(s.tokens, token)
		}
	}
}

// Cut closes all sockets with that code of WebSocket.
func (s *Server) Cut(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.sockets {
		to.end(code)
	}
	s.sockets = nil
}

// Tell writes a frame to all sockets as it is.
func (s *Server) Tell(frame string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.sockets {
		to.write([]byte(frame))
	}
}

// Seen are the frames of clients so far.
func (s *Server) Seen() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.seen) }

// Asked are the requests of clients so far, as "GET /me"; without sockets.
func (s *Server) Asked() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.asked) }

// Messages are the bodies of all messages of a channel, oldest first.
func (s *Server) Messages(ch chat.ChannelID) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, m := range s.fold(ch) {
		all = append(all, m.Body)
	}
	return all
}

// Until waits in a test until something is so.
func (s *Server) Until(what string, so func() bool) {
	s.t.Helper()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(20 * time.Second)
	for !so() {
		select {
		case <-again.C:
		case <-deadline:
			s.t.Fatalf("clienttest: it never came to this: %s", what)
		}
	}
}

func problem(w http.ResponseWriter, err error) {
	p := rest.ProblemOf(err)
	w.Header().Set("X-Request-Id", "request1")
	answer(w, p.Status, p)
}

var errUnauthenticated = fault.New(fault.Unauthenticated, "sign in first")

func (s *Server) issue(user chat.UserID) rest.Tokens {
	s.issued++
	t := rest.Tokens{Token: fmt.Sprint("a", s.issued), RefreshToken: fmt.Sprint("r", s.issued), ExpiresIn: int64(s.lifetime / time.Second), SessionID: "s1"}
	s.tokens[t.Token], s.tokens[t.RefreshToken] = user, user
	return t
}

// rules are those of a server that no page uses.
var rules = wsconn.Rules{}
