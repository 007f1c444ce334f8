package messages

import (
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
)

// The rules about who is shown what besides sockets, in words of INVARIANTS.
const (
	rulePage   = "history is not shown to who is not in the channel" // 14
	ruleNotify = "a notice of a message goes to who was there"       // 14
)

// reads looks at pages and searches by people who may not see the channel, and at notices.
func (c *check) reads() {
	v := c.of(14)
	closed := 0
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		switch op.F {
		case record.Page:
			if !c.shut(visitor{op.Workspace, c.l.UserID(op.Who), op.Channel}, op.Start, op.End) {
				continue
			}
			closed++
			v.Cases++
			if op.Outcome == record.OK && len(op.Messages) > 0 {
				c.shownTo(op, op.Channel, op.Messages[0].Seq)
			}
		case record.Search:
			for _, m := range op.Messages {
				message, there := c.l.Message(op.Workspace, m.Seq)
				if there && op.Outcome == record.OK && c.shut(visitor{op.Workspace, c.l.UserID(op.Who), message.Channel}, op.Start, op.End) {
					v.Cases++
					c.shownTo(op, message.Channel, m.Seq)
				}
			}
		case record.Notify:
			c.notified(op)
		}
	}
	c.note(14, "pages of closed channels asked for: %d", closed)
}

func (c *check) shownTo(op *record.Op, channel string, seq int64) {
	b := verdict.Violation{Rule: rulePage, Who: op.Who, What: fmt.Sprintf("%s of %s", op.F, channel), Seqs: []int64{seq}}
	b.History = verdict.Lines(append(c.tenure(op.Workspace, c.l.UserID(op.Who), channel, c.l.Last(op.Workspace)), op)...)
	c.broken(14, b)
}

func (c *check) notified(op *record.Op) {
	e, there := c.l.At(op.Workspace, op.Message)
	if !there {
		return
	}
	if in, known := c.l.Member(op.Workspace, c.l.UserID(op.Who), e.Channel, e.Seq); known {
		c.of(14).Cases++
		if !in {
			c.broken(14, verdict.Violation{Rule: ruleNotify, Who: op.Who, What: "in " + e.Channel, Seqs: []int64{e.Seq}, History: verdict.Lines(e, op)})
		}
	}
}

// shut reports whether somebody cannot have seen a channel at any time from start to end: it is not public, and they were not in it, or
// gone for sure before start. Who was perhaps about to come in is not shut out, as the log may know it later than who decides.
func (c *check) shut(who visitor, start, end time.Duration) bool {
	switch chat.ChannelType(c.l.Type(who.space, who.channel)) {
	case chat.ChannelPublic, "":
		return false
	}
	if _, known := c.l.Member(who.space, who.user, who.channel, c.l.Last(who.space)+1); !known {
		return false
	}
	out := time.Duration(-1) // when it was sure that they were gone
	for _, t := range c.l.Tenures(who.space, who.user, who.channel) {
		by, sure := c.l.StoredBy(who.space, t.To)
		if t.To != 0 && sure && by < start {
			out = max(out, by)
		} else if out < 0 {
			return false // they were in it, and perhaps still are
		}
	}
	for _, op := range c.comers[who] {
		if op.Start <= end && (op.End >= out || op.Outcome == record.Unknown) {
			return false
		}
	}
	return true
}

// visitor is somebody who comes into a channel, or is out of it.
type visitor struct{ space, user, channel string }

// indexComers sorts what may have brought somebody into a channel.
func (c *check) indexComers() {
	c.comers = map[visitor][]*record.Op{}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		who := op.Who
		if op.F == record.Add {
			who = op.Target
		}
		if (op.F == record.Join || op.F == record.Add) && op.Outcome != record.Refused {
			key := visitor{op.Workspace, c.l.UserID(who), op.Channel}
			c.comers[key] = append(c.comers[key], op)
		}
	}
}
