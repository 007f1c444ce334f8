// Package reading checks what people read, how it changes and who may see it: INVARIANTS 9, 10, 12, 13, 15 and 16.
//
// What is read is held against the log (ledger), and against what the same person or device was answered before. "Before" is of real
// time: one operation is before another when it had ended as the other one started. Each check goes through the record once.
//
// A page may be incomplete, when it says so (complete_through): then what lies after that is no loss. While a fault is on, a page may
// reach less far than the one before it; with nothing broken it may not.
package reading

import (
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// reader is a record as the checks look at it.
type reader struct {
	r *record.Record
	l *ledger.Ledger
	g *grace.Grace

	channels map[at][]int64 // seqs of messages, by channel; made when it is first asked for
}

// Check gives the verdicts of 9, 10, 12, 13, 15 and 16.
func Check(r *record.Record, l *ledger.Ledger) []verdict.Verdict {
	c := &reader{r: r, l: l, g: grace.Of(r)}
	return []verdict.Verdict{c.own(), c.back(), c.marks(), c.converge(), c.signedOut(), c.apart()}
}

// at is a channel, or a message, of a workspace.
type at struct {
	space   string
	channel string
	seq     int64
}

// spaceOf is the workspace that an op was about.
func (c *reader) spaceOf(op *record.Op) string { return cmp.Or(op.Workspace, c.l.Home(op.Who)) }

// lines is the history of a violation: ops in the order in which they ended.
func lines(ops ...*record.Op) []record.Line {
	slices.SortStableFunc(ops, func(a, b *record.Op) int { return cmp.Compare(a.End, b.End) })
	var all []record.Line
	for _, op := range ops {
		all = append(all, record.Line{Op: op})
	}
	return all
}

// showing is a page of which only one message, or none, is shown: a history is no longer than it must be.
func showing(op *record.Op, seq int64) *record.Op {
	short := *op
	short.Read = nil
	i := slices.IndexFunc(op.Messages, func(m record.Message) bool { return m.Seq == seq })
	if short.Messages = nil; i >= 0 {
		short.Messages = op.Messages[i : i+1]
	}
	return &short
}

// reach is the part of a channel that a page covers: what is in it and not on the page is missing.
type reach struct{ from, to int64 }

// reachOf goes by what was asked and what came: a page begins next to Before or After, or at the newest message, and ends at its last
// message when there is more. Nothing after complete_through is covered.
func reachOf(op *record.Op) reach {
	in := reach{1, op.Complete}
	oldest, newest := op.Before, op.After
	for i, m := range op.Messages {
		if i == 0 || m.Seq < oldest {
			oldest = m.Seq
		}
		newest = max(newest, m.Seq)
	}
	switch {
	case op.After != 0:
		in.from = op.After + 1
		if op.More {
			in.to = min(in.to, newest)
		}
		return in
	case op.Before != 0:
		in.to = min(in.to, op.Before-1)
	}
	if op.More {
		in.from = oldest
		if len(op.Messages) == 0 {
			in.from = in.to + 1 // there is more, and nothing came: it covers nothing
		}
	}
	return in
}

// readable reports whether an op is an answered page of a channel, not of a thread in it.
func readable(op *record.Op) bool {
	return op.F == record.Page && op.Outcome == record.OK && op.Channel != "" && op.Thread == 0
}

// byStart and byEnd are the ops of a kind in an order of time.
func byStart(ops []*record.Op) []*record.Op {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b *record.Op) int { return cmp.Compare(a.Start, b.Start) })
	return ops
}

func byEnd(ops []*record.Op) []*record.Op {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b *record.Op) int { return cmp.Compare(a.End, b.End) })
	return ops
}

// inTime goes through ops as they started, and tells of each one that had ended before that, once.
func inTime(ops []*record.Op, ended, started func(*record.Op)) {
	done := byEnd(ops)
	for _, op := range byStart(ops) {
		for len(done) > 0 && done[0].End < op.Start {
			ended(done[0])
			done = done[1:]
		}
		started(op)
	}
}

// grouped is ops by a key, the keys in the order in which they were met.
type grouped[K comparable] struct {
	keys []K
	ops  map[K][]*record.Op
}

func (g *grouped[K]) add(k K, op *record.Op) {
	if g.ops == nil {
		g.ops = make(map[K][]*record.Op)
	}
	if _, met := g.ops[k]; !met {
		g.keys = append(g.keys, k)
	}
	g.ops[k] = append(g.ops[k], op)
}

// changes reports whether an op may change what people read.
func changes(f record.F) bool {
	switch f {
	case record.Send, record.Edit, record.Delete, record.React, record.Unreact, record.Join, record.Leave, record.Add, record.Kick,
		record.Mark, record.Ban:
		return true
	}
	return false
}

// quiet is from when on nothing changes any more: every op that may change something has ended, and every fault.
func (c *reader) quiet() (from time.Duration, known bool) {
	for _, op := range c.r.Ops {
		if changes(op.F) {
			from = max(from, op.End)
		}
	}
	for _, f := range c.r.Faults {
		from = max(from, f.End)
	}
	return from, c.r.End != nil && c.r.End.Quiet
}
