// Package report is what a run of canopy verify found: a table for people, JSON for machines.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Report is what a run found.
type Report struct {
	Seed     uint64        `json:"seed"`
	Site     string        `json:"site"`
	Plant    string        `json:"plant,omitempty"`
	Version  string        `json:"version"`
	Began    time.Time     `json:"began"`
	Duration time.Duration `json:"duration_ns"`
	Ended    bool          `json:"ended"` // false: it was broken off

	Ops      Ops               `json:"ops"`
	Stored   int               `json:"stored"` // messages that were acknowledged, each once
	Told     int               `json:"told"`   // events that came over sockets
	Faults   []Faults          `json:"faults"`
	Verdicts []verdict.Verdict `json:"verdicts"`
	Trouble  []string          `json:"trouble,omitempty"` // why the run itself is worth less: what could not be mended, what was waited for in vain
	Holds    bool              `json:"holds"`
}

// Ops counts outcomes.
type Ops struct {
	OK      int `json:"ok"`
	Refused int `json:"refused"`
	Unknown int `json:"unknown"`
}

// Faults counts those of one kind.
type Faults struct {
	Tier  string        `json:"tier"`
	Name  string        `json:"name"`
	Times int           `json:"times"`
	Parts int           `json:"parts"` // that were broken, in all
	Time  time.Duration `json:"time_ns"`
}

// Of makes the report of a record and its verdicts.
func Of(r *record.Record, verdicts []verdict.Verdict, trouble []string) Report {
	rep := Report{
		Seed: r.Run.Seed, Site: r.Run.Site, Plant: r.Run.Plant, Version: r.Run.Version, Began: r.Run.Began, Duration: r.Run.Duration,
		Ended: r.End != nil, Faults: faultsOf(r), Verdicts: verdicts, Trouble: trouble,
	}
	type id struct{ who, id string }
	stored := make(map[id]bool)
	for _, op := range r.Ops {
		switch op.Outcome {
		case record.OK:
			rep.Ops.OK++
			if op.F == record.Send {
				stored[id{op.Who, op.ID}] = true
			}
		case record.Refused:
			rep.Ops.Refused++
		default:
			rep.Ops.Unknown++
		}
	}
	rep.Stored = len(stored)
	for _, t := range r.Told {
		if t.Seq > 0 {
			rep.Told++
		}
	}
	if !rep.Ended {
		rep.Trouble = append(rep.Trouble, "the run was broken off: what should be the same everywhere in the end was not compared")
	}
	rep.Holds = rep.Ended && len(rep.Trouble) == 0 && !slices.ContainsFunc(verdicts, func(v verdict.Verdict) bool { return !v.Holds() })
	return rep
}

func faultsOf(r *record.Record) []Faults {
	var all []Faults
	for _, f := range r.Faults {
		i := slices.IndexFunc(all, func(one Faults) bool { return one.Tier == f.Tier && one.Name == f.Name })
		if i < 0 {
			i = len(all)
			all = append(all, Faults{Tier: f.Tier, Name: f.Name})
		}
		all[i].Times, all[i].Parts, all[i].Time = all[i].Times+1, all[i].Parts+len(f.Targets), all[i].Time+f.End-f.Begin
	}
	slices.SortFunc(all, func(a, b Faults) int { return cmp.Or(cmp.Compare(a.Tier, b.Tier), cmp.Compare(a.Name, b.Name)) })
	return all
}

// JSON writes the report for machines.
func (r Report) JSON(to io.Writer) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes the report for people.
func (r Report) Text(to io.Writer) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintf(&text, "%d messages stored, of %d operations (%d ok, %d refused, %d unknown); %d events told; %d faults injected\n\n",
		r.Stored, r.Ops.OK+r.Ops.Refused+r.Ops.Unknown, r.Ops.OK, r.Ops.Refused, r.Ops.Unknown, r.Told, r.times())
	for _, f := range r.Faults {
		fmt.Fprintf(table, "  %s\t%s\t%d×\t%d parts\t%s\n", f.Tier, f.Name, f.Times, f.Parts, f.Time.Round(100*time.Millisecond))
	}
	if len(r.Faults) > 0 {
		fmt.Fprintln(table)
	}
	for _, v := range r.Verdicts {
		fmt.Fprintf(table, "%3d\t%s\t%s\t%d %s\t%s\n", v.Invariant, v.Title, said(v), v.Cases, v.CaseNoun, cmp.Or(v.Beyond, v.Notes))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, v := range r.Verdicts {
		for _, b := range v.Shown {
			showViolation(&text, v, b)
		}
	}
	for _, t := range r.Trouble {
		fmt.Fprintf(&text, "\n! %s\n", t)
	}
	fmt.Fprintf(&text, "\n%s\n", r.sum())
	_, err := io.WriteString(to, text.String())
	return err
}

func (r Report) times() (n int) {
	for _, f := range r.Faults {
		n += f.Times
	}
	return n
}

func said(v verdict.Verdict) string {
	switch {
	case v.Broken > 0:
		return fmt.Sprintf("BROKEN %d×", v.Broken)
	case v.Beyond != "":
		return "left out"
	case v.Cases == 0:
		return "NOT CHECKED"
	}
	return "holds"
}

func showViolation(text *strings.Builder, v verdict.Verdict, b verdict.Violation) {
	fmt.Fprintf(text, "\n%d, %s. %s\n", v.Invariant, v.Title, b)
	for _, l := range b.History {
		line, err := json.Marshal(l)
		if err != nil {
			line = []byte(err.Error())
		}
		fmt.Fprintf(text, "    %s\n", line)
	}
}

// sum is one line that says it all.
func (r Report) sum() string {
	var broken, unchecked, beyond []string
	for _, v := range r.Verdicts {
		switch {
		case v.Broken > 0:
			broken = append(broken, fmt.Sprint(v.Invariant))
		case v.Beyond != "":
			beyond = append(beyond, fmt.Sprint(v.Invariant))
		case v.Cases == 0:
			unchecked = append(unchecked, fmt.Sprint(v.Invariant))
		}
	}
	again := fmt.Sprintf("seed %d", r.Seed)
	switch {
	case r.Holds && len(beyond) > 0:
		return fmt.Sprintf("The %d promises that this run could check hold; left out: %s. %s", len(r.Verdicts)-len(beyond), strings.Join(beyond, ", "), again)
	case r.Holds:
		return fmt.Sprintf("All %d promises hold. %s", len(r.Verdicts), again)
	case len(broken) > 0:
		return fmt.Sprintf("BROKEN: %s. %s", strings.Join(broken, ", "), again)
	case len(unchecked) > 0:
		return fmt.Sprintf("Not checked, which is no better than broken: %s. %s", strings.Join(unchecked, ", "), again)
	}
	return "The run proves nothing, see above. " + again
}
