package chat

import (
	"fmt"
	"strings"
	"time"

	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// view is what the person at the terminal knows: who is who, which channel is open, and what was shown. It turns events
// into lines. It is pure.
type view struct {
	zone     *time.Location
	me       chat.UserID
	here     chat.ChannelID
	people   map[chat.UserID]string // logins
	channels map[chat.ChannelID]rest.Channel
	presence map[chat.UserID]live.Presence
	live     chat.Seq                      // the last event that was taken
	early    map[chat.Seq]struct{}         // messages that history has shown before their event came
	own      map[chat.ClientMsgID]struct{} // sends of this program: their answer shows them, not their event
	met      bool                          // a socket was open before
}

func newView(me rest.User, zone *time.Location) *view {
	return &view{
		zone: zone, me: me.ID, people: map[chat.UserID]string{me.ID: me.Login}, channels: map[chat.ChannelID]rest.Channel{},
		presence: map[chat.UserID]live.Presence{me.ID: {UserID: me.ID, Status: string(chat.StatusOnline)}}, early: map[chat.Seq]struct{}{}, own: map[chat.ClientMsgID]struct{}{},
	}
}

// name is how a person is called.
func (v *view) name(id chat.UserID) string {
	if login := v.people[id]; login != "" {
		return plain.Line(login)
	}
	return string(id)
}

// where is how a channel is called.
func (v *view) where(id chat.ChannelID) string {
	c := v.channels[id]
	switch {
	case id == "":
		return "the workspace"
	case c.Name != "":
		return "#" + plain.Line(c.Name)
	case c.Type.Direct():
		return "direct messages"
	}
	return string(id)
}

// elsewhere begins a line about a channel that is not the open one.
func (v *view) elsewhere(id chat.ChannelID) string {
	if id == v.here || id == "" {
		return ""
	}
	return v.where(id) + " "
}

// message is a message in a line: its number, its time, who said it and what.
func (v *view) message(m rest.Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s#%d %s %s: ", v.elsewhere(m.ChannelID), m.Seq, time.Time(m.TS).In(v.zone).Format("15:04"), v.name(m.SenderID))
	if m.Thread != 0 {
		fmt.Fprintf(&b, "(to #%d) ", m.Thread)
	}
	if m.Deleted {
		b.WriteString("(deleted)")
		return b.String()
	}
	b.WriteString(plain.Text(m.Body))
	for _, a := range m.Attachments {
		fmt.Fprintf(&b, " [%s]", plain.Line(a.Name))
	}
	if m.EditedAt != nil {
		b.WriteString(" (edited)")
	}
	for _, r := range m.Reactions {
		fmt.Fprintf(&b, " %s %d", plain.Line(r.Emoji), len(r.UserIDs))
	}
	return b.String()
}

// event is the line of an event; empty when it is none of the person's business.
func (v *view) event(e live.Event) string {
	switch e := e.(type) {
	case live.Online:
		return v.online(e)
	case live.Offline:
		return fmt.Sprintf("-- the connection is gone (%s); the next try is in %.1f s", plain.Line(e.Err.Error()), e.Retry.Seconds())
	case live.Posted:
		return v.posted(e)
	case live.Changed:
		return v.changed(e)
	case live.Presence:
		return v.present(e)
	case live.Gap:
		if e.Filled {
			return ""
		}
		return fmt.Sprintf("-- messages of %s between #%d and #%d are missing here; /history shows them", v.where(e.ChannelID), e.After, e.Through)
	case live.Resync:
		return fmt.Sprintf("-- what was said before #%d may be missing here (%s); /history shows it", e.Head, plain.Line(e.Reason))
	case live.Refused:
		return "! " + plain.Line(e.Err.Error())
	}
	return ""
}

// typing is who writes in the open channel.
func (v *view) typing(e live.Typing) string {
	if e.ChannelID != v.here || e.UserID == v.me {
		return ""
	}
	return v.name(e.UserID) + " is typing …"
}

func (v *view) online(e live.Online) string {
	before := v.met
	v.met, v.live = true, max(v.live, e.Cursor.Seq)
	switch {
	case !before:
		return ""
	case e.Resumed:
		return "-- connected again; nothing was missed"
	}
	return "-- connected again"
}

func (v *view) posted(e live.Posted) string {
	m := e.Message
	v.live = max(v.live, m.Seq)
	if _, own := v.own[m.ClientMsgID]; own {
		delete(v.own, m.ClientMsgID)
		return ""
	}
	if _, early := v.early[m.Seq]; early {
		delete(v.early, m.Seq)
		return ""
	}
	return v.message(m)
}

// page is the lines of a page of history, oldest first.
func (v *view) page(list rest.MessageList) []string {
	lines := make([]string, 0, len(list.Messages))
	for i := len(list.Messages) - 1; i >= 0; i-- {
		m := list.Messages[i]
		if m.Seq > v.live {
			v.early[m.Seq] = struct{}{}
		}
		lines = append(lines, v.message(m))
	}
	return lines
}

func (v *view) present(e live.Presence) string {
	before, known := v.presence[e.UserID]
	v.presence[e.UserID] = e
	if before == e || (!known && e.Status == string(chat.StatusOffline)) {
		return ""
	}
	line := fmt.Sprintf("* %s is %s", v.name(e.UserID), plain.Line(e.Status))
	if e.UserID == v.me {
		line = "* you are " + plain.Line(e.Status)
	}
	if e.Text != "" {
		line += ": " + plain.Line(e.Text)
	}
	return line
}

func (v *view) changed(e live.Changed) string {
	v.live = max(v.live, e.Seq)
	who := v.elsewhere(e.ChannelID) + v.name(e.SenderID)
	switch e.Kind {
	case event.MessageEdited:
		return fmt.Sprintf("* %s edited #%d: %s", who, e.MessageSeq, plain.Text(e.Body))
	case event.MessageDeleted:
		return fmt.Sprintf("* %s deleted #%d", who, e.MessageSeq)
	case event.ReactionAdded:
		return fmt.Sprintf("* %s reacted to #%d with %s", who, e.MessageSeq, plain.Line(e.Emoji))
	case event.ReactionRemoved:
		return fmt.Sprintf("* %s took %s back from #%d", who, plain.Line(e.Emoji), e.MessageSeq)
	case event.PinAdded, event.PinRemoved:
		did := map[event.Kind]string{event.PinAdded: "pinned", event.PinRemoved: "unpinned"}[e.Kind]
		return fmt.Sprintf("* %s %s #%d", who, did, e.MessageSeq)
	case event.MemberJoined, event.MemberLeft:
		return v.member(e)
	case event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived:
		return v.channelChanged(e)
	case event.UserUpdated:
		if e.User != nil {
			v.people[e.UserID] = e.User.Login
		}
	}
	return ""
}

func (v *view) member(e live.Changed) string {
	did := "joined"
	if e.Kind == event.MemberLeft {
		did = "left"
	}
	line := fmt.Sprintf("* %s %s %s", v.name(e.UserID), did, v.where(e.ChannelID))
	if e.SenderID != e.UserID && e.SenderID != "" {
		line += fmt.Sprintf(" (by %s)", v.name(e.SenderID))
	}
	return line
}

func (v *view) channelChanged(e live.Changed) string {
	if e.Channel == nil {
		return ""
	}
	c := v.channels[e.ChannelID]
	before := c
	c.ID, c.Name, c.Type, c.Topic, c.Archived = e.ChannelID, e.Channel.Name, e.Channel.Type, e.Channel.Topic, e.Kind == event.ChannelArchived
	v.channels[e.ChannelID] = c
	who := v.name(e.SenderID)
	switch {
	case e.Kind == event.ChannelCreated && c.Type.Direct():
		return ""
	case e.Kind == event.ChannelCreated:
		return fmt.Sprintf("* %s made %s", who, v.where(c.ID))
	case c.Archived:
		return fmt.Sprintf("* %s archived %s", who, v.where(c.ID))
	case before.Name != c.Name && before.Name != "":
		return fmt.Sprintf("* %s renamed #%s to #%s", who, plain.Line(before.Name), plain.Line(c.Name))
	case before.Topic != c.Topic:
		return fmt.Sprintf("* %s: the topic of %s is: %s", who, v.where(c.ID), plain.Line(c.Topic))
	}
	return ""
}
