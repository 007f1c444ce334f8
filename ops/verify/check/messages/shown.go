package messages

import (
	"fmt"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// showing is a message as it was shown somewhere.
type showing struct {
	record.Message
	space, channel string
	who            string // reader or place
	state          bool   // as it stood when it was read, and not as it was posted
	line           any    // of the record
}

// shown looks where all that was shown came from.
func (c *check) shown() {
	for _, e := range c.r.Events {
		c.shownEvent(e)
	}
	for i := range c.r.Told {
		t := &c.r.Told[i]
		space, m := c.l.Home(t.Who), record.Message{Seq: t.Seq, Sender: t.Sender, ID: t.ID, Body: t.Body, Thread: t.Thread}
		switch {
		case t.T == record.Posted:
			c.message(showing{m, space, t.Channel, t.Who + " on " + t.Conn, t.Filled, t})
		case t.T == record.Changed:
			c.change(record.Event{Space: space, Seq: t.Seq, Kind: t.Kind, Channel: t.Channel, Sender: t.Sender, Message: t.Message, Body: t.Body, Emoji: t.Emoji}, t.Conn, t)
		}
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Page && op.F != record.Search {
			continue
		}
		for _, m := range op.Messages {
			c.message(showing{m, op.Workspace, op.Channel, op.Who, true, op})
		}
	}
	for i := range c.r.Kept {
		k := &c.r.Kept[i]
		c.message(showing{k.Message, k.Space, k.Channel, k.View, true, k})
	}
	c.note(2, "messages of people who are not in the run: %d", c.others)
}

func (c *check) shownEvent(e record.Event) {
	switch {
	case e.Kind == string(event.MessagePosted) && !e.Erased:
		m := record.Message{Seq: e.Seq, Sender: e.Sender, ID: e.ID, Body: e.Body, Thread: e.Thread}
		c.message(showing{m, e.Space, e.Channel, e.Source, false, e})
	case e.Kind != string(event.MessagePosted) && !e.Erased:
		c.change(e, e.Source, e)
	}
}

// message looks for the send behind a message, or the edit behind its text.
func (c *check) message(s showing) {
	if c.l.Login(s.Sender) == "" {
		if s.Sender != "" {
			c.others++
		}
		return
	}
	v := c.of(2)
	v.Cases++
	if s.channel == "" { // of a search: the log says where it is
		if m, there := c.l.Message(s.space, s.Seq); there {
			s.channel = m.Channel
		}
	}
	var sent *act
	if id := c.ids6[idKey{s.space, s.Sender, s.ID}]; id != nil {
		for _, a := range id.bodies {
			same := a.body == s.Body || s.state && c.edited(s) != nil || s.Body == "" && c.gone(s.space, s.Seq)
			if a.channel == s.channel && a.thread == s.Thread && same && (sent == nil || weight(a.outcome) > weight(sent.outcome)) {
				sent = a
			}
		}
	}
	b := verdict.Violation{Rule: ruleInvented, Who: s.who, What: fmt.Sprintf("%q of %s under %s in %s", s.Body, s.Sender, s.ID, s.channel), Seqs: []int64{s.Seq}}
	if sent == nil {
		b.History = verdict.Lines(s.line)
		v.Break(b)
		return
	}
	if sent.body != s.Body && s.Body != "" {
		sent = c.edited(s)
	}
	if sent.outcome == record.Refused {
		b.Rule, b.History = ruleRefused, verdict.Lines(sent.op, s.line)
		c.broken(3, b)
	}
}

// edited is the edit that gave a message its text.
func (c *check) edited(s showing) *act {
	return c.acts[actKey{s.space, s.Seq, s.Sender, record.Edit, s.Body}]
}

// gone reports whether somebody deleted a message: then it is shown without its text.
func (c *check) gone(space string, seq int64) bool {
	m, there := c.l.Message(space, seq)
	_, tried := c.deletes[at{space, seq}]
	return tried || there && m.Deleted != 0
}

// changes are what people do to messages, by the kind of event.
var changes = map[event.Kind]record.F{
	event.MessageEdited: record.Edit, event.MessageDeleted: record.Delete,
	event.ReactionAdded: record.React, event.ReactionRemoved: record.Unreact,
}

// change looks for the op behind a change of a message.
func (c *check) change(e record.Event, who string, line any) {
	f, is := changes[event.Kind(e.Kind)]
	if !is || c.l.Login(e.Sender) == "" || f == record.Edit && e.Body == "" && c.gone(e.Space, e.Message) {
		return
	}
	v := c.of(2)
	v.Cases++
	done := c.acts[actKey{e.Space, e.Message, e.Sender, f, e.Body + e.Emoji}]
	b := verdict.Violation{Rule: ruleInvented, Who: who, What: fmt.Sprintf("%s %q of %s on %d", e.Kind, e.Body+e.Emoji, e.Sender, e.Message), Seqs: []int64{e.Seq}}
	switch {
	case done == nil || done.channel != e.Channel:
		b.History = verdict.Lines(line)
		v.Break(b)
	case done.outcome == record.Refused:
		b.Rule, b.History = ruleRefused, verdict.Lines(done.op, line)
		c.broken(3, b)
	}
}
