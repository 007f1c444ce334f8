package unread

import (
	"maps"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// maxKept is how many events are kept for an answer. With more, the answer is not waited for.
const maxKept = 20_000

// Count is what waits in a channel.
type Count struct {
	Unread   int      // at most chat.MaxUnread, the newest
	Mentions int      // those of them that name the user; in a direct channel, all
	More     bool     // there are more than these
	Read     chat.Seq // nothing up to it waits: it is read, or was before the user came
	Sure     bool     // the device knows; else it is the best that it knows
}

// Event is a stored event of a channel. Which fields count depends on Kind, as in schemas/event; only the kinds that matter
// here need to be told.
type Event struct {
	Kind       event.Kind
	ChannelID  chat.ChannelID
	Seq        chat.Seq
	MessageSeq chat.Seq    // of an edit or a delete
	SenderID   chat.UserID // of a message
	UserID     chat.UserID // who joined or left
	Body       string
	Deleted    bool             // of a message that comes as it stands now
	Type       chat.ChannelType // of the channel; empty: not said
}

// Tracker is one device. It belongs to one goroutine at a time.
type Tracker struct {
	self     chat.UserID
	login    string
	channels map[chat.ChannelID]*channel
	due      bool
	asking   bool
	kept     []Event // since Begin
	asked    uint64  // counts Begin
}

// channel is what is known of a channel.
//
// Invariants: unread holds messages above base alone, at most chat.MaxUnread of them. While it is sure, it holds all that
// the server counts.
type channel struct {
	kind    chat.ChannelType // empty: not known
	in      bool
	sure    bool
	more    bool
	read    chat.Seq
	joined  chat.Seq          // of the tenure that lasts; 0: none does, or it is on its way to the log
	last    chat.Seq          // the last joining that is known, of whatever tenure
	left    chat.Seq          // the last leaving that was told
	head    chat.Seq          // the last event that was told
	asked   chat.Seq          // head, at the last Begin
	through chat.Seq          // events up to it are in unread already
	unread  map[chat.Seq]bool // by message: whether it names the user
}

// New knows nothing, and is due. login is the user's, for mentions.
func New(self chat.UserID, login string) *Tracker {
	return &Tracker{self: self, login: login, channels: make(map[chat.ChannelID]*channel), due: true}
}

// Reset forgets everything, as when the workspace's log begins anew.
func (t *Tracker) Reset() {
	t.channels = make(map[chat.ChannelID]*channel)
	t.due = true
	t.forget()
}

func (t *Tracker) forget() { t.asking, t.kept = false, nil }

func (t *Tracker) channel(id chat.ChannelID) *channel {
	ch := t.channels[id]
	if ch == nil {
		ch = &channel{unread: make(map[chat.Seq]bool)}
		t.channels[id] = ch
	}
	return ch
}

func (c *channel) base() chat.Seq { return max(c.read, c.joined) }

// Tell takes an event, in the order of the log. The messages of a gap that were read from history may come late, before
// Missed.
func (t *Tracker) Tell(e Event) {
	if e.ChannelID == "" {
		return
	}
	if t.asking {
		if t.kept = append(t.kept, e); len(t.kept) > maxKept {
			t.forget()
			t.due = true
		}
	}
	t.apply(t.channel(e.ChannelID), e)
}

func (t *Tracker) apply(c *channel, e Event) {
	c.head = max(c.head, e.Seq)
	if e.Type != "" {
		c.kind = e.Type
	}
	switch e.Kind {
	case event.MemberJoined, event.MemberLeft:
		if e.UserID == t.self {
			t.move(c, e)
		}
	case event.MessagePosted:
		t.post(c, e)
	case event.MessageEdited:
		if _, counts := c.unread[e.MessageSeq]; counts && e.Seq > c.through {
			c.unread[e.MessageSeq] = t.names(c, e.Body)
		}
	case event.MessageDeleted:
		if _, counts := c.unread[e.MessageSeq]; counts {
			delete(c.unread, e.MessageSeq)
			if c.more { // an older one takes its place
				t.doubt(c)
			}
		}
	}
}

// move takes the user's own joining or leaving.
func (t *Tracker) move(c *channel, e Event) {
	switch {
	case e.Kind == event.MemberLeft:
		if c.left = max(c.left, e.Seq); e.Seq > c.joined {
			c.in, c.joined, c.more, c.sure = false, 0, false, true
			clear(c.unread)
		}
	case e.Seq <= c.left || e.Seq <= c.last: // it was told before, or by an answer
	case c.in && c.joined != 0: // they are in it already, unless the leaving was missed
		if !c.sure {
			t.doubt(c)
		}
	default: // in a channel that they were not in before, all that follows is told
		if !c.in {
			c.sure = true
		}
		c.in, c.joined, c.last = true, e.Seq, e.Seq
		c.trim()
	}
}

func (t *Tracker) post(c *channel, e Event) {
	switch {
	case !c.in: // only members are told; what is being asked says when they came
		if !t.asking {
			t.doubt(c)
		}
	case e.Deleted:
		delete(c.unread, e.Seq)
	case e.Seq <= c.base() || e.Seq <= c.through || e.SenderID == t.self:
	default:
		c.unread[e.Seq] = t.names(c, e.Body)
		c.bound()
	}
}

func (t *Tracker) names(c *channel, body string) bool {
	return c.kind.Direct() || chat.MentionsOf(body).Names(t.login)
}

// trim lets go of what is read, or was before the user came.
func (c *channel) trim() {
	base := c.base()
	maps.DeleteFunc(c.unread, func(seq chat.Seq, _ bool) bool { return seq <= base })
}

// oldest is the first message that counts; chat.MaxSeq when there is none.
func (c *channel) oldest() chat.Seq {
	oldest := chat.MaxSeq
	for seq := range c.unread {
		oldest = min(oldest, seq)
	}
	return oldest
}

// bound keeps the newest.
func (c *channel) bound() {
	for len(c.unread) > chat.MaxUnread {
		delete(c.unread, c.oldest())
		c.more = true
	}
}

func (t *Tracker) doubt(c *channel) { c.sure, t.due = false, true }

// Read says that the user has read a channel, on whatever device. One that is not above what is known changes nothing.
func (t *Tracker) Read(id chat.ChannelID, seq chat.Seq) {
	c := t.channel(id)
	if seq <= c.read {
		return
	}
	c.read = seq
	if c.more && c.in {
		if seq >= c.oldest() {
			c.more = false // what is not held is older
		} else {
			t.doubt(c)
		}
	}
	c.trim()
}

// Missed says that events of a channel, of which the last is through, did not come.
func (t *Tracker) Missed(id chat.ChannelID, through chat.Seq) {
	c := t.channel(id)
	c.head = max(c.head, through)
	t.doubt(c)
}

// Stale says that anything may have been missed: read marks after a reconnect or an interruption, events at a resync.
func (t *Tracker) Stale() {
	t.due = true
	for _, c := range t.channels {
		c.sure = false
	}
}

// Due reports whether the server is to be asked, and is not being asked already.
func (t *Tracker) Due() bool { return t.due && !t.asking }

// Question is one that was begun.
type Question struct{ number uint64 }

// Begin says that the server is being asked from now on, for all channels.
func (t *Tracker) Begin() Question {
	t.asked++
	t.asking, t.due, t.kept = true, false, nil
	for _, c := range t.channels {
		c.asked = c.head
	}
	return Question{t.asked}
}

// Failed says that there is no answer.
func (t *Tracker) Failed(q Question) {
	if t.asking && q.number == t.asked {
		t.forget()
		t.due = true
	}
}

// Answer takes the server's answer: all channels that the user is in. One that is not waited for is passed over.
func (t *Tracker) Answer(q Question, all []rest.ReadState) {
	if !t.asking || q.number != t.asked {
		return
	}
	kept := make(map[chat.ChannelID][]Event)
	for _, e := range t.kept {
		kept[e.ChannelID] = append(kept[e.ChannelID], e)
	}
	missed := t.due // something, since Begin
	t.forget()
	given := make(map[chat.ChannelID]bool, len(all))
	for _, s := range all {
		given[s.ChannelID] = true
		c := t.channel(s.ChannelID)
		if s.JoinedSeq != 0 && s.JoinedSeq < c.left && !c.joinedIn(kept[s.ChannelID], t.self) {
			continue // they left since
		}
		t.adopt(c, s, kept[s.ChannelID])
	}
	for id, c := range t.channels {
		if given[id] {
			continue
		}
		if c.in && c.joinedIn(kept[id], t.self) {
			continue // they came after the answer, and all of it was told
		}
		c.in, c.joined, c.more, c.sure = false, 0, false, true
		clear(c.unread)
	}
	if missed {
		t.Stale()
	}
}

// joinedIn reports whether the tenure that lasts began in these events.
func (c *channel) joinedIn(events []Event, self chat.UserID) bool {
	return c.in && slices.ContainsFunc(events, func(e Event) bool {
		return e.Kind == event.MemberJoined && e.UserID == self && e.Seq == c.joined
	})
}

// adopt puts what the server says in place of what is known, and what was told since upon it.
func (t *Tracker) adopt(c *channel, s rest.ReadState, since []Event) {
	c.read = max(c.read, s.Seq)
	if s.Through < c.asked { // it is older than what this device has seen
		t.doubt(c)
		return
	}
	if c.joinedIn(since, t.self) && s.JoinedSeq < c.joined && s.JoinedSeq != 0 {
		return // it is of a tenure before: of this one all was told
	}
	if s.JoinedSeq > c.joined {
		c.joined = s.JoinedSeq
		c.last = max(c.last, c.joined)
	}
	c.in, c.sure, c.more, c.through = true, true, s.More, s.Through
	clear(c.unread)
	for _, m := range s.Messages {
		c.unread[m.Seq] = m.Mention
	}
	for _, e := range since {
		if e.Seq > s.Through || e.Kind == event.MemberJoined || e.Kind == event.MemberLeft {
			t.apply(c, e)
		}
	}
	c.trim()
	c.bound()
}

// SetType says of what type a channel is, which no event does for everybody.
func (t *Tracker) SetType(id chat.ChannelID, kind chat.ChannelType) {
	c := t.channel(id)
	if c.kind = kind; kind.Direct() {
		for seq := range c.unread {
			c.unread[seq] = true
		}
	}
}

// Untyped are the channels of the user whose type is not known.
func (t *Tracker) Untyped() []chat.ChannelID {
	var all []chat.ChannelID
	for id, c := range t.channels {
		if c.in && c.kind == "" {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// Channel is what waits in a channel. in is false when the user is not in it, as far as is known.
func (t *Tracker) Channel(id chat.ChannelID) (count Count, in bool) {
	c := t.channels[id]
	if c == nil || !c.in {
		return Count{}, false
	}
	count = Count{Unread: len(c.unread), More: c.more, Read: c.base(), Sure: c.sure && c.kind != ""}
	for _, mention := range c.unread {
		if mention {
			count.Mentions++
		}
	}
	return count, true
}

// All is what waits in each channel that the user is in.
func (t *Tracker) All() map[chat.ChannelID]Count {
	all := make(map[chat.ChannelID]Count)
	for id := range t.channels {
		if count, in := t.Channel(id); in {
			all[id] = count
		}
	}
	return all
}
