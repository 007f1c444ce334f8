package running

import (
	"fmt"

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
		if known && !e.Erased && e.Kind != record.Unreadable && l.Seq > c.l.Ended(l.Space) {
			v.Break(verdict.Violation{
				Rule: "an outage is no poison: what is well is no dead letter", Who: l.Consumer, What: l.Reason,
				Seqs: []int64{l.Seq}, History: []record.Line{{Event: &e}, {Letter: l}},
			})
		}
	}
	return unreadable, untold
}

// byReconciliation is record.Letter.Found of what nobody was told of.
const byReconciliation = "reconciliation"
