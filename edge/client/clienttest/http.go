package clienttest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

const (
	ok      = 200
	created = 201
)

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone fails its test by itself
}

// handler answers a request of a user.
type handler func(r *http.Request, by chat.UserID) (any, error)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /token/refresh", s.refresh)
	mux.HandleFunc("GET /socket", s.socket)
	for pattern, h := range map[string]handler{
		"GET /me": func(_ *http.Request, by chat.UserID) (any, error) { return s.me(by), nil },
		"GET /workspaces": func(_ *http.Request, by chat.UserID) (any, error) {
			return rest.WorkspaceList{Workspaces: s.me(by).Workspaces}, nil
		},
		"GET /workspaces/{w}/members":              s.listMembers,
		"GET /workspaces/{w}/channels":             s.listChannels,
		"GET /workspaces/{w}/read":                 s.listReads,
		"POST /channels/{c}/read":                  s.markRead,
		"POST /workspaces/{w}/channels":            s.createChannel,
		"POST /workspaces/{w}/dms":                 s.openDirect,
		"POST /workspaces/{w}/invites":             s.invite,
		"GET /channels/{c}":                        s.channel,
		"PATCH /channels/{c}":                      s.editChannel,
		"GET /channels/{c}/members":                s.listMembers,
		"POST /channels/{c}/join":                  s.join,
		"POST /channels/{c}/leave":                 s.leave,
		"GET /channels/{c}/messages":               s.history,
		"GET /channels/{c}/messages/{seq}/replies": s.history,
		"POST /channels/{c}/messages":              s.post,
		"POST /logout":                             func(*http.Request, chat.UserID) (any, error) { clear(s.tokens); return struct{}{}, nil },
	} {
		mux.HandleFunc(pattern, s.signedIn(h))
	}
	return mux
}

func (s *Server) signedIn(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Method+" "+r.URL.Path)
		by, known := s.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !known {
			problem(w, errUnauthenticated)
			return
		}
		out, err := h(r, by)
		if err != nil {
			problem(w, err)
			return
		}
		answer(w, ok, out)
	}
}

func read[T any](r *http.Request) (in T, err error) {
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return in, fault.New(fault.Invalid, "%v", err)
	}
	return in, nil
}

func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	in, err := read[rest.Login](r)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.users, func(u rest.User) bool { return u.Login == in.Login })
	if err != nil || i < 0 || in.Password != Password {
		problem(w, fault.New(fault.Unauthenticated, "wrong login or password"))
		return
	}
	me := s.me(s.users[i].ID)
	answer(w, ok, rest.SignedIn{Tokens: s.issue(me.User.ID), User: me.User, Workspaces: me.Workspaces})
}

func (s *Server) refresh(w http.ResponseWriter, r *http.Request) {
	in, err := read[rest.Refresh](r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	user, known := s.tokens[in.RefreshToken]
	if err != nil || !known {
		problem(w, errUnauthenticated)
		return
	}
	delete(s.tokens, in.RefreshToken)
	answer(w, ok, s.issue(user))
}

func (s *Server) me(id chat.UserID) rest.Me {
	me := rest.Me{Workspaces: []rest.Workspace{{ID: Workspace, Name: "Demo", Role: chat.RoleMember}}}
	for _, u := range s.users {
		if u.ID == id {
			me.User = u
		}
	}
	return me
}

func (s *Server) listMembers(r *http.Request, _ chat.UserID) (any, error) {
	var list rest.MemberList
	in, bounded := s.members[chat.ChannelID(r.PathValue("c"))]
	for _, u := range s.users {
		if !bounded || slices.Contains(in, u.ID) {
			list.Members = append(list.Members, rest.Member{UserID: u.ID, Login: u.Login, DisplayName: u.DisplayName, Role: chat.RoleMember})
		}
	}
	return list, nil
}

// listChannels gives one a page, so that every client pages.
func (s *Server) listChannels(r *http.Request, by chat.UserID) (any, error) {
	at, _ := strconv.Atoi(r.URL.Query().Get("cursor")) // none is the beginning
	list := rest.ChannelList{Channels: []rest.Channel{s.as(s.channels[at], by)}}
	if at+1 < len(s.channels) {
		list.NextCursor = strconv.Itoa(at + 1)
	}
	return list, nil
}

func (s *Server) as(c rest.Channel, by chat.UserID) rest.Channel {
	c.Joined = slices.Contains(s.members[c.ID], by)
	return c
}

func (s *Server) channel(r *http.Request, by chat.UserID) (any, error) {
	for _, c := range s.channels {
		if string(c.ID) == r.PathValue("c") {
			return s.as(c, by), nil
		}
	}
	return nil, fault.New(fault.NotFound, "there is no such channel among yours")
}

func (s *Server) createChannel(r *http.Request, by chat.UserID) (any, error) {
	in, err := read[rest.NewChannel](r)
	if err != nil {
		return nil, err
	}
	return s.add(rest.Channel{Name: in.Name, Topic: in.Topic, Type: chat.ChannelPublic}, by), nil
}

func (s *Server) openDirect(r *http.Request, by chat.UserID) (any, error) {
	in, err := read[rest.NewDirect](r)
	if err != nil {
		return nil, err
	}
	for _, c := range s.channels {
		if c.Type == chat.ChannelDM {
			return s.as(c, by), nil
		}
	}
	return s.add(rest.Channel{Type: chat.ChannelDM}, append(in.UserIDs, by)...), nil
}

func (s *Server) add(c rest.Channel, with ...chat.UserID) rest.Channel {
	by := with[len(with)-1]
	c.ID, c.WorkspaceID = chat.ChannelID("c"+strconv.Itoa(len(s.channels)+1)), Workspace
	c.CreatorID, c.CreatedAt = by, rest.Time(Start)
	s.channels = append(s.channels, c)
	s.members[c.ID] = nil
	s.store(event.Event{Kind: event.ChannelCreated, ChannelID: c.ID, SenderID: by, Channel: state(c)})
	for _, user := range with {
		s.store(event.Event{Kind: event.MemberJoined, ChannelID: c.ID, SenderID: by, UserID: user, Role: chat.RoleMember})
	}
	return s.as(c, by)
}

func (s *Server) editChannel(r *http.Request, by chat.UserID) (any, error) {
	in, err := read[rest.EditChannel](r)
	if err != nil || in.Topic == nil {
		return nil, fault.New(fault.Invalid, "a topic")
	}
	found, err := s.channel(r, by)
	if err != nil {
		return nil, err
	}
	c := found.(rest.Channel)
	c.Topic = *in.Topic
	s.store(event.Event{Kind: event.ChannelUpdated, ChannelID: c.ID, SenderID: by, Channel: state(c)})
	return c, nil
}

func (s *Server) join(r *http.Request, by chat.UserID) (any, error) {
	id := chat.ChannelID(r.PathValue("c"))
	if !slices.Contains(s.members[id], by) {
		s.store(event.Event{Kind: event.MemberJoined, ChannelID: id, SenderID: by, UserID: by, Role: chat.RoleMember})
	}
	return s.channel(r, by)
}

func (s *Server) leave(r *http.Request, by chat.UserID) (any, error) {
	s.store(event.Event{Kind: event.MemberLeft, ChannelID: chat.ChannelID(r.PathValue("c")), SenderID: by, UserID: by})
	return struct{}{}, nil
}

func (s *Server) invite(*http.Request, chat.UserID) (any, error) {
	return rest.Invite{ID: "i1", Code: "code1", URL: s.URL + "/invites/code1", Role: chat.RoleMember, ExpiresAt: rest.Time(Start.Add(168 * time.Hour)), MaxUses: 1}, nil
}

func (s *Server) post(r *http.Request, by chat.UserID) (any, error) {
	in, err := read[rest.NewMessage](r)
	if err != nil {
		return nil, err
	}
	if len(s.refuse) > 0 {
		err, s.refuse = s.refuse[0], s.refuse[1:]
		return nil, err
	}
	c := event.Change{ClientMsgID: in.ClientMsgID, ChannelID: chat.ChannelID(r.PathValue("c")), Epoch: epoch}
	seq, duplicate := s.sends[in.ClientMsgID]
	if !duplicate {
		seq = s.store(event.Event{Kind: event.MessagePosted, ChannelID: c.ChannelID, SenderID: by, ClientMsgID: in.ClientMsgID, Body: in.Body, Thread: in.Thread})
		s.sends[in.ClientMsgID] = seq
	}
	return rest.AckOf(c, event.Receipt{Seq: seq, At: Start, Duplicate: duplicate}), nil
}
