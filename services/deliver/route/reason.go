// Package route decides who is owed a message, and whom a cursor covers. It is pure: the Router asks the databases, the Ledger
// too, and both judge by this, so that what `canopy delivery show` says is what was done.
package route

import (
	"maps"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

// Post is what of a message decides who it is owed to.
type Post struct {
	Message  chat.Cursor
	Sender   chat.UserID
	Channel  chat.ChannelID
	Thread   chat.Seq // the root that it replies to; 0: none
	Body     string
	Direct   bool // it is in a dm or group_dm
	Mentions chat.Mentions
}

// PostOf reads it from a message.posted.
func PostOf(e *event.Event, seq chat.Seq, direct bool) Post {
	p := Post{
		Message: chat.Cursor{Epoch: e.Epoch, Seq: seq}, Sender: e.SenderID, Channel: e.ChannelID, Thread: e.Thread,
		Body: e.Body, Direct: direct,
	}
	if !direct { // there it is owed to everybody, and for the strongest reason
		p.Mentions = chat.MentionsOf(e.Body)
	}
	return p
}

// Reasons are why a message is owed to people, as far as they are known. It belongs to one goroutine.
type Reasons struct {
	post  Post
	named map[chat.UserID]chat.Owed // by login, thread or keyword
}

// strength orders the reasons: a message is owed for the first that holds.
var strength = []chat.Owed{chat.OwedDirect, chat.OwedMention, chat.OwedThread, chat.OwedChannel, chat.OwedHere, chat.OwedKeyword}

// Reasons begins with what the message itself says.
func (p Post) Reasons() *Reasons { return &Reasons{post: p, named: map[chat.UserID]chat.Owed{}} }

// Add gives users a reason. A stronger one stays.
func (r *Reasons) Add(why chat.Owed, users ...chat.UserID) {
	for _, u := range users {
		if has := r.named[u]; has == "" || slices.Index(strength, why) < slices.Index(strength, has) {
			r.named[u] = why
		}
	}
}

// Followers are the participants of a thread who did not say that they do not follow it, and those who said that they do.
func Followers(participants []chat.UserID, said []store.Follow) []chat.UserID {
	follows := make(map[chat.UserID]bool, len(participants)+len(said))
	for _, u := range participants {
		follows[u] = true
	}
	for _, f := range said {
		follows[f.UserID] = f.Follows
	}
	maps.DeleteFunc(follows, func(_ chat.UserID, yes bool) bool { return !yes })
	return slices.Sorted(maps.Keys(follows))
}

// Everybody reports whether each member of the channel has to be looked at. Else only those who are Named can be owed it.
func (p Post) Everybody() bool { return p.Direct || p.Mentions.Channel || p.Mentions.Here }

// Words reports whether keywords can make a difference: what is owed to everybody anyhow is owed for a stronger reason.
func (p Post) Words() bool { return !p.Direct && !p.Mentions.Channel }

// Named are those with a reason of their own, without the sender, in the order of their ids.
func (r *Reasons) Named() []chat.UserID {
	users := slices.Sorted(maps.Keys(r.named))
	return slices.DeleteFunc(users, func(u chat.UserID) bool { return u == r.post.Sender })
}

// Member is what has to be known of a member of the channel.
type Member struct {
	UserID chat.UserID
	Active bool // a device of theirs confirmed something lately
	Alone  bool // it is their dm with themselves: nobody else ever was in it
}

// Of is why the message is owed to a member of its channel; empty: it is not.
func (r *Reasons) Of(m Member) chat.Owed {
	if m.UserID == r.post.Sender && !(r.post.Direct && m.Alone) {
		return ""
	}
	why := r.named[m.UserID]
	switch {
	case r.post.Direct:
		return chat.OwedDirect
	case why == chat.OwedMention || why == chat.OwedThread:
		return why
	case r.post.Mentions.Channel:
		return chat.OwedChannel
	case r.post.Mentions.Here && m.Active:
		return chat.OwedHere
	}
	return why
}

// WhyNot says to people why it is not owed to a member for whom Of is empty.
func (r *Reasons) WhyNot(m Member) string {
	switch {
	case m.UserID == r.post.Sender:
		return "not owed: they sent it"
	case r.post.Mentions.Here:
		return "not owed: it says @here, and none of their devices was active in the 10 minutes before it"
	case r.post.Thread != 0:
		return "not owed: it does not name them, and they do not follow its thread"
	}
	return "not owed: it does not name them"
}
