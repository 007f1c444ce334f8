package reading

import (
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// Rules of 13.
const (
	ruleEdit    = "the highest edit wins"
	ruleReact   = "reactions are those that the log leaves"
	ruleDelete  = "a delete dominates"
	ruleUndying = "what was not deleted is not shown as deleted"
)

// erasure is how long after a delete its text may still be in the log: it is taken out when the stores have the delete.
const erasure = 5 * time.Second

// vain is how long a page takes at least when the end of the log was asked for and did not come: it ends before it then, and says so.
const vain = time.Second

// converge is 13: in the end all shows what the log makes of it; and no read, and no push, holds what was deleted before.
func (c *reader) converge() verdict.Verdict {
	v := verdict.Verdict{Invariant: 13, Title: "edits converge, deletes dominate", CaseNoun: "changed messages read, or told"}
	deleted := c.deletes()
	c.keptAsTheLog(&v)
	ended := c.pagesAsTheLog(&v)
	behind := c.readsOfDeleted(&v, deleted)
	c.pushesOfDeleted(&v, deleted)
	told := c.toldOfDeleted(&v, deleted)
	v.Notes = fmt.Sprintf("%d deletes, %d pages when all was quiet, %d posts told of deleted messages", len(deleted), ended, told)
	if behind > 0 {
		v.Notes += fmt.Sprintf(", %d reads while something was broken or too busy said that they end before the delete", behind)
	}
	return v
}

// deletes is the first acknowledged delete of each message.
func (c *reader) deletes() map[at]*record.Op {
	all := make(map[at]*record.Op)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Delete || op.Outcome != record.OK {
			continue
		}
		k := at{space: c.spaceOf(op), seq: op.Message}
		if old := all[k]; old == nil || op.End < old.End {
			all[k] = op
		}
	}
	return all
}

// keptAsTheLog looks at what all views had when all was quiet.
func (c *reader) keptAsTheLog(v *verdict.Verdict) {
	if c.r.End == nil || !c.r.End.Quiet {
		return
	}
	for i := range c.r.Kept {
		k := &c.r.Kept[i]
		m, known := c.l.Message(k.Space, k.Seq)
		if !known || m.Channel != k.Channel {
			continue // 2 and 8 say that
		}
		if k.Replay {
			c.replayAsTheLog(v, k, m)
			continue
		}
		if rule, what := differs(m, k.Message); rule != "" {
			v.Break(verdict.Violation{Rule: rule, Who: k.View, What: what, Seqs: []int64{k.Seq}, History: append(history(m), record.Line{Kept: k})})
		}
		v.Cases += casesOf(m)
	}
}

// casesOf: a message that nobody changed could not have been changed wrongly.
func casesOf(m *ledger.Message) int {
	if len(m.Edits) > 0 || m.Deleted != 0 || len(m.Reactions) > 0 {
		return 1
	}
	return 0
}

// replayAsTheLog looks at what a fresh socket told of a message. Who was not in the channel for a while was not told of what
// happened to it meanwhile; so any text that it had may be the last one, but for a delete that its reader was told of.
func (c *reader) replayAsTheLog(v *verdict.Verdict, k *record.Kept, m *ledger.Message) {
	v.Cases += casesOf(m)
	rule, what := "", ""
	switch {
	case m.Deleted != 0 && !k.Deleted && k.Body != "" && c.toldOf(k, m.Deleted):
		rule, what = ruleDelete, "a replay holds the text"
	case m.Deleted == 0 && k.Deleted:
		rule, what = ruleUndying, "a replay says that it is"
	case m.Deleted == 0 && !m.Has(k.Body):
		rule, what = ruleEdit, "it never had this text"
	case m.Deleted == 0 && len(m.Edits) > 0 && k.Edited && k.Body != m.Shown().Body && c.toldOf(k, m.Edits[len(m.Edits)-1].Seq):
		rule, what = ruleEdit, "a replay has an older text"
	}
	if rule != "" {
		v.Break(verdict.Violation{Rule: rule, Who: k.View, What: what, Seqs: []int64{k.Seq}, History: append(history(m), record.Line{Kept: k})})
	}
}

// toldOf reports whether a replay's reader was told of an event.
func (c *reader) toldOf(k *record.Kept, seq int64) bool {
	e, ok := c.l.At(k.Space, seq)
	if !ok {
		return false
	}
	sees, known := c.l.Visible(k.Space, c.l.UserID(k.Who), e)
	return sees && known
}

// differs says in what a message is not as the log leaves it.
func differs(m *ledger.Message, got record.Message) (rule, what string) {
	want := m.Shown()
	switch {
	case want.Deleted && (!got.Deleted || got.Body != ""):
		return ruleDelete, "it is shown after all was quiet"
	case want.Deleted:
		return "", ""
	case got.Deleted:
		return ruleUndying, "the log has no delete of it"
	case got.Body != want.Body && m.Has(got.Body):
		return ruleEdit, "an older text is shown"
	case got.Body != want.Body && !m.Erased:
		return ruleEdit, "a text is shown that it never had"
	case !slices.Equal(sorted(got.Reactions), want.Reactions) && len(got.Reactions)+len(want.Reactions) > 0:
		return ruleReact, fmt.Sprintf("%q, and not %q", got.Reactions, want.Reactions)
	}
	return "", ""
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

// history is what the log says of a message's text: the post, the last edit, the delete.
func history(m *ledger.Message) []record.Line {
	post := m.Event
	all := []record.Line{{Event: &post}}
	if n := len(m.Edits); n > 0 {
		all = append(all, record.Line{Event: &m.Edits[n-1]})
	}
	if m.Deleted != 0 {
		all = append(all, record.Line{Event: &record.Event{
			Source: m.Source, Space: m.Space, Epoch: m.Epoch, Seq: m.Deleted, Channel: m.Channel, Kind: string(event.MessageDeleted), Message: m.Seq,
		}})
	}
	return all
}

// pagesAsTheLog looks at pages that were asked for after everything had ended.
func (c *reader) pagesAsTheLog(v *verdict.Verdict) (pages int) {
	quiet, known := c.quiet()
	if !known {
		return 0
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Page || op.Outcome != record.OK || op.Start < quiet {
			continue
		}
		pages++
		space := c.spaceOf(op)
		for _, got := range op.Messages {
			m, known := c.l.Message(space, got.Seq)
			if !known || lastChange(m) > op.Complete {
				continue
			}
			v.Cases += casesOf(m)
			if rule, what := differs(m, got); rule != "" {
				v.Break(verdict.Violation{
					Rule: rule, Who: op.Who, What: what, Seqs: []int64{got.Seq}, History: append(history(m), lines(showing(op, got.Seq))...),
				})
			}
		}
	}
	return pages
}

func lastChange(m *ledger.Message) int64 {
	last := max(m.Seq, m.Deleted)
	if n := len(m.Edits); n > 0 {
		last = max(last, m.Edits[n-1].Seq)
	}
	return last
}

// readsOfDeleted: what was asked for after a delete was acknowledged does not hold the text.
func (c *reader) readsOfDeleted(v *verdict.Verdict, deleted map[at]*record.Op) (behind int) {
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.Outcome != record.OK || op.F != record.Page && op.F != record.Search {
			continue
		}
		space := c.spaceOf(op)
		for _, m := range op.Messages {
			gone := deleted[at{space: space, seq: m.Seq}]
			if gone == nil || op.Start <= gone.End {
				continue
			}
			v.Cases++
			switch {
			case m.Deleted && m.Body == "":
			case op.F == record.Page && op.Complete < gone.Seq && (op.End-op.Start >= vain || c.g.Touched(op.Start, op.End)):
				behind++
			default:
				v.Break(verdict.Violation{
					Rule: ruleDelete, Who: op.Who, What: fmt.Sprintf("a later %s shows it", op.F), Seqs: []int64{m.Seq, gone.Seq},
					History: lines(gone, showing(op, m.Seq)),
				})
			}
		}
	}
	return behind
}

// place is where a conn is in the log.
type place struct {
	seq   int64         // everything up to it was told
	began time.Duration // when its socket was asked for
	asked time.Duration // since when what it fills in can have been asked for
}

// toldOfDeleted: a post may still come with its text where the delete comes after it, on a socket that was there before the delete. A
// replay, and what is filled in from history, must not hold it any more.
func (c *reader) toldOfDeleted(v *verdict.Verdict, deleted map[at]*record.Op) (posts int) {
	asked := make(map[string]time.Duration)
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Connect && op.Conn != "" {
			asked[op.Conn] = op.Start
		}
	}
	places := make(map[string]*place)
	for i := range c.r.Told {
		t := &c.r.Told[i]
		p := places[t.Conn]
		if p == nil {
			p = &place{began: asked[t.Conn]}
			places[t.Conn] = p
		}
		switch t.T {
		case record.Hello:
			_, p.seq, _ = ledger.Position(t.Cursor)
		case record.Offline:
			p.began = t.Time // the next socket of this conn is asked for after that
		case record.Gap, record.Resync:
			p.asked = t.Time
		case record.Posted:
			if gone := deleted[at{space: c.l.Home(t.Who), seq: t.Seq}]; gone != nil && gone.End < t.Time {
				posts++
				v.Cases++
				c.toldPost(v, t, p, gone)
			}
		}
		if !t.Filled && t.Channel+t.Kind != "" && (t.T == record.Posted || t.T == record.Changed) {
			p.seq = max(p.seq, t.Seq)
		}
	}
	return posts
}

func (c *reader) toldPost(v *verdict.Verdict, t *record.Told, p *place, gone *record.Op) {
	what := ""
	switch {
	case t.Body == "":
	case t.Filled && gone.End < p.asked:
		what = "filled in from history, it has its text"
	case !t.Filled && p.seq >= gone.Seq && gone.Seq > 0:
		what = "it is told with its text on a socket that was told of the delete"
	case !t.Filled && p.began > 0 && c.g.Until(gone.End, erasure) < p.began:
		what = "a replay that began after the delete has its text"
	}
	if what != "" {
		v.Break(verdict.Violation{
			Rule: ruleDelete, Who: t.Conn, What: what, Seqs: []int64{t.Seq, gone.Seq}, History: append(lines(gone), record.Line{Told: t}),
		})
	}
}
