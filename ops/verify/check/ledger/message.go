package ledger

import (
	"cmp"
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// Message is a message with everything that was done to it.
type Message struct {
	record.Event                // of the post; when it was Erased, what is known of it
	Edits        []record.Event // in rising seq; also those after a delete, which count for nothing
	Deleted      int64          // seq of the first delete; 0: it was not
	Reactions    []string       // that stand after all: «emoji user-id», sorted

	standing map[string]bool
}

// Shown is the message as every view must show it after all.
func (m *Message) Shown() record.Message {
	shown := record.Message{Seq: m.Seq, Sender: m.Sender, ID: m.ID, Thread: m.Thread}
	if m.Deleted != 0 {
		shown.Deleted = true
		return shown
	}
	shown.Body, shown.Reactions = m.Body, m.Reactions
	if n := len(m.Edits); n > 0 {
		shown.Body, shown.Edited = m.Edits[n-1].Body, true
	}
	return shown
}

// Nameless reports whether nothing but the place of a deleted message is known: not who posted it, and as what.
func (m *Message) Nameless() bool { return m.Erased && m.Sender == "" }

// Has reports whether a text is one that the message had at some time.
func (m *Message) Has(body string) bool {
	return body == m.Body && !m.Erased || slices.ContainsFunc(m.Edits, func(e record.Event) bool { return e.Body == body && !e.Erased })
}

// Message is the message of a seq.
func (l *Ledger) Message(space string, seq int64) (*Message, bool) {
	s := l.spaces[space]
	if s == nil {
		return nil, false
	}
	m, found := s.messages[seq]
	return m, found
}

// Messages are the seqs of a workspace's messages, rising. The caller does not change them.
func (l *Ledger) Messages(space string) []int64 {
	if s := l.spaces[space]; s != nil {
		return s.order
	}
	return nil
}

// message notes what an event does to a message. What is about no message of its channel does nothing.
func (s *space) message(kind event.Kind, e record.Event) {
	if kind == event.MessagePosted {
		s.messages[e.Seq] = &Message{Event: e}
		s.order = append(s.order, e.Seq)
		return
	}
	m := s.messages[e.Message]
	if m == nil || m.Channel != e.Channel {
		return
	}
	switch kind {
	case event.MessageEdited:
		m.Edits = append(m.Edits, e)
	case event.MessageDeleted:
		if m.Deleted == 0 {
			m.Deleted = e.Seq
		}
	case event.ReactionAdded, event.ReactionRemoved:
		if m.standing == nil {
			m.standing = map[string]bool{}
		}
		m.standing[e.Emoji+" "+e.Sender] = kind == event.ReactionAdded
	}
}

// settle says which reactions stand.
func (m *Message) settle() {
	for r, there := range m.standing {
		if there {
			m.Reactions = append(m.Reactions, r)
		}
	}
	slices.Sort(m.Reactions)
	m.standing = nil
}

// holes is what a record knows of the seqs of one workspace that a delete may have taken out of its log.
type holes struct {
	deleted map[int64]record.Event // the first delete of a message, by its seq
	there   map[int64]int          // where the log has an event; -1: where a hole was filled
}

// fillHoles puts what was erased back where it stood, as far as it is known: from the deletes, which are in the log, and from what
// was answered and told of the posts and edits.
func (l *Ledger) fillHoles(r *record.Record) {
	all := map[string]*holes{}
	for id, s := range l.spaces {
		h := &holes{deleted: map[int64]record.Event{}, there: make(map[int64]int, len(s.events))}
		for i, e := range s.events {
			if _, double := h.there[e.Seq]; !double {
				h.there[e.Seq] = i
			}
			if event.Kind(e.Kind) == event.MessageDeleted {
				if d, twice := h.deleted[e.Message]; !twice || e.Seq < d.Seq {
					h.deleted[e.Message] = e
				}
			}
		}
		all[id] = h
	}
	for _, op := range r.Ops {
		if op.Outcome != record.OK || op.Seq == 0 {
			continue
		}
		e := record.Event{Space: cmp.Or(op.Workspace, l.home[op.Who]), Seq: op.Seq, Channel: op.Channel, Sender: l.UserID(op.Who)}
		switch op.F {
		case record.Send:
			e.Kind, e.ID, e.Thread = string(event.MessagePosted), op.ID, op.Thread
		case record.Edit:
			e.Kind, e.Message = string(event.MessageEdited), op.Message
		default:
			continue
		}
		l.fill(all[e.Space], e)
	}
	for _, t := range r.Told {
		e := record.Event{Space: l.home[t.Who], Seq: t.Seq, Channel: t.Channel, Sender: t.Sender, ID: t.ID, Thread: t.Thread, Message: t.Message}
		switch {
		case t.T == record.Posted:
			e.Kind = string(event.MessagePosted)
		case t.T == record.Changed && event.Kind(t.Kind) == event.MessageEdited:
			e.Kind = t.Kind
		default:
			continue
		}
		l.fill(all[e.Space], e)
	}
	l.fillRest(all)
}

// fill puts an event where the log has none, or nothing but a place, if a later delete explains that.
func (l *Ledger) fill(h *holes, e record.Event) {
	if h == nil {
		return
	}
	message := e.Message
	if event.Kind(e.Kind) == event.MessagePosted {
		message = e.Seq
	}
	d, deleted := h.deleted[message]
	if !deleted || d.Channel != e.Channel || message <= 0 || message > e.Seq {
		return
	}
	s := l.spaces[e.Space]
	e.Source, e.Epoch, e.Erased = Stream, d.Epoch, true
	switch i, there := h.there[e.Seq]; {
	case !there:
		h.there[e.Seq] = -1
		s.events = append(s.events, e)
	case i >= 0 && s.events[i].Erased && s.events[i].Sender == "":
		s.events[i], h.there[e.Seq] = e, -1
	}
}

// fillRest puts in the posts of which nothing but their delete is known.
func (l *Ledger) fillRest(all map[string]*holes) {
	for id, h := range all {
		for message, d := range h.deleted {
			if message > 0 && message < d.Seq {
				l.fill(h, record.Event{Space: id, Kind: string(event.MessagePosted), Seq: message, Channel: d.Channel})
			}
		}
	}
}
