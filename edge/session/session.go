package session

import (
	"slices"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Session is one socket's place in a workspace's log.
//
// Invariant: everything up to Cursor that the user may see has been handed to the socket, in order and once,
// or a resync said that it was not.
type Session struct {
	UserID chat.UserID // immutable

	cursor chat.Seq
	role   chat.Role
	in     []Number // the channels that the user is in at the cursor, sorted
}

// Tenure is a time in a channel, by its number.
type Tenure struct {
	Channel Number
	chat.Tenure
}

// Start is a session at a position of the log. tenures are all that had not ended before it; those that
// begin after it come with the log.
func Start(user chat.UserID, role chat.Role, at chat.Seq, tenures []Tenure) Session {
	s := Session{UserID: user, role: role, cursor: at}
	for _, t := range tenures {
		// One that ends at this very event has been seen ending.
		if t.Holds(at) && t.LeftSeq != at {
			s.join(t.Channel)
		}
	}
	s.in = slices.Clip(s.in)
	return s
}

// Role is the user's role in the workspace at the cursor. The log does not say what a role was before it changed: up to
// the first change after its start a session has the role that the Directory knew last.
func (s *Session) Role() chat.Role { return s.role }

// Cursor is the position of the session.
func (s *Session) Cursor() chat.Seq { return s.cursor }

// Move puts the session further on, over entries that are nothing to it.
func (s *Session) Move(to chat.Seq) { s.cursor = max(s.cursor, to) }

// In reports whether the user is in a channel at the cursor.
func (s *Session) In(n Number) bool {
	_, ok := slices.BinarySearch(s.in, n)
	return ok
}

// Channels are the channels that the user is in at the cursor, sorted. The caller does not change them.
func (s *Session) Channels() []Number { return s.in }

// Standing is what the rules need to know of the user towards a channel, at the cursor.
func (s *Session) Standing(n Number, ch Channel) chat.Standing {
	return chat.Standing{Role: s.role, Type: ch.Type, Archived: ch.Archived, InIt: s.In(n)}
}

// Effect is what an entry does to a session that reads it.
type Effect uint8

// The effects.
const (
	Nothing Effect = iota
	Joins          // the user is in the entry's channel from here on
	Leaves         // the user is not in the entry's channel from here on
	Ends           // the user is not in the workspace from here on: the socket closes when it has the frame
)

// Read moves the session over the next entry of the log, whose channel has number n (0 and without meaning
// when it is of the whole workspace). It says whether the user sees the entry, and what it did to the session.
func (s *Session) Read(e *fanout.Entry, n Number) (show bool, effect Effect) {
	s.cursor = e.Seq
	if !e.Event.Known() {
		return s.Sees(e, n), Nothing
	}
	mine := e.Event.UserID == s.UserID
	switch e.Event.Kind {
	case event.MemberJoined:
		if !mine {
			break
		}
		if e.ChannelID == "" {
			s.role = e.Event.Role
			return true, Nothing
		}
		if s.join(n) {
			return true, Joins
		}
		return true, Nothing
	case event.MemberLeft:
		if !mine {
			break
		}
		if e.ChannelID == "" {
			return true, Ends
		}
		if s.leave(n) {
			return true, Leaves
		}
		return false, Nothing
	case event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived:
		// Everybody who could find the channel hears of it, also who is not in it.
		public := e.Event.Channel.Type == chat.ChannelPublic && s.role != chat.RoleGuest
		return public || s.In(n), Nothing
	case event.MemberUpdated:
		if e.ChannelID == "" && mine {
			s.role = e.Event.Role
			return true, Nothing
		}
	case event.WorkspaceUpdated:
		if e.ChannelID == "" {
			return true, Nothing // its name is for guests too
		}
	case event.UserUpdated:
		if e.ChannelID == "" {
			return mine || s.role != chat.RoleGuest, Nothing
		}
	}
	return s.Sees(e, n), Nothing
}

// NewRole is the role in the workspace that an entry gives a user; empty when it gives none.
func NewRole(e *fanout.Entry, user chat.UserID) chat.Role {
	if e.ChannelID != "" || e.Event.UserID != user || !e.Event.Known() {
		return ""
	}
	switch e.Event.Kind {
	case event.MemberJoined, event.MemberUpdated:
		return e.Event.Role
	}
	return ""
}

// Sees is the rule for everything that has no rule of its own in Read, such as what is Plain. It moves nothing.
func (s *Session) Sees(e *fanout.Entry, n Number) bool {
	if e.ChannelID == "" {
		return s.role != chat.RoleGuest
	}
	return s.In(n)
}

// Plain reports whether an entry is seen by just those who are in its channel, and changes nobody: then a
// loop need not ask each session.
func Plain(e *fanout.Entry) bool {
	if e.ChannelID == "" {
		return false
	}
	switch e.Event.Kind {
	case event.MemberJoined, event.MemberLeft, event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived:
		return !e.Event.Known()
	}
	return true
}

func (s *Session) join(n Number) bool {
	i, found := slices.BinarySearch(s.in, n)
	if !found {
		s.in = slices.Insert(s.in, i, n)
	}
	return !found
}

func (s *Session) leave(n Number) bool {
	i, found := slices.BinarySearch(s.in, n)
	if found {
		s.in = slices.Delete(s.in, i, i+1)
	}
	return found
}
