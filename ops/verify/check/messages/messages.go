// Package messages checks what INVARIANTS promises of messages: nothing lost, nothing invented, one order without holes, one seq for
// an id, all views alike, exact resumes, and nothing shown to who was not there (1 to 8, 11, 14).
//
// Each check holds what people did (Op), what sockets told (Told) and what views had (Kept, Event) against the ledger. All of them go
// through the record once or sort it; none compares each with each. What the record does not know is no violation: a log that was cut
// off, a membership from before the log, text that a delete took out of it.
package messages

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/messages/order"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// promises are what is checked here: the number in INVARIANTS, in few words, and what is counted.
var promises = []verdict.Verdict{
	{Invariant: 1, Title: "no loss", CaseNoun: "sends acknowledged"},
	{Invariant: 2, Title: "no invention", CaseNoun: "messages shown anywhere"},
	{Invariant: 3, Title: "refused: never, unknown: once", CaseNoun: "sends and changes refused or of unknown outcome"},
	{Invariant: 4, Title: "one order", CaseNoun: "events shown anywhere"},
	{Invariant: 5, Title: "no hole", CaseNoun: "events told after another one"},
	{Invariant: 6, Title: "one seq for an id", CaseNoun: "ids sent more than once"},
	{Invariant: 7, Title: "a sender's order, and replies", CaseNoun: "pairs of sends, and replies"},
	{Invariant: 8, Title: "all views agree", CaseNoun: "channels in views, and copies of logs"},
	{Invariant: 11, Title: "exact resume", CaseNoun: "resumes with something to deliver"},
	{Invariant: 14, Title: "nothing to non-members", CaseNoun: "events not to be shown to a socket, and reads of closed channels"},
}

// Check holds a record against the promises about messages: a verdict each.
func Check(r *record.Record, l *ledger.Ledger) []verdict.Verdict {
	placed := *r
	placed.Ops = slices.Clone(r.Ops)
	for i, op := range placed.Ops {
		placed.Ops[i].Workspace = cmp.Or(op.Workspace, l.Home(op.Who))
		placed.Ops[i].Outcome = ledger.Outcome(&op)
	}
	c := &check{r: &placed, l: l, verdicts: slices.Clone(promises)}
	c.index()
	c.acknowledged()
	c.refused()
	c.returned()
	c.ids()
	c.shown()
	c.sockets()
	order.Check(&placed, l, c.of(7))
	c.copies()
	c.views()
	c.reads()
	return c.verdicts
}

// check is one checking. The indices are made first, and not changed then.
type check struct {
	r        *record.Record
	l        *ledger.Ledger
	verdicts []verdict.Verdict

	ids6    map[idKey]*identity
	acts    map[actKey]*act
	deletes map[at]time.Duration     // when the first delete of a message that may have had effect began
	edits   map[at]time.Duration     // the same of edits
	comers  map[visitor][]*record.Op // by whom they bring in
	others  int                      // messages of people who are not in the run
}

// at is a place in a log.
type at struct {
	space string
	seq   int64
}

// of is the verdict of an invariant.
func (c *check) of(invariant int) *verdict.Verdict {
	i := slices.IndexFunc(c.verdicts, func(v verdict.Verdict) bool { return v.Invariant == invariant })
	return &c.verdicts[i]
}

func (c *check) broken(invariant int, b verdict.Violation) { c.of(invariant).Break(b) }

func (c *check) note(invariant int, format string, args ...any) {
	v := c.of(invariant)
	if v.Notes != "" {
		v.Notes += "; "
	}
	v.Notes += fmt.Sprintf(format, args...)
}

// quiet reports whether what should be the same everywhere must be.
func (c *check) quiet() bool { return c.r.End != nil && c.r.End.Quiet }

// covers reports whether the log must have a seq: it does not know what was before it; and when the run was broken off, neither what
// came after what it has.
func (c *check) covers(space string, seq int64) bool {
	events := c.l.Events(space)
	return len(events) > 0 && seq >= events[0].Seq && (c.r.End != nil || seq <= c.l.Last(space))
}
