package messages_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/messages"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

func check(r *record.Record) []verdict.Verdict { return messages.Check(r, ledger.Of(r)) }

func of(t *testing.T, all []verdict.Verdict, invariant int) verdict.Verdict {
	t.Helper()
	for _, v := range all {
		if v.Invariant == invariant {
			return v
		}
	}
	t.Fatalf("no verdict of %d", invariant)
	return verdict.Verdict{}
}

func TestWhatIsSoundHolds(t *testing.T) {
	all := check(sample.Sound())
	var numbers []int
	for _, v := range all {
		numbers = append(numbers, v.Invariant)
		if !v.Holds() {
			t.Errorf("%d %s: %d cases, %d broken: %v", v.Invariant, v.Title, v.Cases, v.Broken, v.Shown)
		}
		if v.Title == "" || v.CaseNoun == "" {
			t.Errorf("%d has no words", v.Invariant)
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 11, 14}; !slices.Equal(numbers, want) {
		t.Errorf("verdicts of %v, want %v", numbers, want)
	}
}

func TestCasesAreCounted(t *testing.T) {
	all := check(sample.Sound())
	for invariant, want := range map[int]int{
		1:  12, // one of them was sent again
		3:  3,  // refused: a send and an id with another body; unknown: a send that never came
		6:  1,
		11: 1,
	} {
		if v := of(t, all, invariant); v.Cases != want {
			t.Errorf("%d: %d %s, want %d", invariant, v.Cases, v.CaseNoun, want)
		}
	}
}

// A record that says nothing gives no verdict that holds, and none that is broken.
func TestNothingIsNeitherKeptNorBroken(t *testing.T) {
	for _, v := range check(new(record.Record)) {
		if v.Holds() || v.Broken > 0 {
			t.Errorf("%d: %d cases, %d broken", v.Invariant, v.Cases, v.Broken)
		}
	}
}

// Wherever a record breaks off, what it has shows no violation.
func TestARecordThatBreaksOff(t *testing.T) {
	whole := sample.Sound()
	for n := range len(whole.Events) {
		r := *whole
		r.End, r.Events, r.Kept = nil, whole.Events[:n], nil
		for _, v := range check(&r) {
			if v.Broken > 0 {
				t.Fatalf("with %d events: %d: %v", n, v.Invariant, v.Shown)
			}
		}
	}
	for n := range len(whole.Told) {
		r := *whole
		r.Told = whole.Told[:n]
		for _, v := range check(&r) {
			if v.Broken > 0 {
				t.Fatalf("with %d told: %d: %v", n, v.Invariant, v.Shown)
			}
		}
	}
}

// A violation shows the lines that it is made of, and no more.
func TestAViolationShowsItsHistory(t *testing.T) {
	r := sample.Sound()
	drop(r, sample.Bea, 22)
	v := of(t, check(r), 5)
	if v.Broken != 1 || len(v.Shown) != 1 {
		t.Fatalf("broken %d: %v", v.Broken, v.Shown)
	}
	h := v.Shown[0].History
	if len(h) != 3 || h[0].Told == nil || h[0].Told.Seq != 21 || h[1].Event == nil || h[1].Event.Seq != 22 || h[2].Told == nil || h[2].Told.Seq != 23 {
		t.Errorf("history %+v", h)
	}
}

func TestOneLossIsPlaced(t *testing.T) {
	for seq, want := range map[int64]string{
		20: "lost from the log: prefix 1, middle 0, tail 0",
		27: "lost from the log: prefix 0, middle 1, tail 0",
		35: "lost from the log: prefix 0, middle 0, tail 1",
	} {
		r := sample.Sound()
		r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == seq })
		if v := of(t, check(r), 1); v.Notes != want || v.Broken == 0 {
			t.Errorf("without %d: %q, broken %d", seq, v.Notes, v.Broken)
		}
	}
}

// While capacity is measured, what was refused as unavailable is of unknown outcome: it may be there, once.
func TestWhatIsUnavailableMayBeStored(t *testing.T) {
	refused := func(code, phase string, seqs ...int64) []verdict.Verdict {
		r := sample.Sound()
		did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a9", Body: "ann-a9", Phase: phase, Outcome: record.Refused, Code: code, RetryIn: 1})
		for _, seq := range seqs {
			add(r, record.Event{Space: sample.Space, Seq: seq, Kind: "message.posted", Channel: sample.General, Sender: "uann", ID: "a9", Body: "ann-a9"})
		}
		return check(r)
	}
	for _, c := range []struct {
		code, phase string
		seqs        []int64
		rule        string // of 3; empty: it holds
	}{
		{"unavailable", "double", nil, ""},
		{"unavailable", "double", []int64{50}, ""},
		{"unavailable", "double", []int64{50, 51}, "what is of unknown outcome is seen once"},
		{"unavailable", "", []int64{50}, "what was refused is never seen"},
		{"rate_limited", "double", []int64{50}, "what was refused is never seen"},
	} {
		v := of(t, refused(c.code, c.phase, c.seqs...), 3)
		if c.rule == "" && !v.Holds() || c.rule != "" && !slices.ContainsFunc(v.Shown, func(b verdict.Violation) bool { return b.Rule == c.rule }) {
			t.Errorf("%s in %q, stored at %v: %v", c.code, c.phase, c.seqs, v.Shown)
		}
	}
}

// Who was refused sends again, and what is stored then was not there before.
func TestWhatWasRefusedComesBack(t *testing.T) {
	again := func(phase string, duplicate bool, told time.Duration) verdict.Verdict {
		r := sample.Sound() // in which b9 was refused, as too much
		did(r, record.Op{F: record.Send, Who: "bea", Channel: sample.General, ID: "b9", Body: "bea-b9", Phase: phase, Again: true, Seq: 50, Duplicate: duplicate})
		e := record.Event{Space: sample.Space, Seq: 50, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b9", Body: "bea-b9"}
		add(r, e)
		tell(r, sample.Cid, 38, sample.Telling(e))
		r.Told[slices.IndexFunc(r.Told, func(t record.Told) bool { return t.Seq == 50 })].Time = r.End.Time + told
		return of(t, check(r), 3)
	}
	for _, c := range []struct {
		name      string
		phase     string
		duplicate bool
		told      time.Duration // since it was sent again
		broken    int
	}{
		{"stored when it is sent again", "burst", false, 1, 0},
		{"already there when it is sent again", "burst", true, 1, 1},
		{"a hand that may have sent it twice by itself", "", true, 1, 0},
		{"seen before it is sent again", "", false, -1, 1},
	} {
		if v := again(c.phase, c.duplicate, c.told); v.Broken != c.broken || v.Cases != 3 || !strings.HasSuffix(v.Notes, "stored when they were sent again: 1") {
			t.Errorf("%s: %d cases, %s: %v", c.name, v.Cases, v.Notes, v.Shown)
		}
	}
}

// An id whose message was deleted is answered its seq, whatever its body is: there is no text to compare it with.
func TestAnIDOfADeletedMessage(t *testing.T) {
	r := sample.Sound()
	did(r, record.Op{F: record.Send, Who: "bea", Channel: sample.General, ID: "b1", Body: "bea-new", Thread: 20, Again: true, Seq: 21, Duplicate: true})
	if v := of(t, check(r), 6); !v.Holds() {
		t.Errorf("%v", v.Shown)
	}
}

// An honest resend of a message that was deleted since is answered its seq; as its text is gone, so is one that is not honest. Another channel
// or thread is told apart all the same.
func TestATextThatIsGoneCannotBeCompared(t *testing.T) {
	again := func(channel, id string, thread, seq int64) verdict.Verdict {
		r := sample.Sound()
		did(r, record.Op{F: record.Send, Who: "bea", Channel: channel, ID: id, Body: "bea-new", Thread: thread, Again: true, Seq: seq, Duplicate: true})
		return of(t, check(r), 6)
	}
	for _, c := range []struct {
		channel, id string
		thread, seq int64
		broken      int
	}{
		{sample.General, "b1", 20, 21, 0}, // it was deleted
		{sample.General, "b1", 0, 21, 1},
		{sample.Direct, "b1", 20, 21, 1},
		{sample.General, "b3", 27, 32, 1}, // it was not
	} {
		if v := again(c.channel, c.id, c.thread, c.seq); v.Broken != c.broken {
			t.Errorf("%s in %s under %d: broken %d, %v", c.id, c.channel, c.thread, v.Broken, v.Shown)
		}
	}
}

// What is not quiet yet may differ, and the verdict does not hold.
func TestViewsAreComparedWhenAllIsQuiet(t *testing.T) {
	r := sample.Sound()
	r.End.Quiet = false
	r.Kept = r.Kept[1:]
	all := check(r)
	if v := of(t, all, 8); v.Broken != 0 || v.Cases != 0 {
		t.Errorf("8: %d cases, %d broken", v.Cases, v.Broken)
	}
	if v := of(t, all, 1); !v.Holds() {
		t.Errorf("1: %v", v.Shown)
	}
}

// FuzzCheck: however a record is mangled, nothing panics and there are all verdicts. The lines are mangled as text, one by one, so that
// most of the record stays one.
func FuzzCheck(f *testing.F) {
	lines := linesOf(f, sample.Sound())
	f.Add(0, 0, []byte(""))
	f.Add(40, 60, []byte(`{"told":{"conn":"ann/1/1","who":"ann","t":"hello","cursor":"1.-9223372036854775808"}}`))
	f.Add(100, 9, []byte(`{"event":{"source":"stream","workspace":"w1","seq":-9223372036854775808,"kind":"message.deleted","message":-1}}`))
	f.Add(30, 9, []byte(`{"op":{"f":"send","who":"ann","workspace":"w1","outcome":"ok","conn":"ann/1/1","start":9223372036854775807,"seq":9223372036854775807}}`))
	f.Fuzz(func(t *testing.T, at, gone int, line []byte) {
		at = max(0, at%len(lines))
		gone = max(0, gone%(len(lines)-at))
		text := slices.Concat(lines[0], slices.Concat(lines[1:max(at, 1)]...), line, []byte("\n"), slices.Concat(lines[max(at+gone, 1):]...))
		r, err := record.Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		if all := check(r); len(all) != 10 {
			t.Errorf("%d verdicts", len(all))
		}
	})
}

// linesOf writes a record.
func linesOf(t testing.TB, r *record.Record) (lines [][]byte) {
	add := func(l record.Line) {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, append(text, '\n'))
	}
	add(record.Line{Run: &r.Run})
	for _, op := range r.Ops {
		add(record.Line{Op: &op})
	}
	for _, told := range r.Told {
		add(record.Line{Told: &told})
	}
	for _, e := range r.Events {
		add(record.Line{Event: &e})
	}
	for _, k := range r.Kept {
		add(record.Line{Kept: &k})
	}
	add(record.Line{End: r.End})
	return lines
}

// What is not told in a field that this version knows changes nothing, and neither does the order of kinds of lines.
func TestARecordIsReadAsItIsWritten(t *testing.T) {
	lines := linesOf(t, sample.Sound())
	for i := range lines {
		lines[i] = bytes.Replace(lines[i], []byte(`":{`), []byte(`":{"later":{"a":1},`), 1)
	}
	slices.Reverse(lines[len(lines)-20:])
	r, err := record.Read(bytes.NewReader(slices.Concat(lines...)))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range check(r) {
		if v.Invariant != 4 && !v.Holds() { // the rows of a view that were turned round are out of order for 4
			t.Errorf("%d: %v", v.Invariant, v.Shown)
		}
	}
}
