package check_test

import (
	"testing"

	"github.com/canopychat/canopy/ops/verify/check"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Every promise has its verdict, in order, with a name; a sound record breaks none.
func TestAllPromisesAreJudged(t *testing.T) {
	all := check.All(sample.Sound())
	if len(all) != check.Invariants {
		t.Fatalf("%d verdicts", len(all))
	}
	for i, v := range all {
		if v.Invariant != i+1 || v.Title == "" || v.CaseNoun == "" || v.Title == "no check of it" {
			t.Errorf("verdict %d is of %d, %q in %q", i+1, v.Invariant, v.Title, v.CaseNoun)
		}
		if v.Broken > 0 {
			t.Errorf("%d: %v", v.Invariant, v.Shown)
		}
		if v.Cases == 0 && v.Notes == "" {
			t.Errorf("%d has no cases, and does not say why", v.Invariant)
		}
	}
}

// A record of nothing keeps no promise.
func TestNothingProvesNothing(t *testing.T) {
	for _, v := range check.All(&record.Record{}) {
		if v.Holds() {
			t.Errorf("%d holds", v.Invariant)
		}
	}
}

// What the search for orders finds is in the verdict of its promise.
func TestOrdersAreAPartOfVerdicts(t *testing.T) {
	r := sample.Sound()
	for i := range r.Ops {
		if r.Ops[i].Again && r.Ops[i].Outcome == record.OK {
			again := r.Ops[i]
			again.Seq++
			again.Start, again.End = r.End.Time, r.End.Time+1
			r.Ops = append(r.Ops, again)
			break
		}
	}
	if v := check.All(r)[5]; v.Broken == 0 {
		t.Errorf("one id with two seqs: %+v", v)
	}
}

// Nothing is broken when a log is lost and begins anew, and everybody is told so.
func TestALogThatBeginsAnew(t *testing.T) {
	for _, v := range check.All(sample.Renewed()) {
		if v.Broken > 0 {
			t.Errorf("%d %s: %v", v.Invariant, v.Title, v.Shown)
		}
	}
}
