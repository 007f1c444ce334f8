package reading

import (
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// onItsWay is how long a notice may be under way to who takes it: as long as a target may take to answer.
const onItsWay = 10 * time.Second

// pushesOfDeleted: who is woken after a delete was acknowledged is not told the text. Only faults of those who tell hold up what is under way: that
// the store does not know of the delete yet is no excuse.
func (c *reader) pushesOfDeleted(v *verdict.Verdict, deleted map[at]*record.Op) {
	telling := grace.Of(&record.Record{
		Samples: c.r.Samples,
		Faults:  slices.DeleteFunc(slices.Clone(c.r.Faults), func(f record.Fault) bool { return !strings.Contains(f.Tier, "deliver") }),
	})
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		gone := deleted[at{space: c.spaceOf(op), seq: op.Message}]
		if op.F != record.Notify || gone == nil || op.Start <= gone.End {
			continue
		}
		v.Cases++
		if op.Body != "" && op.Start > telling.Until(gone.End, onItsWay) {
			v.Break(verdict.Violation{Rule: ruleDelete, Who: op.Who, What: "a later push holds it", Seqs: []int64{op.Message, gone.Seq}, History: lines(gone, op)})
		}
	}
}
