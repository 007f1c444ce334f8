package clienttest

import (
	"net/http"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/wire"
)

// seat is a user in a channel.
type seat struct {
	channel chat.ChannelID
	user    chat.UserID
}

// MarkRead says that a user has read a channel, as if on another device, and tells their sockets, unless quietly.
func (s *Server) MarkRead(user chat.UserID, ch chat.ChannelID, seq chat.Seq, quietly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if quietly {
		s.reads[seat{ch, user}] = max(s.reads[seat{ch, user}], seq)
		return
	}
	s.read(user, ch, seq, nil)
}

// Confirmed is the furthest that a user's sockets have confirmed.
func (s *Server) Confirmed(user chat.UserID) chat.Seq {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirms[user]
}

// read moves a mark and tells the user's sockets, but for one. The result is what counts then.
func (s *Server) read(user chat.UserID, ch chat.ChannelID, seq chat.Seq, but *socket) chat.Seq {
	at := seat{ch, user}
	s.reads[at] = max(s.reads[at], min(seq, 2*chat.Seq(len(s.log))))
	for _, to := range s.sockets {
		if to.user == user && to != but {
			to.write(wire.AppendRead(nil, ch, s.reads[at], nil))
		}
	}
	return s.reads[at]
}

func (s *Server) markRead(r *http.Request, by chat.UserID) (any, error) {
	in, err := read[rest.MarkRead](r)
	if err != nil {
		return nil, err
	}
	ch := chat.ChannelID(r.PathValue("c"))
	return rest.ReadCursor{ChannelID: ch, Seq: s.read(by, ch, in.Seq, nil)}, nil
}

// listReads counts by the rule: messages of others, not deleted, after what is read and after the joining.
func (s *Server) listReads(_ *http.Request, by chat.UserID) (any, error) {
	list := rest.ReadCursorList{Cursors: []rest.ReadState{}}
	login := s.me(by).User.Login
	for _, c := range s.channels {
		if !slices.Contains(s.members[c.ID], by) {
			continue
		}
		at := seat{c.ID, by}
		state := rest.ReadState{ChannelID: c.ID, Seq: s.reads[at], JoinedSeq: s.joined[at], Through: 2 * chat.Seq(len(s.log))}
		for _, m := range slices.Backward(s.fold(c.ID)) {
			if m.Seq <= max(state.Seq, state.JoinedSeq) || m.Deleted || m.SenderID == by {
				continue
			}
			u := rest.UnreadMessage{Seq: m.Seq, Mention: c.Type.Direct() || chat.MentionsOf(m.Body).Names(login)}
			state.Messages = append(state.Messages, u)
			if state.Unread++; u.Mention {
				state.Mentions++
			}
		}
		list.Cursors = append(list.Cursors, state)
	}
	return list, nil
}
