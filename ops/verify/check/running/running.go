// Package running checks that a deployment stays up, bounded and honest: INVARIANTS 17 to 22.
//
// Some of these promises are of time and of size. Their limits stand here, with names; a machine that is late itself is allowed that
// much more (grace), and what a fault touches is compared with nothing.
package running

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/fault"
)

// runner is a record as the checks look at it.
type runner struct {
	r *record.Record
	l *ledger.Ledger
	g *grace.Grace
}

// Check gives the verdicts of 17 to 22.
func Check(r *record.Record, l *ledger.Ledger) []verdict.Verdict {
	c := &runner{r, l, grace.Of(r)}
	return []verdict.Verdict{c.jobs(), c.catchUp(), c.without(), c.bounded(), c.overload(), c.fleeting()}
}

func (c *runner) spaceOf(op *record.Op) string { return cmp.Or(op.Workspace, c.l.Home(op.Who)) }

func opLine(op *record.Op) []record.Line { return []record.Line{{Op: op}} }

// catchUp is 18: after the last fault everything is done by itself, and nobody is connected but silent.
func (c *runner) catchUp() verdict.Verdict {
	v := verdict.Verdict{Invariant: 18, Title: "all catches up", CaseNoun: "consumers, open conns, faults, unreadable events"}
	end := c.r.End
	if end == nil {
		v.Notes = "the run was broken off"
		return v
	}
	line := []record.Line{{End: end}}
	for _, what := range end.Unmet {
		v.Break(verdict.Violation{Rule: "after the last fault all becomes quiet", What: "waited for in vain: " + what, History: line})
	}
	for _, conn := range end.Silent {
		v.Break(verdict.Violation{Rule: "no session stays connected but silent", Who: conn, What: "it was not told of the last message", History: line})
	}
	last := make(map[string]*record.Sample)
	for i := range c.r.Samples {
		if s := &c.r.Samples[i]; s.Name == record.Pending && s.When == quiet {
			last[s.Process] = s
		}
	}
	for _, consumer := range sortedKeys(last) {
		if s := last[consumer]; s.Value != 0 {
			v.Break(verdict.Violation{
				Rule: "after the last fault consumers catch up", Who: consumer, What: fmt.Sprintf("%.0f are not done", s.Value), History: []record.Line{{Sample: s}},
			})
		}
	}
	unreadable, untold := c.letters(&v)
	v.Cases = len(last) + end.Open + len(c.r.Faults) + unreadable
	v.Notes = fmt.Sprintf("%d consumers, %d conns open when all was quiet, %d faults", len(last), end.Open, len(c.r.Faults))
	if unreadable > 0 {
		v.Notes = join(v.Notes, fmt.Sprintf("%d events that nobody can read, of %d of which nobody was told", unreadable, untold))
	}
	return v
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// What a time may be of what it is without a fault.
const (
	slowerTimes = 3
	slowerBy    = 250 * time.Millisecond
	enough      = 10 // of a kind, for a median that says something
)

// median of durations; it sorts them. There is at least one.
func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// plain are tiers that messages do not go through; with is what else a link's name may say.
var (
	plain = []string{"cassandra", "search", "s3"}
	with  = []string{"api", "history", "archive", "deliver"}
)

const persister = "persist"

// Aside reports whether a tier is one that connecting, sending and live delivery do without, or a link to one.
func Aside(tier string) bool {
	if tier == persister || strings.HasPrefix(tier, persister+"-") {
		return true // it fills the store; its link to the hub is nobody else's
	}
	some := false
	for _, part := range strings.Split(tier, "-") {
		switch {
		case slices.Contains(plain, part):
			some = true
		case !slices.Contains(with, part):
			return false
		}
	}
	return some
}

// WithoutStores is the number of the promise that sending needs no store. Only a run that breaks one can check it.
const WithoutStores = 19

// without is 19: connecting, sending and being told live go on as before with history, search, S3 or Cassandra down. A send that is sent again is answered
// by the store (DESIGN 2), so it does not count, nor does what waits behind it on the same socket: that is the client's order. Nor does what waits for a socket that
// another fault took, and that its client has not opened again.
func (c *runner) without() verdict.Verdict {
	v := verdict.Verdict{Invariant: WithoutStores, Title: "sending needs no store", CaseNoun: "sends, connects and deliveries while a store was broken"}
	others := grace.Of(&record.Record{Faults: slices.DeleteFunc(slices.Clone(c.r.Faults), func(f record.Fault) bool { return Aside(f.Tier) })})
	var faults []record.Fault
	for _, f := range c.r.Faults {
		if Aside(f.Tier) {
			faults = append(faults, f)
		}
	}
	slices.SortFunc(faults, func(a, b record.Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	gone, queued := c.signedOut(), c.queues()
	took := map[record.F]*[2][]time.Duration{record.Send: {}, record.Connect: {}} // without a fault, and with
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		times := took[op.F]
		if times == nil || op.F == record.Send && op.Over != record.Socket || op.Phase != "" || op.Again || others.Touched(op.Start, op.End) {
			continue
		}
		f := during(faults, op.Start)
		if f < 0 {
			if op.Outcome == record.OK && !c.g.Touched(op.Start, op.End) {
				times[0] = append(times[0], op.End-op.Start)
			}
			continue
		}
		if queued.behind(op) || queued.lost(op, others) {
			continue
		}
		v.Cases++
		if op.Outcome == record.OK {
			times[1] = append(times[1], op.End-op.Start)
		} else if !planned(op, gone) && !queued.closed(op) {
			v.Break(verdict.Violation{
				Rule: fmt.Sprintf("%s goes on without a store", op.F), Who: op.Who, What: fmt.Sprintf("%s: %s", op.Outcome, op.Code),
				History: []record.Line{{Fault: &faults[f]}, {Op: op}},
			})
		}
	}
	late := time.Duration(0)
	for _, f := range faults {
		late = max(late, c.g.Late(f.Begin, f.End))
	}
	for _, kind := range []record.F{record.Send, record.Connect} {
		c.slower(&v, string(kind)+" keeps its latency without a store", took[kind], late)
	}
	live := c.live(faults, others, queued)
	v.Cases += len(live[1])
	c.slower(&v, "delivery keeps its latency without a store", &live, late)
	return v
}

// during is the first of some faults that was on at a time; -1: none was.
func during(faults []record.Fault, at time.Duration) int {
	return slices.IndexFunc(faults, func(f record.Fault) bool { return at >= f.Begin && at <= f.End })
}

// slower compares two medians, and notes them. late is how late the machine was itself.
func (c *runner) slower(v *verdict.Verdict, rule string, times *[2][]time.Duration, late time.Duration) {
	if len(times[0]) < enough || len(times[1]) < enough {
		return
	}
	calm, then := median(times[0]), median(times[1])
	v.Notes = join(v.Notes, fmt.Sprintf("%s: median %s, else %s", strings.SplitN(rule, " ", 2)[0], round(then), round(calm)))
	if then > slowerTimes*calm+slowerBy+late {
		v.Break(verdict.Violation{Rule: rule, What: fmt.Sprintf("median %s of %d, and %s of %d else", round(then), len(times[1]), round(calm), len(times[0]))})
	}
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func join(notes, more string) string {
	if notes == "" {
		return more
	}
	return notes + "; " + more
}

// planned reports whether a refusal is one that the workload asks for: it does wrong things on purpose, also at sign-ins that ended.
func planned(op *record.Op, gone map[string]time.Duration) bool {
	switch fault.Kind(op.Code) { // also where the answer may have been to an earlier try
	case fault.Invalid, fault.Conflict, fault.Forbidden, fault.NotFound, fault.TooLarge:
		return true
	case fault.Unauthenticated:
		for _, name := range []string{op.Device, op.Who} {
			if since, ok := gone[name]; ok && since <= op.End {
				return true
			}
		}
	}
	return false
}

// signedOut is since when devices, and people, may be refused as nobody.
func (c *runner) signedOut() map[string]time.Duration {
	gone := make(map[string]time.Duration)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		name := ""
		switch op.F {
		case record.Logout:
			name = op.Device
		case record.Revoke, record.Ban:
			name = op.Target
		}
		if since, ok := gone[name]; name != "" && op.Outcome != record.Refused && (!ok || op.Start < since) {
			gone[name] = op.Start
		}
	}
	return gone
}
