package report_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/report"
)

func run() *record.Record {
	return &record.Record{
		Run: record.Run{Seed: 42, Site: "local", Duration: time.Minute},
		Ops: []record.Op{
			{F: record.Send, Who: "ann", ID: "a", Outcome: record.OK, Seq: 3}, {F: record.Send, Who: "ann", ID: "a", Outcome: record.OK, Seq: 3, Again: true},
			{F: record.Send, Who: "bob", ID: "a", Outcome: record.OK, Seq: 4}, {F: record.Send, Who: "bob", ID: "b", Outcome: record.Refused},
			{F: record.Edit, Who: "bob", Outcome: record.Unknown},
		},
		Told: []record.Told{{T: record.Hello}, {T: record.Posted, Seq: 3}},
		Faults: []record.Fault{
			{Tier: "hub", Name: "kill", Targets: []string{"hub-1"}, Begin: time.Second, End: 2 * time.Second},
			{Tier: "gateway", Name: "pause", Targets: []string{"g1", "g2"}, Begin: 5 * time.Second, End: 9 * time.Second},
			{Tier: "hub", Name: "kill", Targets: []string{"hub-3"}, Begin: 10 * time.Second, End: 12 * time.Second},
		},
		End: &record.End{Quiet: true},
	}
}

func text(t *testing.T, r report.Report) string {
	t.Helper()
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestWhatHoldsIsSaidInOneLine(t *testing.T) {
	r := report.Of(run(), []verdict.Verdict{{Invariant: 1, Title: "no loss", Cases: 3, CaseNoun: "sends"}}, nil)
	if !r.Holds || r.Stored != 2 || r.Told != 1 || r.Ops != (report.Ops{OK: 3, Refused: 1, Unknown: 1}) {
		t.Errorf("%+v", r)
	}
	got := text(t, r)
	for _, want := range []string{"2 messages stored, of 5 operations (3 ok, 1 refused, 1 unknown); 1 events told; 3 faults injected", "gateway  pause", "2×  2 parts  3s", "1  no loss", "holds", "3 sends", "All 1 promises hold. seed 42"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
}

// A promise that is broken, one that was not checked, a run that was broken off and one with trouble do not hold, and say why.
func TestWhatDoesNotHoldSaysWhy(t *testing.T) {
	holds := verdict.Verdict{Invariant: 1, Title: "no loss", Cases: 3, CaseNoun: "sends"}
	broken := verdict.Verdict{Invariant: 4, Title: "one order", Cases: 9}
	broken.Break(verdict.Violation{Rule: "seqs rise", Who: "ann", What: "3 after 4", Seqs: []int64{4, 3}, History: []record.Line{{Told: &record.Told{Seq: 4, T: record.Posted}}}})
	broken.Break(verdict.Violation{Rule: "seqs rise", Who: "bob", What: "5 after 6"})
	for name, c := range map[string]struct {
		verdicts []verdict.Verdict
		trouble  []string
		off      bool
		want     []string
	}{
		"broken":        {[]verdict.Verdict{holds, broken}, nil, false, []string{"BROKEN 2×", "seqs rise: ann: 3 after 4 [4 3]", `{"told":{`, "BROKEN: 4. seed 42"}},
		"not checked":   {[]verdict.Verdict{holds, {Invariant: 9, Title: "own writes"}}, nil, false, []string{"NOT CHECKED", "no better than broken: 9. seed 42"}},
		"trouble":       {[]verdict.Verdict{holds}, []string{"api-eu does not start"}, false, []string{"! api-eu does not start", "proves nothing"}},
		"it was killed": {[]verdict.Verdict{holds}, nil, true, []string{"! the run was broken off", "proves nothing"}},
	} {
		of := run()
		if c.off {
			of.End = nil
		}
		r := report.Of(of, c.verdicts, c.trouble)
		if r.Holds {
			t.Errorf("%s: it holds", name)
		}
		got := text(t, r)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: it does not say %q:\n%s", name, want, got)
			}
		}
	}
}

// What a run was not asked to break is left out, said so, and no failure.
func TestWhatIsBeyondTheRun(t *testing.T) {
	r := report.Of(run(), []verdict.Verdict{{Invariant: 1, Title: "no loss", Cases: 3}, {Invariant: 19, Title: "no store", Beyond: "no store can be broken from here"}}, nil)
	got := text(t, r)
	for _, want := range []string{"left out", "no store can be broken from here", "The 1 promises that this run could check hold; left out: 19. seed 42"} {
		if !r.Holds || !strings.Contains(got, want) {
			t.Errorf("it holds: %v, and does not say %q:\n%s", r.Holds, want, got)
		}
	}
}

func TestMachinesReadTheSame(t *testing.T) {
	r := report.Of(run(), []verdict.Verdict{{Invariant: 1, Title: "no loss", Cases: 3}}, nil)
	var out strings.Builder
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got report.Report
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Holds || got.Seed != 42 || len(got.Faults) != 2 || got.Verdicts[0].Cases != 3 {
		t.Errorf("%+v", got)
	}
}
