package reading

import (
	"fmt"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
)

// unreadLook is how many messages after a mark are compared: the product counts the newest chat.MaxUnread, and looks at some more.
const unreadLook = chat.MaxUnread

// cursor is one person's mark of one channel.
type cursor struct {
	who string
	in  at
}

// marked is what is known of one cursor.
type marked struct {
	ops   []*record.Op // of which one mark was the answer, or one look
	said  []int64      // by each of ops
	acked int64        // the furthest that was answered
	most  int64        // the furthest that anybody marked, or was shown
}

// marks is 12: a read cursor never goes back, and is the same on all devices; unread counts are right.
func (c *reader) marks() verdict.Verdict {
	v := verdict.Verdict{Invariant: 12, Title: "a read cursor never goes back", CaseNoun: "marks and looks at marks"}
	all, order := c.cursors(&v)
	for _, k := range order {
		c.neverFalls(&v, k, all[k])
	}
	c.toldMarks(&v, all)
	compared, counted := c.marksAtQuiet(&v, all)
	v.Notes = fmt.Sprintf("when all was quiet: %d compared over devices, %d counts of unread", compared, counted)
	return v
}

// cursors gathers what was asked and answered, and looks at each answer alone.
func (c *reader) cursors(v *verdict.Verdict) (map[cursor]*marked, []cursor) {
	all, order := make(map[cursor]*marked), []cursor(nil)
	of := func(op *record.Op, channel string) *marked {
		k := cursor{op.Who, at{space: c.spaceOf(op), channel: channel}}
		if all[k] == nil {
			all[k] = new(marked)
			order = append(order, k)
		}
		return all[k]
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		switch {
		case op.F == record.Mark && op.Outcome != record.Refused:
			m := of(op, op.Channel)
			m.most = max(m.most, op.Message)
			if op.Outcome != record.OK {
				continue
			}
			v.Cases++
			m.ops, m.said = append(m.ops, op), append(m.said, op.Seq)
			m.acked, m.most = max(m.acked, op.Seq), max(m.most, op.Seq)
			// A gateway whose link is broken knows no more of the log than it had: no mark reaches further than that, and the answer says so.
			if op.Seq < op.Message && !c.g.Touched(op.Start, op.End) {
				v.Break(verdict.Violation{Rule: "a mark counts", Who: op.Who, What: "it was answered, and less counts", Seqs: []int64{op.Seq, op.Message}, History: lines(op)})
			}
		case op.F == record.Marks && op.Outcome == record.OK:
			for _, at := range op.Read {
				v.Cases++
				m := of(op, at.Channel)
				m.ops, m.said, m.most = append(m.ops, op), append(m.said, at.Seq), max(m.most, at.Seq)
				if at.Unread < 0 || at.Mentions < 0 || at.Mentions > at.Unread {
					v.Break(verdict.Violation{
						Rule: "unread is never negative", Who: op.Who, What: fmt.Sprintf("%d unread in %s, %d mentions", at.Unread, at.Channel, at.Mentions),
						History: lines(only(op, at)),
					})
				}
			}
		}
	}
	return all, order
}

// only is a look at marks of which one is shown.
func only(op *record.Op, at record.ReadAt) *record.Op {
	if op.F != record.Marks {
		return op
	}
	short := *op
	short.Read = []record.ReadAt{at}
	return &short
}

// shown is an op with what it says of one channel.
func shown(op *record.Op, channel string, seq int64) *record.Op {
	for _, at := range op.Read {
		if at.Channel == channel && at.Seq == seq {
			return only(op, at)
		}
	}
	return op
}

// neverFalls: what started after something else had ended shows no less.
func (c *reader) neverFalls(v *verdict.Verdict, k cursor, m *marked) {
	said := make(map[*record.Op]int64, len(m.ops))
	for i, op := range m.ops {
		said[op] = m.said[i]
	}
	var furthest *record.Op
	inTime(m.ops, func(op *record.Op) {
		if furthest == nil || said[op] > said[furthest] {
			furthest = op
		}
	}, func(op *record.Op) {
		if furthest != nil && said[op] < said[furthest] {
			v.Break(verdict.Violation{
				Rule: "a read cursor never goes back", Who: k.who, What: "in " + k.in.channel, Seqs: []int64{said[op], said[furthest]},
				History: lines(shown(furthest, k.in.channel, said[furthest]), shown(op, k.in.channel, said[op])),
			})
		}
	})
}

// toldMarks: no socket is told of more than somebody marked.
func (c *reader) toldMarks(v *verdict.Verdict, all map[cursor]*marked) {
	for i := range c.r.Told {
		t := &c.r.Told[i]
		if t.T != record.Marked {
			continue
		}
		v.Cases++
		m := all[cursor{t.Who, at{space: c.l.Home(t.Who), channel: t.Channel}}]
		if m == nil {
			m = new(marked)
		}
		if t.Seq > m.most {
			v.Break(verdict.Violation{
				Rule: "nobody is told of a mark that nobody made", Who: t.Who, What: fmt.Sprintf("the furthest in %s is %d", t.Channel, m.most),
				Seqs: []int64{t.Seq}, History: []record.Line{{Told: t}},
			})
		}
	}
}

// marksAtQuiet: after all marks have ended, every device sees the same one: the furthest.
func (c *reader) marksAtQuiet(v *verdict.Verdict, all map[cursor]*marked) (compared, counted int) {
	quiet, known := c.quiet()
	if !known {
		return 0, 0
	}
	first := make(map[cursor]*record.Op)
	value := make(map[cursor]record.ReadAt)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Marks || op.Outcome != record.OK || op.Start < quiet {
			continue
		}
		for _, a := range op.Read {
			k := cursor{op.Who, at{space: c.spaceOf(op), channel: a.Channel}}
			compared++
			if m := all[k]; a.Seq < m.acked {
				v.Break(verdict.Violation{
					Rule: "the furthest mark counts in the end", Who: op.Who, What: "less counts in " + a.Channel, Seqs: []int64{a.Seq, m.acked},
					History: lines(furthestMark(m), only(op, a)),
				})
			}
			if was, ok := value[k]; ok && was.Seq != a.Seq {
				v.Break(verdict.Violation{
					Rule: "a read cursor is the same on all devices", Who: op.Who, What: "in " + a.Channel, Seqs: []int64{was.Seq, a.Seq},
					History: lines(only(first[k], was), only(op, a)),
				})
			} else if !ok {
				first[k], value[k] = op, a
			}
			counted += c.counts(v, op, a)
		}
	}
	return compared, counted
}

func furthestMark(m *marked) *record.Op {
	for i, op := range m.ops {
		if op.F == record.Mark && m.said[i] == m.acked {
			return op
		}
	}
	return m.ops[0]
}

// counts holds a count of what is unread against the log: messages of others that are not deleted, after the mark and after the
// joining. It says 0 where the log does not tell.
func (c *reader) counts(v *verdict.Verdict, op *record.Op, a record.ReadAt) int {
	in := at{space: c.spaceOf(op), channel: a.Channel}
	user, events := c.l.UserID(op.Who), c.l.Events(in.space)
	tenures := c.l.Tenures(in.space, user, a.Channel)
	if user == "" || len(events) == 0 || len(tenures) == 0 || tenures[len(tenures)-1].To != 0 {
		return 0
	}
	base := max(a.Seq, tenures[len(tenures)-1].From)
	if base < events[0].Seq {
		return 0
	}
	want, looked := 0, 0
	var last int64
	for _, seq := range c.messagesAfter(in, base) {
		if looked++; looked > unreadLook {
			return 0
		}
		if m, ok := c.l.Message(in.space, seq); ok && m.Deleted == 0 && m.Sender != user {
			want, last = want+1, seq
		}
	}
	if a.Unread != want {
		v.Break(verdict.Violation{
			Rule: "what is unread is counted right in the end", Who: op.Who,
			What: fmt.Sprintf("%d in %s after %d, and the log has %d", a.Unread, a.Channel, base, want), Seqs: seqsFrom(base, last), History: lines(only(op, a)),
		})
	} else if direct(c.l, in) && a.Mentions != want {
		v.Break(verdict.Violation{
			Rule: "in a direct conversation all that is unread names one", Who: op.Who,
			What: fmt.Sprintf("%d mentions of %d in %s", a.Mentions, want, a.Channel), Seqs: seqsFrom(base, last), History: lines(only(op, a)),
		})
	}
	return 1
}

func seqsFrom(base, last int64) []int64 {
	if last == 0 {
		return []int64{base}
	}
	return []int64{base, last}
}

func direct(l *ledger.Ledger, in at) bool {
	return chat.ChannelType(l.Type(in.space, in.channel)).Direct()
}
