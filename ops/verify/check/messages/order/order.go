// Package order checks a sender's order, and that of replies: INVARIANTS 7, but for what sockets tell, which is looked at where sockets are.
package order

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// The rules, in words of INVARIANTS.
const (
	ruleOwn   = "a sender's own sends keep their order"
	ruleReply = "a reply never precedes its root"
)

// checking is one checking.
type checking struct {
	r *record.Record
	l *ledger.Ledger
	v *verdict.Verdict
}

// Check adds to a verdict what each sender did one after the other, and replies. Ops say their workspace.
func Check(r *record.Record, l *ledger.Ledger, v *verdict.Verdict) {
	c := &checking{r, l, v}
	byWho, byConn := map[string][]*record.Op{}, map[string][]*record.Op{}
	var people, conns []string
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if (op.F != record.Send && op.F != record.Edit) || op.Outcome != record.OK || op.Seq == 0 {
			continue
		}
		who := op.Workspace + " " + op.Who
		if byWho[who] == nil {
			people = append(people, who)
		}
		byWho[who] = append(byWho[who], op)
		if op.F == record.Send && op.Conn != "" && op.Over != record.REST && op.Phase == "" && !repeats(op) {
			if byConn[op.Conn] == nil {
				conns = append(conns, op.Conn)
			}
			byConn[op.Conn] = append(byConn[op.Conn], op)
		}
	}
	for _, who := range people {
		c.sequential(byWho[who])
	}
	slack := c.slack()
	for _, conn := range conns {
		c.issued(byConn[conn], slack)
	}
	c.replies()
}

// repeats reports whether an op is answered the seq of an earlier one.
func repeats(op *record.Op) bool { return op.Again || op.Duplicate }

// sequential holds that what began after something else had ended is later in the log.
func (c *checking) sequential(ops []*record.Op) {
	v := c.v
	ended := slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b *record.Op) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortStableFunc(ended, func(a, b *record.Op) int { return cmp.Compare(a.End, b.End) })
	var last *record.Op // of those that have ended, the one that is latest in the log
	next := 0
	for _, op := range ops {
		for next < len(ended) && ended[next].End < op.Start {
			if last == nil || ended[next].Seq > last.Seq {
				last = ended[next]
			}
			next++
		}
		if repeats(op) || last == nil {
			continue
		}
		v.Cases++
		if op.Seq <= last.Seq {
			v.Break(verdict.Violation{Rule: ruleOwn, Who: op.Who, What: fmt.Sprintf("%q began after %q was answered", op.Body, last.Body), Seqs: []int64{last.Seq, op.Seq}, History: verdict.Lines(last, op)})
		}
	}
}

// leastSlack is how much later one send must have begun than another on its conn to count as issued after it: what numbers ops is not what
// puts them on the wire, and between the two another goroutine may come first. To it comes how late timers were. Where capacity is
// measured sends also wait for room in a client, in any order: there the rule does not apply.
const leastSlack = 250 * time.Millisecond

func (c *checking) slack() time.Duration {
	late := 0.0
	for _, s := range c.r.Samples {
		if s.Name == record.Lateness {
			late = max(late, s.Value)
		}
	}
	return leastSlack + time.Duration(late)
}

// issued holds that sends which waited together on one conn are in the log in the order in which they were issued.
func (c *checking) issued(ops []*record.Op, slack time.Duration) {
	v := c.v
	slices.SortStableFunc(ops, func(a, b *record.Op) int { return cmp.Compare(a.Start, b.Start) })
	var last *record.Op
	next := 0
	for _, op := range ops {
		for ; next < len(ops) && ops[next].Start < op.Start-slack; next++ {
			if last == nil || ops[next].Seq > last.Seq {
				last = ops[next]
			}
		}
		if last == nil || last.End < op.Start { // the other rule has it
			continue
		}
		v.Cases++
		if op.Seq <= last.Seq {
			v.Break(verdict.Violation{Rule: ruleOwn, Who: op.Conn, What: fmt.Sprintf("%q was issued after %q", op.Body, last.Body), Seqs: []int64{last.Seq, op.Seq}, History: verdict.Lines(last, op)})
		}
	}
}

// replies holds that a reply comes after its root.
func (c *checking) replies() {
	v := c.v
	for _, space := range c.l.Spaces() {
		for _, seq := range c.l.Messages(space) {
			m, _ := c.l.Message(space, seq)
			if m.Thread == 0 {
				continue
			}
			v.Cases++
			if root, _ := c.l.At(space, m.Thread); m.Thread >= seq {
				v.Break(verdict.Violation{Rule: ruleReply, Who: m.Sender, What: fmt.Sprintf("%q replies to %d", m.Body, m.Thread), Seqs: []int64{m.Thread, seq}, History: verdict.Lines(root, m.Event)})
			}
		}
	}
}
