package store

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Target names the message that an event is about: the row that it is written to.
type Target struct {
	ChannelID chat.ChannelID
	Seq       chat.Seq
}

// TargetOf is the message that e posts or changes. It is false for kinds that change no message, and for
// those that this build does not know.
func TargetOf(e *event.Stored) (Target, bool) {
	if !e.Known() {
		return Target{}, false
	}
	switch e.Kind {
	case event.MessagePosted:
		return Target{e.ChannelID, e.Seq}, true
	case event.MessageEdited, event.MessageDeleted, event.ReactionAdded, event.ReactionRemoved,
		event.PinAdded, event.PinRemoved:
		return Target{e.ChannelID, e.MessageSeq}, true
	}
	return Target{}, false
}

// DeleteBit is set in the version that a delete writes a message's text under. It is above every version
// that comes from the log, so that the delete dominates also an edit that was stored after it.
const DeleteBit chat.Version = 1 << 62

// TextVersion is the version that e writes a message's text under: its own, with DeleteBit for a delete.
func TextVersion(e *event.Stored) chat.Version {
	if e.Kind == event.MessageDeleted {
		return e.Version() | DeleteBit
	}
	return e.Version()
}

// State is one message on its way to its end state: what a row of a Messages store holds, with the
// versions. Events may be applied in any order and any number of times; the same set of events gives the
// same message. The zero State is ready; the first event decides which message it is.
type State struct {
	target    Target
	posted    bool
	message   chat.Message           // what the post wrote, and the text of the newest event that wrote one
	text      chat.Version           // of Body, EditedAt and Deleted
	pin       chat.Version           // of Pinned
	left      *chat.Message          // what a delete says of the post; nil: none said it
	reactions map[[2]string]standing // by emoji and user
}

// standing is whether a reaction stands, by the event of version.
type standing struct {
	version chat.Version
	there   bool
}

// Apply takes one event in. An event that is not about the message changes nothing.
func (s *State) Apply(e event.Stored) {
	target, ok := TargetOf(&e)
	if !ok || (s.target != Target{} && s.target != target) {
		return
	}
	s.target = target
	v := e.Version()
	switch e.Kind {
	case event.MessagePosted:
		s.post(&e)
	case event.MessageEdited, event.MessageDeleted:
		if tv := TextVersion(&e); tv > s.text {
			s.text, s.message.Body, s.message.EditedAt = tv, e.Body, e.At
		}
		s.noteLeft(&e)
	case event.PinAdded, event.PinRemoved:
		if v > s.pin {
			s.pin, s.message.Pinned = v, e.Kind == event.PinAdded
		}
	case event.ReactionAdded, event.ReactionRemoved:
		s.react([2]string{e.Emoji, string(e.SenderID)}, standing{v, e.Kind == event.ReactionAdded})
	}
}

// post writes what only a post knows. There is one post of a seq, so that a second one is the first again.
func (s *State) post(e *event.Stored) {
	if s.posted {
		return
	}
	s.posted = true
	m := &s.message
	m.ChannelID, m.Seq, m.Epoch = e.ChannelID, e.Seq, e.Epoch
	m.SenderID, m.ClientMsgID, m.Thread = e.SenderID, e.ClientMsgID, e.Thread
	m.Attachments, m.PostedAt = slices.Clone(e.Attachments), e.At
	if v := e.Version(); v > s.text {
		s.text, m.Body, m.EditedAt = v, e.Body, time.Time{}
	}
}

// noteLeft keeps what a delete says of the post.
func (s *State) noteLeft(e *event.Stored) {
	if p := e.Post; p != nil && e.Kind == event.MessageDeleted {
		s.left = &chat.Message{
			ChannelID: e.ChannelID, Seq: e.MessageSeq, Epoch: p.Epoch,
			SenderID: p.SenderID, ClientMsgID: p.ClientMsgID, Thread: p.Thread, PostedAt: p.At,
		}
	}
}

func (s *State) react(p [2]string, r standing) {
	if s.reactions == nil {
		s.reactions = map[[2]string]standing{}
	}
	if old, ok := s.reactions[p]; !ok || r.version > old.version {
		s.reactions[p] = r
	}
}

// Message is the message as a reader gets it. It is false while the post is missing.
func (s *State) Message() (chat.Message, bool) {
	if !s.posted {
		return chat.Message{}, false
	}
	m := s.message
	if s.text >= DeleteBit {
		return Erased(m), true
	}
	m.Attachments = slices.Clone(m.Attachments)
	m.Reactions = s.standingReactions()
	return m, true
}

// shown is the message as far as a log alone tells it: of one whose post was erased from the log, what its delete says is left.
func (s *State) shown() (chat.Message, bool) {
	if !s.posted && s.left != nil {
		return Erased(*s.left), true
	}
	return s.Message()
}

// Erased is what is left of a deleted message: who posted it, when, where and under which client_msg_id.
func Erased(m chat.Message) chat.Message {
	return chat.Message{
		ChannelID: m.ChannelID, Seq: m.Seq, Epoch: m.Epoch,
		SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Thread: m.Thread,
		PostedAt: m.PostedAt, Deleted: true,
	}
}

// standingReactions is the first chat.MaxReactions pairs, sorted by emoji and user.
func (s *State) standingReactions() []chat.Reaction {
	pairs := make([][2]string, 0, len(s.reactions))
	for p, r := range s.reactions {
		if r.there {
			pairs = append(pairs, p)
		}
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	return GroupReactions(pairs[:min(len(pairs), chat.MaxReactions)])
}

// GroupReactions makes a message's reactions of pairs of an emoji and a user's id, sorted by both.
func GroupReactions(pairs [][2]string) []chat.Reaction {
	var out []chat.Reaction
	for _, p := range pairs {
		if n := len(out); n == 0 || out[n-1].Emoji != p[0] {
			out = append(out, chat.Reaction{Emoji: p[0]})
		}
		last := &out[len(out)-1]
		last.UserIDs = append(last.UserIDs, chat.UserID(p[1]))
	}
	return out
}

// stateOf starts from a message as a store gave it, whose versions are not known: it is older than
// every event that is applied to it, except that a delete still dominates.
func stateOf(m chat.Message) *State {
	s := &State{target: Target{m.ChannelID, m.Seq}, posted: true, message: m, reactions: map[[2]string]standing{}}
	if m.Deleted {
		s.text = math.MaxInt64 // above every event, also another delete
	}
	for _, r := range m.Reactions {
		for _, user := range r.UserIDs {
			s.reactions[[2]string{r.Emoji, string(user)}] = standing{there: true}
		}
	}
	return s
}

// Overlay lays the end of a channel's log over messages that a store gave, newest first, and returns all of
// them as they are after the log's last event, newest first, with the posts of tail. It changes no argument.
//
// The tail is every event of the channel, in the log's order, from a position that the store had reached before
// the page was read (Progress), up to the log's end as it was after the page was read. The store may
// have applied any part of it. What tail says of a message that is neither on the page nor
// posted in tail is left out, unless tail deletes it and says what is left of it (event.PostState): its post may have been erased
// from the log between the two. So there may be deleted messages from before the tail. Of a message with more than chat.MaxReactions reactions, a removal in tail does not
// bring those back that the page had no room for.
func Overlay(page []chat.Message, tail []event.Stored) []chat.Message {
	states := make(map[Target]*State, len(page)+len(tail))
	for _, m := range page {
		states[Target{m.ChannelID, m.Seq}] = stateOf(m)
	}
	for i := range tail {
		target, ok := TargetOf(&tail[i])
		if !ok {
			continue
		}
		s := states[target]
		if s == nil {
			s = new(State)
			states[target] = s
		}
		s.Apply(tail[i])
	}
	out := make([]chat.Message, 0, len(states))
	for _, s := range states {
		if m, ok := s.shown(); ok {
			out = append(out, m)
		}
	}
	slices.SortFunc(out, func(a, b chat.Message) int { return cmp.Compare(b.Seq, a.Seq) })
	return out
}

// Overlay is the page that q would have read had the store applied all of tail, which is as for the function
// Overlay. It cuts to q's borders and limit again, because posts of the tail may push others off the page.
func (q PageQuery) Overlay(p Page, tail []event.Stored) Page {
	messages := slices.DeleteFunc(Overlay(p.Messages, tail), func(m chat.Message) bool { return !q.holds(m) })
	older, newer := messages, messages[len(messages):]
	keepOlder, keepNewer := q.Limit, 0
	switch {
	case q.After != 0:
		older, newer = messages[:0], messages
		keepOlder, keepNewer = 0, q.Limit
	case q.Around != 0:
		i, _ := slices.BinarySearchFunc(messages, q.Around, func(m chat.Message, around chat.Seq) int {
			return cmp.Compare(around, m.Seq)
		})
		newer, older = messages[:i], messages[i:]
		keepOlder, keepNewer = q.Halves()
	}
	more := len(older) > keepOlder
	if q.After != 0 {
		more = len(newer) > keepNewer
	}
	newer = newer[max(0, len(newer)-keepNewer):]
	older = older[:min(len(older), keepOlder)]
	return Page{Messages: append(slices.Clone(newer), older...), HasMore: p.HasMore || more}
}

// holds reports whether m lies within q's channel, thread and borders.
func (q PageQuery) holds(m chat.Message) bool {
	return m.ChannelID == q.ChannelID &&
		(q.Thread == 0 || m.Thread == q.Thread) &&
		(q.Before == 0 || m.Seq < q.Before) &&
		(q.After == 0 || m.Seq > q.After)
}
