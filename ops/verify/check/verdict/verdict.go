// Package verdict is what a check says of an invariant: that it holds, and how often it could have been broken; or the smallest history
// that breaks it.
package verdict

import (
	"fmt"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Verdict is what was found of one invariant.
type Verdict struct {
	Invariant int    `json:"invariant"`       // its number in INVARIANTS
	Title     string `json:"title"`           // in few words: "no loss"
	Cases     int    `json:"cases"`           // that could have broken it; 0: nothing was checked, which is a failure
	CaseNoun  string `json:"case_noun"`       // what is counted: "sends acknowledged"
	Notes     string `json:"notes,omitempty"` // figures worth knowing: "lost: prefix 0, middle 0, tail 0"

	Beyond string      `json:"beyond,omitempty"` // why nothing in the run could break it, by what was asked of the run; then Cases is 0
	Broken int         `json:"broken"`           // how often it was
	Shown  []Violation `json:"shown,omitempty"`  // the first of each kind, the smallest of them
}

// Violation is one case in which a promise was broken.
type Violation struct {
	Rule    string        `json:"rule"`          // in words of INVARIANTS
	Who     string        `json:"who,omitempty"` // reader, sender or place
	What    string        `json:"what"`
	Seqs    []int64       `json:"seqs,omitempty"`
	History []record.Line `json:"history,omitempty"` // the lines that show it, in their order: no more than it takes
}

func (v Violation) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s: %s %v", v.Rule, v.Who, v.What, v.Seqs))
}

// maxShown is of how many kinds one invariant shows a case.
const maxShown = 8

// Break notes a case that broke the promise. The first of a rule is shown: checks go by the log's order, so it is the smallest.
func (v *Verdict) Break(b Violation) {
	v.Broken++
	if len(v.Shown) == maxShown {
		return
	}
	for _, s := range v.Shown {
		if s.Rule == b.Rule {
			return
		}
	}
	v.Shown = append(v.Shown, b)
}

// Holds reports whether the promise was kept, and checked unless it is beyond the run.
func (v Verdict) Holds() bool { return v.Broken == 0 && (v.Cases > 0 || v.Beyond != "") }

// Lines are the part of a record that shows a violation. Those that are nil are left out.
func Lines(all ...any) (history []record.Line) {
	for _, one := range all {
		switch one := one.(type) {
		case *record.Op:
			if one != nil {
				history = append(history, record.Line{Op: one})
			}
		case *record.Told:
			if one != nil {
				history = append(history, record.Line{Told: one})
			}
		case *record.Kept:
			history = append(history, record.Line{Kept: one})
		case record.Event:
			history = append(history, record.Line{Event: &one})
		}
	}
	return history
}
