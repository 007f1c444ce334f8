package messages

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// The rules about what was sent, in words of INVARIANTS.
const (
	ruleLost     = "what was acknowledged is in the log"          // 1
	ruleAnother  = "an acknowledgement names what was stored"     // 1
	ruleInvented = "what is shown was sent"                       // 2
	ruleRefused  = "what was refused is never seen"               // 3
	ruleTwice    = "what is of unknown outcome is seen once"      // 3
	ruleMoved    = "an id is answered with one seq for ever"      // 6
	ruleDoubled  = "an id is stored once"                         // 6
	ruleConflict = "an id with another body is refused"           // 6
	ruleHonest   = "an id with the same body is answered its seq" // 6
)

// acknowledged holds acks against the log.
func (c *check) acknowledged() {
	v := c.of(1)
	found, lost := map[string][2]int64{}, []*record.Op{}
	for _, op := range c.acks() {
		if !c.covers(op.Workspace, op.Seq) {
			continue
		}
		v.Cases++
		e, there := c.l.At(op.Workspace, op.Seq)
		if nothing := e.Erased && e.Sender == ""; !there || nothing && c.r.End != nil { // no delete says why it was taken out
			lost = append(lost, op)
			continue
		} else if nothing {
			continue
		}
		span, before := found[op.Who]
		if !before {
			span[0] = op.Seq
		}
		found[op.Who] = [2]int64{min(span[0], op.Seq), max(span[1], op.Seq)}
		body := e.Body
		if e.Erased || op.Duplicate && c.changing(at{op.Workspace, op.Seq}, op.End) {
			body = op.Body // it was taken out, or it cannot be compared any more
		}
		said := record.Event{Kind: string(event.MessagePosted), Channel: op.Channel, Sender: c.l.UserID(op.Who), ID: op.ID, Body: op.Body, Thread: op.Thread}
		if is := (record.Event{Kind: e.Kind, Channel: e.Channel, Sender: e.Sender, ID: e.ID, Body: body, Thread: e.Thread}); is != said {
			v.Break(verdict.Violation{Rule: ruleAnother, Who: op.Who, What: fmt.Sprintf("%q under %s; the log has %s %q of %s under %s there", op.Body, op.ID, e.Kind, e.Body, e.Sender, e.ID), Seqs: []int64{op.Seq}, History: verdict.Lines(op, e)})
		}
	}
	var where [3]int
	for _, op := range lost {
		span, some := found[op.Who]
		part := 1
		switch {
		case some && op.Seq < span[0]:
			part = 0
		case !some || op.Seq > span[1]:
			part = 2
		}
		where[part]++
		v.Break(verdict.Violation{Rule: ruleLost, Who: op.Who, What: fmt.Sprintf("%q under %s", op.Body, op.ID), Seqs: []int64{op.Seq}, History: verdict.Lines(op)})
	}
	c.note(1, "lost from the log: prefix %d, middle %d, tail %d", where[0], where[1], where[2])
}

// acks are the sends that were acknowledged, by seq.
func (c *check) acks() (acks []*record.Op) {
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Send && op.Outcome == record.OK {
			acks = append(acks, op)
		}
	}
	slices.SortStableFunc(acks, func(a, b *record.Op) int { return cmp.Compare(a.Seq, b.Seq) })
	return acks
}

// refused counts what must not be seen, or once, and looks for it in the log: what people were shown is looked at elsewhere.
func (c *check) refused() {
	v := c.of(3)
	var refused, unknown int
	count := func(a *act) {
		switch a.outcome {
		case record.Refused:
			refused++
		case record.Unknown:
			unknown++
		}
	}
	for _, id := range c.ids6 {
		for _, a := range id.bodies {
			count(a)
		}
	}
	for _, a := range c.acts {
		count(a)
	}
	v.Cases += refused + unknown
	came := 0
	for _, space := range c.l.Spaces() {
		for _, seq := range c.l.Messages(space) {
			if m, _ := c.l.Message(space, seq); c.unknown(idKey{space, m.Sender, m.ID}) {
				came++
			}
		}
	}
	c.note(3, "refused: %d, unknown: %d, of them sends that came true: %d", refused, unknown, came)
}

// unknown reports whether nobody knows of any try of an id what became of it.
func (c *check) unknown(key idKey) bool {
	id := c.ids6[key]
	return id != nil && slices.ContainsFunc(id.bodies, func(a *act) bool { return a.outcome == record.Unknown }) &&
		!slices.ContainsFunc(id.bodies, func(a *act) bool { return a.outcome == record.OK })
}

func (c *check) sortedIDs() []idKey {
	return slices.SortedFunc(maps.Keys(c.ids6), func(a, b idKey) int {
		return cmp.Or(cmp.Compare(a.space, b.space), cmp.Compare(a.sender, b.sender), cmp.Compare(a.id, b.id))
	})
}

// ids looks at what was answered and stored of each id.
func (c *check) ids() {
	v := c.of(6)
	for _, key := range c.sortedIDs() {
		id := c.ids6[key]
		if len(id.tries) > 1 {
			v.Cases++
		}
		var first *record.Op
		for _, op := range id.tries {
			if op.Outcome == record.OK && first == nil {
				first = op
			} else if first != nil {
				c.again(first, op)
			}
		}
	}
	stored := map[idKey]int64{}
	for _, space := range c.l.Spaces() {
		for _, seq := range c.l.Messages(space) {
			m, _ := c.l.Message(space, seq)
			key := idKey{space, m.Sender, m.ID}
			before, twice := stored[key]
			if stored[key] = seq; !twice || m.ID == "" {
				continue
			}
			e, _ := c.l.At(space, before)
			b := verdict.Violation{Rule: ruleDoubled, Who: m.Sender, What: fmt.Sprintf("%s: %q", m.ID, m.Body), Seqs: []int64{before, seq}, History: verdict.Lines(e, m.Event)}
			v.Break(b)
			if c.unknown(key) {
				b.Rule = ruleTwice
				c.broken(3, b)
			}
		}
	}
}

// again holds a later try of an id against the first that was acknowledged.
func (c *check) again(first, op *record.Op) {
	same := op.Body == first.Body && op.Channel == first.Channel && op.Thread == first.Thread
	b := verdict.Violation{Who: op.Who, What: op.ID, Seqs: []int64{first.Seq, op.Seq}, History: verdict.Lines(first, op)}
	switch {
	case op.Outcome == record.OK && op.Seq != first.Seq:
		b.Rule = ruleMoved
	case op.Outcome == record.OK && !same && !c.incomparable(first, op):
		b.Rule, b.What, b.Seqs = ruleConflict, fmt.Sprintf("%s was %q and then %q", op.ID, first.Body, op.Body), []int64{first.Seq}
	case op.Outcome == record.Refused && op.Code == "conflict" && same && op.Start > first.End:
		b.Rule, b.Seqs = ruleHonest, []int64{first.Seq}
	default:
		return
	}
	c.broken(6, b)
}

// incomparable reports whether the text that an id was first sent with may have been gone when it was sent again with another one: an honest
// resend must not be refused then, so that this one is not, either. A delete takes the text out of the log. An edit leaves it there, but
// when the log does not answer in time, or lost it with an earlier stream, the history does, which has the new text alone.
func (c *check) incomparable(first, op *record.Op) bool {
	if op.Channel != first.Channel || op.Thread != first.Thread {
		return false
	}
	return c.changing(at{first.Workspace, first.Seq}, op.End)
}

// changing reports whether somebody began to edit or delete a message by a time.
func (c *check) changing(place at, by time.Duration) bool {
	for _, when := range []map[at]time.Duration{c.deletes, c.edits} {
		if began, changed := when[place]; changed && began < by {
			return true
		}
	}
	return false
}
