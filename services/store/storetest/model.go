package storetest

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

// Model is what a Messages store must answer: store.State for each message, in memory. It applies the events
// that it is given in their order, once.
type Model struct {
	states map[store.Target]*store.State
	sends  map[store.SendKey]event.Stored // the post of the lowest version
}

// NewModel folds events.
func NewModel(events []event.Stored) *Model {
	m := &Model{states: map[store.Target]*store.State{}, sends: map[store.SendKey]event.Stored{}}
	for _, e := range events {
		target, ok := store.TargetOf(&e)
		if !ok {
			continue
		}
		if m.states[target] == nil {
			m.states[target] = new(store.State)
		}
		m.states[target].Apply(e)
		if e.Kind != event.MessagePosted {
			continue
		}
		if first, ok := m.sends[sendKey(e)]; !ok || e.Version() < first.Version() {
			m.sends[sendKey(e)] = e
		}
	}
	return m
}

// Messages is all messages of a channel or thread, newest first.
func (m *Model) Messages(channel chat.ChannelID, thread chat.Seq) []chat.Message {
	var out []chat.Message
	for target, s := range m.states {
		if msg, ok := s.Message(); ok && target.ChannelID == channel && (thread == 0 || msg.Thread == thread) {
			out = append(out, msg)
		}
	}
	slices.SortFunc(out, func(a, b chat.Message) int { return cmp.Compare(b.Seq, a.Seq) })
	return out
}

// Page is what q must read.
func (m *Model) Page(q store.PageQuery) store.Page {
	all := m.Messages(q.ChannelID, q.Thread)
	upTo := func(seq chat.Seq) []chat.Message { // newest first
		i := slices.IndexFunc(all, func(m chat.Message) bool { return m.Seq <= seq })
		if i < 0 {
			return nil
		}
		return all[i:]
	}
	switch {
	case q.After != 0:
		newer := all[:len(all)-len(upTo(q.After))]
		return store.Page{Messages: newer[max(0, len(newer)-q.Limit):], HasMore: len(newer) > q.Limit}
	case q.Around != 0:
		older := upTo(q.Around)
		newer := all[:len(all)-len(older)]
		nOlder, nNewer := (q.Limit+1)/2, q.Limit/2
		return store.Page{
			Messages: slices.Concat(newer[max(0, len(newer)-nNewer):], older[:min(nOlder, len(older))]),
			HasMore:  len(older) > nOlder,
		}
	case q.Before != 0:
		all = upTo(q.Before - 1)
	}
	return store.Page{Messages: all[:min(q.Limit, len(all))], HasMore: len(all) > q.Limit}
}

// Pins is the pinned messages of a channel, newest first.
func (m *Model) Pins(channel chat.ChannelID) []chat.Message {
	pinned := slices.DeleteFunc(m.Messages(channel, 0), func(m chat.Message) bool { return !m.Pinned })
	return pinned[:min(len(pinned), chat.MaxPins)]
}

// Participants is who wrote in a thread, the latest first.
func (m *Model) Participants(channel chat.ChannelID, root chat.Seq) []chat.UserID {
	wrote := m.Messages(channel, root)
	if s := m.states[store.Target{ChannelID: channel, Seq: root}]; s != nil {
		if msg, ok := s.Message(); ok {
			wrote = append(wrote, msg)
		}
	}
	var out []chat.UserID
	for _, msg := range wrote {
		if !slices.Contains(out, msg.SenderID) {
			out = append(out, msg.SenderID)
		}
	}
	return out[:min(len(out), chat.MaxFollowers)]
}

// History is the log of one workspace, in its order, with everything that can happen to messages.
type History struct {
	Channels []chat.ChannelID
	Events   []event.Stored
}

// Seqs of the two epochs: each begins above every seq of the one before it.
const (
	seqsOfEpoch1 chat.Seq = 0
	seqsOfEpoch2 chat.Seq = 1 << 20
)

// NewHistory makes up a history of n events over two epochs, three channels and some days.
func NewHistory(r *rand.Rand, n int) History {
	l := newLog()
	l.last = seqsOfEpoch1
	h := History{Channels: []chat.ChannelID{l.channel, newID[chat.ChannelID](), newID[chat.ChannelID]()}}
	users := []chat.UserID{newID[chat.UserID](), newID[chat.UserID](), newID[chat.UserID]()}
	var posts []event.Stored
	for i := range n {
		if i == n*2/3 {
			l.epoch, l.last = 2, seqsOfEpoch2
		}
		l.last += chat.Seq(r.IntN(3)) // others share the stream
		l.sender = users[r.IntN(len(users))]
		if r.IntN(10) == 0 {
			l.now = l.now.AddDate(0, 0, r.IntN(40))
		}
		e := randomEvent(r, l, posts, h.Channels)
		if e.Kind == event.MessagePosted && e.V == event.Version {
			posts = append(posts, e)
		}
		h.Events = append(h.Events, e)
	}
	return h
}

// randomEvent is the next event of l.
func randomEvent(r *rand.Rand, l *aLog, posts []event.Stored, channels []chat.ChannelID) event.Stored {
	l.channel = channels[r.IntN(len(channels))]
	roll := r.IntN(100)
	if len(posts) == 0 || roll < 30 {
		e := l.post(randomBody(r))
		if r.IntN(4) == 0 { // a client's name that was used before, perhaps
			e.ClientMsgID = chat.ClientMsgID(rune('a' + r.IntN(6)))
		}
		if r.IntN(5) == 0 {
			e.Attachments = []chat.Attachment{{ID: "1", Name: "plan.pdf", Size: int64(r.IntN(1 << 40)), Type: "application/pdf"}}
		}
		if len(posts) > 0 && r.IntN(3) == 0 {
			root := posts[r.IntN(len(posts))]
			e.ChannelID, e.Thread = root.ChannelID, root.Seq
		}
		return e
	}
	// Few messages get most of the changes, so that those of one message meet.
	of := posts[len(posts)-1-min(r.IntN(len(posts)), r.IntN(len(posts)))]
	l.channel = of.ChannelID
	switch emoji := []string{"👍", "🎉", ":shipit:"}[r.IntN(3)]; {
	case roll < 50:
		return l.edit(of, randomBody(r))
	case roll < 55:
		gone := l.about(of, event.MessageDeleted)
		if r.IntN(2) == 0 { // the others are of an earlier build
			gone.Post = leftOf(of)
		}
		return gone
	case roll < 70:
		return l.react(of, event.ReactionAdded, emoji)
	case roll < 80:
		return l.react(of, event.ReactionRemoved, emoji)
	case roll < 86:
		return l.about(of, event.PinAdded)
	case roll < 92:
		return l.about(of, event.PinRemoved)
	}
	return noise(r, l, of)
}

// leftOf is what the delete of a message says is left of it.
func leftOf(e event.Stored) *event.PostState {
	return &event.PostState{Epoch: e.Epoch, SenderID: e.SenderID, ClientMsgID: e.ClientMsgID, Thread: e.Thread, At: e.At}
}

// noise is an event that changes no message that is there.
func noise(r *rand.Rand, l *aLog, of event.Stored) event.Stored {
	switch r.IntN(5) {
	case 0:
		return l.add(event.Event{Kind: event.MemberJoined, UserID: l.sender, Role: chat.RoleMember})
	case 1:
		return l.add(event.Event{Kind: "poll.opened", MessageSeq: of.Seq, Body: "of a later version"})
	case 2:
		return l.add(event.Event{V: event.Version + 1, Kind: event.MessageEdited, MessageSeq: of.Seq, Body: "of a later version"})
	case 3:
		return l.add(event.Event{V: event.Version + 1, Kind: event.MessagePosted, Body: "of a later version"})
	}
	return l.add(event.Event{Kind: event.MessageEdited, MessageSeq: seqsOfEpoch2 << 4, Body: "there is no such message"})
}

func randomBody(r *rand.Rand) string {
	alphabet := []rune("abc äß漢字🙂\n\t\"'\\%_;\u2028")
	body := []rune{'x'}
	for range r.IntN(30) {
		body = append(body, alphabet[r.IntN(len(alphabet))])
	}
	return string(body)
}
