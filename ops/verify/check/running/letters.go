package running

import (
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// letterOf is whose dead letter of which event.
type letterOf struct {
	space, consumer string
	seq             int64
}

// letters is the part of 18 that is of events which a consumer is past without having dealt with them: what nobody can read is a dead
// letter of who files messages, once, however its end was noticed; and nothing else is one, for an outage is no poison. It says how many
// events there were that nobody can read, and of how many of their letters nobody was told.
func (c *runner) letters(v *verdict.Verdict) (unreadable, untold int) {
	if c.r.End == nil || !c.r.End.Letters {
		return 0, 0 // nobody has looked
	}
	of := make(map[letterOf][]record.Line)
	for i := range c.r.Letters {
		l := &c.r.Letters[i]
		at := letterOf{l.Space, l.Consumer, l.Seq}
		of[at] = append(of[at], record.Line{Letter: l})
	}
	for _, w := range c.r.Run.Workspaces {
		for _, e := range c.l.Events(w.ID) {
			if e.Kind != record.Unreadable || e.Erased || e.Seq <= c.l.Ended(w.ID) { // a stream that was lost took its letters' originals along
				continue
			}
			unreadable++
			if n := len(of[letterOf{w.ID, persister, e.Seq}]); n != 1 {
				v.Break(verdict.Violation{
					Rule: "what nobody can read is a dead letter, once", Who: persister, What: fmt.Sprintf("there are %d letters of it", n),
					Seqs: []int64{e.Seq}, History: append([]record.Line{{Event: &e}}, of[letterOf{w.ID, persister, e.Seq}]...),
				})
			}
		}
	}
	for i := range c.r.Letters {
		l := &c.r.Letters[i]
		e, known := c.l.At(l.Space, l.Seq)
		if l.Found == byReconciliation {
			untold++
		}
		if known && !e.Erased && e.Kind != record.Unreadable && l.Seq > c.l.Ended(l.Space) && !c.forNothing(l) {
			v.Break(verdict.Violation{
				Rule: "an outage is no poison: what is well is no dead letter", Who: l.Consumer, What: l.Reason,
				Seqs: []int64{l.Seq}, History: []record.Line{{Event: &e}, {Letter: l}},
			})
		}
	}
	return unreadable, untold
}

// forNothing reports whether a letter may be of a message that nobody is owed any more: what showed that somebody had it, the cursor of their device,
// went with the device's sign-in. Who looks for what was given up without a word cannot know that (services/deliver, Missing).
func (c *runner) forNothing(l *record.Letter) bool {
	if l.Consumer != router || l.Found != byReconciliation {
		return false
	}
	stored := time.Duration(0)
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Send && op.Outcome == record.OK && !op.Duplicate && op.Seq == l.Seq && c.spaceOf(op) == l.Space {
			stored = op.End
		}
	}
	return slices.ContainsFunc(c.r.Ops, func(op record.Op) bool {
		return op.End > stored && op.Outcome != record.Refused && (op.F == record.Logout || op.F == record.Revoke || op.F == record.Ban)
	})
}

// router is the consumer that finds out who is owed what.
const router = "deliver"

// byReconciliation is record.Letter.Found of what nobody was told of.
const byReconciliation = "reconciliation"
