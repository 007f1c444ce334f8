package door

import (
	"container/list"
	"sync"
	"weak"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
)

// memory is what the directory said of users, kept right by the log, so that who comes back costs no question. It is a
// cache of projections: dropping one costs a question. The one used longest ago goes for a new one.
//
// An answer of the directory is right for every position from its own on when the member events after it are applied to
// it (schemas/rpc). So a projection has a position of a feed, and counts only while that feed still proves that nothing
// after the position is missing: the same feed, in the same generation, whose ring reaches back to it. Else the directory
// is asked. A live session of the same feed knows no more than that.
type memory struct {
	max int // notes, of which a user has two; 0: it remembers nothing

	mu       sync.Mutex
	of       map[whose]*list.Element // of *projection, or of *home
	order    *list.List              // the newest used first
	channels map[chat.ChannelID]*channel
}

// whose is what a memory is of; without a workspace, of which one the user asked for when they named none.
type whose struct {
	user      chat.UserID
	workspace chat.WorkspaceID
}

type home struct {
	whose whose
	is    chat.WorkspaceID
}

// channel is what is known of a channel, for all projections that hold it. Every event up to the position of each of them
// is in it.
type channel struct {
	fact rpc.Tenure // of nobody: its times are 0
	asOf chat.Seq   // of the newest event in it
}

// maxShared is how many channels are held once for all users. With more, what comes next begins another table.
const maxShared = 100_000

func newMemory(users int) memory {
	return memory{max: 2 * users, of: make(map[whose]*list.Element), order: list.New(), channels: make(map[chat.ChannelID]*channel)}
}

// answer is what the directory said, and of when.
type answer struct {
	feed  *fanout.Feed
	user  chat.UserID
	reach fanout.Reach // of the feed, before it was asked
	since chat.Seq     // tenures that ended before it are left out
	reply rpc.SessionReply
}

// keep remembers an answer.
func (m *memory) keep(a answer) {
	if m.max <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &projection{
		whose: whose{a.user, a.reply.WorkspaceID}, feed: weak.Make(a.feed), generation: a.reach.Generation,
		since: a.since, at: a.reach.Head, role: a.reply.Role, members: a.reply.Members, tenures: make([]tenure, 0, len(a.reply.Tenures)),
	}
	for _, t := range a.reply.Tenures {
		p.tenures = append(p.tenures, tenure{m.learn(t, p.at), t.JoinedSeq, t.LeftSeq})
	}
	m.put(p.whose, p)
}

// learn is the channel of a tenure, with what an answer as of a position says of it. Under mu.
func (m *memory) learn(t rpc.Tenure, asOf chat.Seq) *channel {
	ch := m.channel(t.ChannelID)
	if asOf >= ch.asOf {
		t.JoinedSeq, t.LeftSeq, t.ChannelID = 0, 0, ch.fact.ChannelID
		ch.fact, ch.asOf = t, asOf
	}
	return ch
}

func (m *memory) channel(id chat.ChannelID) *channel {
	ch := m.channels[id]
	if ch == nil {
		if len(m.channels) >= maxShared {
			m.channels = make(map[chat.ChannelID]*channel)
		}
		ch = &channel{fact: rpc.Tenure{ChannelID: id}}
		m.channels[id] = ch
	}
	return ch
}

// put remembers something, under mu.
func (m *memory) put(w whose, what any) {
	if e := m.of[w]; e != nil {
		e.Value = what
		m.order.MoveToFront(e)
		return
	}
	m.of[w] = m.order.PushFront(what)
	if m.order.Len() > m.max {
		oldest := m.order.Back()
		switch v := oldest.Value.(type) {
		case *projection:
			delete(m.of, v.whose)
		case *home:
			delete(m.of, v.whose)
		}
		m.order.Remove(oldest)
	}
}

// settle remembers in which workspace a user is who named none.
func (m *memory) settle(user chat.UserID, is chat.WorkspaceID) {
	if m.max <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := whose{user: user}
	m.put(w, &home{w, is})
}

// unsettle forgets it: it is not theirs any more.
func (m *memory) unsettle(user chat.UserID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := whose{user: user}
	if e := m.of[w]; e != nil {
		delete(m.of, w)
		m.order.Remove(e)
	}
}

// home is the workspace that settle was told; empty when it is not remembered.
func (m *memory) home(user chat.UserID) chat.WorkspaceID {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.of[whose{user: user}]; e != nil {
		m.order.MoveToFront(e)
		return e.Value.(*home).is
	}
	return ""
}

// recall is what a session of a user starts with that resumes at start, which f holds or can page to. It is false when
// the directory is to be asked.
func (m *memory) recall(f *fanout.Feed, user chat.UserID, start chat.Seq) (Opened, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := whose{user, f.Place().WorkspaceID}
	e := m.of[w]
	if e == nil {
		return Opened{}, false
	}
	p := e.Value.(*projection)
	if !m.advance(p, f) {
		delete(m.of, w)
		m.order.Remove(e)
		return Opened{}, false
	}
	m.order.MoveToFront(e)
	start = min(start, p.at)
	if max(start, 1) < p.since {
		return Opened{}, false // it may need tenures that were left out
	}
	o := Opened{Feed: f, UserID: user, Role: p.role, Members: p.members, Head: p.at, Start: start, Resumed: true}
	for _, t := range p.tenures {
		if t.left == 0 || t.left >= start {
			reply := t.channel.fact
			reply.JoinedSeq, reply.LeftSeq = t.joined, t.left
			o.Tenures = append(o.Tenures, reply)
		}
	}
	return o, true
}
