// Package check holds a record of a run against what Canopy promises: a verdict for each of the 22 lines of INVARIANTS. It is a pure
// function of the record, so that an old one can be judged by a later checker.
//
//	ledger     the log, as the truth that all is held against
//	messages   what was stored and who was told of it: 1 to 8, 11, 14
//	reading    what was read, how it changed, who may see it: 9, 10, 12, 13, 15, 16
//	running    what stays up, and bounded: 17 to 22
//	linear     what has no place in the log: ids, read cursors, memberships, as a part of 6, 12 and 14
package check

import (
	"cmp"
	"slices"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/linear"
	"github.com/canopychat/canopy/ops/verify/check/messages"
	"github.com/canopychat/canopy/ops/verify/check/reading"
	"github.com/canopychat/canopy/ops/verify/check/running"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Invariants is how many promises there are.
const Invariants = 22

// All gives a verdict for each promise, by number. One that no case could have broken has no Cases, and Notes that say so.
func All(r *record.Record) []verdict.Verdict {
	l := ledger.Of(r)
	all := slices.Concat(messages.Check(r, l), reading.Check(r, l), running.Check(r, l))
	for n := 1; n <= Invariants; n++ {
		if !slices.ContainsFunc(all, func(v verdict.Verdict) bool { return v.Invariant == n }) {
			all = append(all, verdict.Verdict{Invariant: n, Title: "no check of it", CaseNoun: "cases"})
		}
	}
	slices.SortStableFunc(all, func(a, b verdict.Verdict) int { return cmp.Compare(a.Invariant, b.Invariant) })
	found := linear.Check(r, l)
	for i := range all {
		v := &all[i]
		if f, ok := found[v.Invariant]; ok {
			v.Cases += f.Cases
			v.Notes = join(v.Notes, f.Notes)
			for _, b := range f.Violations {
				v.Break(b)
			}
		}
		if v.Cases > 0 {
			continue
		}
		if v.Beyond = r.Run.Beyond[v.Invariant]; v.Beyond == "" {
			v.Notes = join("nothing in the record could have broken it", v.Notes)
		}
	}
	return all
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
