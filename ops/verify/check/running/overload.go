package running

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// Phases of the part of a run that measures capacity, and of the one that goes beyond what one person may (record.Op.Phase).
const (
	peak   = "peak"
	double = "double"
	burst  = "burst"
)

// usefulLeast is the useful work at twice the load, of what it is at the peak.
const usefulLeast = 0.8

// phase is what came of the sends of one, in one of its rounds.
type phase struct {
	name             string
	all, ok, refused int
	from, to         time.Duration
}

// rate is messages stored a second.
func (p phase) rate() float64 {
	if p.to <= p.from {
		return 0
	}
	return float64(p.ok) / (p.to - p.from).Seconds()
}

// overload is 21: past capacity a refusal says so and when to come back, and the rest goes on.
func (c *runner) overload() verdict.Verdict {
	v := verdict.Verdict{Invariant: 21, Title: "overload is honest", CaseNoun: "sends at twice the load, and more than one may"}
	var rounds []phase
	for _, op := range c.phaseOps(peak, double) {
		if n := len(rounds); n == 0 || rounds[n-1].name != op.Phase {
			rounds = append(rounds, phase{name: op.Phase, from: op.Start})
		}
		p := &rounds[len(rounds)-1]
		p.from, p.to = min(p.from, op.Start), max(p.to, op.End)
		c.count(&v, p, op)
	}
	c.useful(&v, rounds)
	c.bursts(&v)
	return v
}

// count takes what came of a send of a phase.
func (c *runner) count(v *verdict.Verdict, p *phase, op *record.Op) {
	p.all++
	switch op.Outcome {
	case record.OK:
		p.ok++
	case record.Refused:
		p.refused++
		c.refusal(v, op)
	default:
		v.Break(verdict.Violation{Rule: "past capacity a refusal is explicit", Who: op.Who, What: "the outcome is unknown: " + op.Code, History: opLine(op)})
	}
}

// bursts looks at what one person sends beyond what one may: how much of it is stored when is no matter, but refusals are honest.
func (c *runner) bursts(v *verdict.Verdict) {
	p := phase{name: burst}
	for _, op := range c.phaseOps(burst) {
		c.count(v, &p, op)
	}
	if v.Cases += p.all; p.all > 0 {
		v.Notes = join(v.Notes, fmt.Sprintf("in bursts %d of %d refused", p.refused, p.all))
	}
}

// useful compares each round at twice the load with the peak before it. A machine has other things to do now and then: what breaks down
// under its load does so in every round.
func (c *runner) useful(v *verdict.Verdict, rounds []phase) {
	best, refused, compared := 0.0, 0, 0
	for i, p := range rounds {
		if p.name != double {
			continue
		}
		v.Cases, refused = v.Cases+p.all, refused+p.refused
		if i == 0 || rounds[i-1].rate() == 0 {
			continue
		}
		before := rounds[i-1]
		compared++
		best = max(best, p.rate()/before.rate())
		v.Notes = join(v.Notes, fmt.Sprintf("%.0f/s at the peak, %.0f/s at twice the load", before.rate(), p.rate()))
	}
	if compared == 0 {
		v.Notes = "capacity was not measured"
		return
	}
	v.Notes = join(v.Notes, fmt.Sprintf("%d refused", refused))
	if best < usefulLeast && !c.g.Touched(rounds[0].from, rounds[len(rounds)-1].to) {
		v.Break(verdict.Violation{
			Rule: "useful work at twice the load stays above 80 % of the peak",
			What: fmt.Sprintf("in none of %d rounds: %.0f %% at best", compared, 100*best),
		})
	}
}

// phaseOps are the sends of some phases, in the order in which they began.
func (c *runner) phaseOps(of ...string) []*record.Op {
	var all []*record.Op
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Send && slices.Contains(of, op.Phase) {
			all = append(all, op)
		}
	}
	slices.SortStableFunc(all, func(a, b *record.Op) int { return cmp.Compare(a.Start, b.Start) })
	return all
}

func (c *runner) refusal(v *verdict.Verdict, op *record.Op) {
	switch kind := fault.Kind(op.Code); {
	case kind != fault.RateLimited && kind != fault.Unavailable:
		v.Break(verdict.Violation{Rule: "past capacity a refusal says that it is too much", Who: op.Who, What: op.Code, History: opLine(op)})
	case op.RetryIn <= 0:
		v.Break(verdict.Violation{Rule: "past capacity a refusal says when to try again", Who: op.Who, What: op.Code, History: opLine(op)})
	}
}

// poisons are the faults that put garbage into the log.
var poisons = []string{"poison", "lost-advisories"}

// kinds are those of events that are stored (schemas/event).
var kinds = []event.Kind{
	event.MessagePosted, event.MessageEdited, event.MessageDeleted, event.ReactionAdded, event.ReactionRemoved, event.PinAdded,
	event.PinRemoved, event.MemberJoined, event.MemberLeft, event.MemberUpdated, event.ChannelCreated, event.ChannelUpdated,
	event.ChannelArchived, event.UserUpdated, event.WorkspaceUpdated,
}

// beside is how long after a typing something counts as beside it.
const beside = 250 * time.Millisecond

// fleeting is 22: typing and presence never enter history, never come to who may not see them, and delay nothing.
func (c *runner) fleeting() verdict.Verdict {
	v := verdict.Verdict{Invariant: 22, Title: "typing and presence stay fleeting", CaseNoun: "typings and statuses"}
	texts := make(map[string]*record.Op)
	var typed []time.Duration
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Typing && op.F != record.Status {
			continue
		}
		v.Cases++
		typed = append(typed, op.Start)
		if op.Body != "" {
			texts[op.Body] = op
		}
	}
	poisoned := slices.ContainsFunc(c.r.Faults, func(f record.Fault) bool { return slices.Contains(poisons, f.Name) })
	for i := range c.r.Events {
		e := &c.r.Events[i]
		what := ""
		switch {
		case e.Kind == "" && e.Erased:
		case e.Kind == record.Unreadable && poisoned:
		case !slices.Contains(kinds, event.Kind(e.Kind)):
			what = fmt.Sprintf("the log has a %q", e.Kind)
		case texts[e.Body] != nil:
			what = "the log has a status"
		}
		if what != "" {
			v.Break(verdict.Violation{
				Rule: "typing and presence never enter the log", Who: e.Source, What: what, Seqs: []int64{e.Seq}, History: []record.Line{{Event: e}},
			})
		}
	}
	for i := range c.r.Kept {
		if k := &c.r.Kept[i]; texts[k.Body] != nil {
			v.Break(verdict.Violation{
				Rule: "typing and presence never enter history", Who: k.View, What: "it has a status", Seqs: []int64{k.Seq},
				History: []record.Line{{Op: texts[k.Body]}, {Kept: k}},
			})
		}
	}
	c.typedToMembers(&v)
	c.sendsBeside(&v, typed)
	return v
}

// typedToMembers: a typing comes to who is in its channel, of who is in it. A socket may be behind, so who was in it after what the
// socket was told last counts too.
func (c *runner) typedToMembers(v *verdict.Verdict) {
	at := make(map[string]int64)
	for i := range c.r.Told {
		t := &c.r.Told[i]
		if t.T == record.Posted || t.T == record.Changed {
			at[t.Conn] = max(at[t.Conn], t.Seq)
		}
		if t.T != record.Typed {
			continue
		}
		space := c.l.Home(t.Who)
		for _, user := range []string{c.l.UserID(t.Who), t.User} {
			late := user == t.User && c.g.Touched(t.Time, t.Time) // the gateway of who types may not have heard yet that they were taken out
			if user != "" && !late && c.never(space, user, t.Channel, at[t.Conn]) {
				v.Break(verdict.Violation{
					Rule: "typing comes only to and from members", Who: t.Conn, What: user + " is not in " + t.Channel, History: []record.Line{{Told: t}},
				})
				break
			}
		}
	}
}

// never reports whether somebody was in a channel neither at a seq nor at any later one. What the log does not tell is no.
func (c *runner) never(space, user, channel string, seq int64) bool {
	if in, known := c.l.Member(space, user, channel, seq); in || !known {
		return false
	}
	for _, t := range c.l.Tenures(space, user, channel) {
		if t.To == 0 || t.To > seq {
			return false
		}
	}
	return true
}

// sendsBeside: a send that goes out just after somebody typed takes as long as another.
func (c *runner) sendsBeside(v *verdict.Verdict, typed []time.Duration) {
	slices.Sort(typed)
	var times [2][]time.Duration
	var late time.Duration
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Send || op.Outcome != record.OK || op.Over != record.Socket || op.Phase != "" || c.g.Touched(op.Start, op.End) {
			continue
		}
		j, _ := slices.BinarySearch(typed, op.Start-beside)
		near := 0
		if j < len(typed) && typed[j] <= op.End {
			near, late = 1, max(late, c.g.Late(op.Start, op.End))
		}
		times[near] = append(times[near], op.End-op.Start)
	}
	c.slower(v, "sends beside typing keep their latency", &times, late)
}
