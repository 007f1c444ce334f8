package messages

import (
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// ruleEarly is of 3, for what was refused, and was stored when it was sent again: it is shown then, and nobody sees by that alone whether the
// refusal was one.
const ruleEarly = "what was refused is not there before it is sent again"

// returned looks at ids that were refused until a try was stored: nobody may have seen them before that began, nor may it be answered that they
// were there already. The latter counts where a hand sends once alone, and nobody sends an id twice at a time, as in a phase.
func (c *check) returned() {
	v, told, cases := c.of(3), c.firstTold(), 0
	for _, key := range c.sortedIDs() {
		refused, stored := c.ids6[key].returned()
		if stored == nil {
			continue
		}
		cases++
		b := verdict.Violation{Rule: ruleEarly, Who: stored.Who, What: stored.ID, Seqs: []int64{stored.Seq}}
		if t := told[key]; t != nil && t.Time < stored.Start {
			b.History = verdict.Lines(refused, t, stored)
			v.Break(b)
		} else if stored.Duplicate && stored.Phase != "" {
			b.History = verdict.Lines(refused, stored)
			v.Break(b)
		}
	}
	v.Cases += cases
	c.note(3, "refused, and stored when they were sent again: %d", cases)
}

// returned is the first try that was stored, and the last before it, when all of those were refused before it began; nil: it was not so.
func (id *identity) returned() (refused, stored *record.Op) {
	var ended time.Duration
	for _, op := range id.tries {
		if op.Outcome == record.Refused {
			refused, ended = op, max(ended, op.End)
			continue
		}
		if op.Outcome == record.OK && refused != nil && ended < op.Start {
			return refused, op
		}
		break // one of unknown outcome may have been stored, or one that went out beside
	}
	return nil, nil
}

// firstTold is when a message was told to anybody first.
func (c *check) firstTold() map[idKey]*record.Told {
	first := map[idKey]*record.Told{}
	for i := range c.r.Told {
		t := &c.r.Told[i]
		if t.T != record.Posted || t.ID == "" {
			continue
		}
		key := idKey{c.l.Home(t.Who), t.Sender, t.ID}
		if before := first[key]; before == nil || t.Time < before.Time {
			first[key] = t
		}
	}
	return first
}
