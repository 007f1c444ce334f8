package reading

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// acked is a send of somebody that was answered.
type acked struct {
	seq   int64
	since time.Duration // when
	until time.Duration // somebody began to delete it; 0: nobody
	op    *record.Op
}

// goings is when the first delete of a message that may have had effect began.
type goings map[at]time.Duration

func (g goings) note(place at, since time.Duration) {
	if before, there := g[place]; !there || since < before {
		g[place] = since
	}
}

// own is 9: who was answered a seq finds it on every page that covers it and was asked for later. What is being deleted meanwhile may be
// shown as deleted, or not at all: with the store down a page comes from the log, and there its text is taken out.
func (c *reader) own() verdict.Verdict {
	v := verdict.Verdict{Invariant: 9, Title: "one's own sends are read at once", CaseNoun: "own sends that a later page covers"}
	type of struct {
		who string
		in  at
	}
	sent := make(map[of][]acked)
	going := make(goings)
	var pages grouped[of]
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		k := of{op.Who, at{space: c.spaceOf(op), channel: op.Channel}}
		switch {
		case op.F == record.Send && op.Outcome == record.OK && op.Seq > 0:
			sent[k] = append(sent[k], acked{seq: op.Seq, since: op.End, op: op})
		case op.F == record.Delete && op.Outcome != record.Refused:
			going.note(at{k.in.space, k.in.channel, op.Message}, op.Start)
		case readable(op):
			pages.add(k, op)
		}
	}
	after := 0
	for _, k := range pages.keys {
		mine := sent[k]
		slices.SortStableFunc(mine, func(a, b acked) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.since, b.since)) })
		mine = slices.CompactFunc(mine, func(a, b acked) bool { return a.seq == b.seq })
		for i := range mine {
			if since, goes := going[at{k.in.space, k.in.channel, mine[i].seq}]; goes {
				mine[i].until = since
			}
		}
		for _, page := range pages.ops[k] {
			v.Cases += c.ownOn(&v, page, mine)
			if n := len(mine); n > 0 && mine[n-1].seq > page.Complete && mine[n-1].since < page.Start {
				after++
			}
		}
	}
	if after > 0 {
		v.Notes = fmt.Sprintf("%d pages said that they end before", after)
	}
	return v
}

// ownOn looks for sends, which rise by seq, on one page.
func (c *reader) ownOn(v *verdict.Verdict, page *record.Op, mine []acked) (cases int) {
	in, on := reachOf(page), seqsOf(page)
	i, _ := slices.BinarySearchFunc(mine, in.from, func(a acked, seq int64) int { return cmp.Compare(a.seq, seq) })
	for ; i < len(mine) && mine[i].seq <= in.to; i++ {
		if mine[i].since >= page.Start || mine[i].until > 0 && mine[i].until < page.End {
			continue
		}
		cases++
		if !on[mine[i].seq] {
			v.Break(verdict.Violation{
				Rule: "after the ack the sender's next read has the message, or says that it ends before",
				Who:  page.Who, What: fmt.Sprintf("a page that is complete through %d lacks it", page.Complete), Seqs: []int64{mine[i].seq},
				History: lines(mine[i].op, showing(page, 0)),
			})
		}
	}
	return cases
}

func seqsOf(page *record.Op) map[int64]bool {
	on := make(map[int64]bool, len(page.Messages))
	for _, m := range page.Messages {
		on[m.Seq] = true
	}
	return on
}
