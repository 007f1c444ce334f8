package reading_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/reading"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// sound is the sound record, with what it lacks for these invariants: pages when all is quiet, marks, sign-outs, tries to get in.
func sound() *record.Record {
	r := sample.Sound()
	end := r.End.Time
	at := func(ms int) time.Duration { return end + time.Duration(ms)*time.Millisecond }
	do := func(ms int, op record.Op) {
		op.N, op.Start, op.End = int64(1000+ms), at(ms), at(ms+5)
		op.Workspace = sample.Space
		if op.Device == "" {
			op.Device = op.Who + "/1"
		}
		if op.Outcome == "" {
			op.Outcome = record.OK
		}
		r.Ops = append(r.Ops, op)
	}
	var page []record.Message
	for _, k := range r.Kept {
		if k.View == "history of ann at api-eu" && k.Channel == sample.General {
			page = append(page, k.Message)
		}
	}
	slices.Reverse(page)
	do(10, record.Op{Who: "ann", F: record.Mark, Channel: sample.General, Message: 25, Seq: 25})
	do(20, record.Op{Who: "ann", F: record.Mark, Channel: sample.General, Message: 20, Seq: 25})
	do(30, record.Op{Who: "ann", F: record.Mark, Channel: sample.General, Message: 27, Outcome: record.Unknown})
	r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: at(36), T: record.Marked, Channel: sample.General, Seq: 25})
	do(40, record.Op{Who: "ann", F: record.Page, Channel: sample.General, Limit: 50, Complete: 38, Messages: page})
	do(50, record.Op{Who: "ann", F: record.Page, Channel: sample.General, Limit: 50, Complete: 38, Messages: page})
	marks := []record.ReadAt{{Channel: sample.General, Seq: 25, Unread: 1}, {Channel: sample.Direct, Seq: 0, Unread: 0}}
	do(60, record.Op{Who: "ann", F: record.Marks, Read: marks})
	do(70, record.Op{Who: "ann", Device: "ann/2", F: record.Marks, Read: slices.Clone(marks)})
	do(80, record.Op{Who: "bea", F: record.Probe, Body: "a star in an id", Outcome: record.Refused, Code: "not_found"})
	do(90, record.Op{Who: "cid", F: record.Logout})
	r.Told = append(r.Told, record.Told{Conn: sample.Cid, Who: "cid", Time: at(200), T: record.Offline, Code: "4501"})
	do(3000, record.Op{Who: "cid", F: record.Page, Channel: sample.General, Outcome: record.Refused, Code: "unauthenticated"})
	r.End.Time = at(5000)
	return r
}

// lateOp is the op that sound did at a time after the sound record's end.
func lateOp(r *record.Record, ms int64) *record.Op {
	for i := range r.Ops {
		if r.Ops[i].N == 1000+ms {
			return &r.Ops[i]
		}
	}
	return &record.Op{}
}

func verdictOf(t *testing.T, r *record.Record, n int) verdict.Verdict {
	t.Helper()
	all := reading.Check(r, ledger.Of(r))
	i := slices.IndexFunc(all, func(v verdict.Verdict) bool { return v.Invariant == n })
	if i < 0 {
		t.Fatalf("there is no verdict of %d", n)
	}
	return all[i]
}

func TestASoundRecordHolds(t *testing.T) {
	r := sound()
	for _, v := range reading.Check(r, ledger.Of(r)) {
		if !v.Holds() {
			t.Errorf("%d, %s: %d cases, %v", v.Invariant, v.Title, v.Cases, v.Shown)
		}
	}
}

func without(page []record.Message, seq int64) []record.Message {
	return slices.DeleteFunc(slices.Clone(page), func(m record.Message) bool { return m.Seq == seq })
}

func with(page []record.Message, seq int64, change func(*record.Message)) []record.Message {
	page = slices.Clone(page)
	for i := range page {
		if page[i].Seq == seq {
			change(&page[i])
		}
	}
	return page
}

// Each way of breaking a promise is found, by the rule that it breaks, and shown in few lines.
func TestABrokenPromiseIsFound(t *testing.T) {
	late := func(r *record.Record) time.Duration { return r.End.Time }
	for _, c := range []struct {
		n     int
		rule  string
		spoil func(r *record.Record)
	}{
		{9, "after the ack", func(r *record.Record) { p := lateOp(r, 40); p.Messages = without(p.Messages, 35) }},
		{9, "after the ack", func(r *record.Record) {
			p := lateOp(r, 40)
			p.Messages, p.Before, p.More = without(p.Messages, 27), 33, true
		}},
		{10, "a message that was read is absent", func(r *record.Record) { p := lateOp(r, 50); p.Messages = without(p.Messages, 32) }},
		{10, "the newest page never falls", func(r *record.Record) {
			p := lateOp(r, 50)
			p.Messages = slices.DeleteFunc(slices.Clone(p.Messages), func(m record.Message) bool { return m.Seq > 31 })
			p.Complete = 31
		}},
		{10, "an edit does not go back", func(r *record.Record) {
			p := lateOp(r, 50)
			p.Messages = with(p.Messages, 20, func(m *record.Message) { m.Body, m.Edited = "ann-a1", false })
		}},
		{10, "what was deleted is not undeleted", func(r *record.Record) {
			p := lateOp(r, 50)
			p.Messages = with(p.Messages, 21, func(m *record.Message) { m.Deleted, m.Body = false, "bea-b1" })
			r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == 21 })
			r.Events = append(r.Events, record.Event{Source: "stream", Space: sample.Space, Epoch: 1, Seq: 21, Channel: sample.General, Kind: "message.posted", Sender: "ubea", Body: "bea-b1"})
		}},
		{12, "a read cursor never goes back", func(r *record.Record) { lateOp(r, 70).Read[0].Seq = 24 }},
		{12, "a mark counts", func(r *record.Record) { lateOp(r, 10).Seq = 20 }},
		{12, "unread is never negative", func(r *record.Record) { lateOp(r, 60).Read[0].Unread = -1 }},
		{12, "a read cursor is the same on all devices", func(r *record.Record) { lateOp(r, 70).Read[0].Seq = 27 }},
		{12, "the furthest mark counts", func(r *record.Record) { lateOp(r, 60).Read[0].Seq, lateOp(r, 70).Read[0].Seq = 20, 20 }},
		{12, "nobody is told of a mark", func(r *record.Record) { r.Told[len(r.Told)-2].Seq = 31 }},
		{12, "what is unread is counted right", func(r *record.Record) { lateOp(r, 60).Read[0].Unread = 2 }},
		{13, "the highest edit wins", func(r *record.Record) {
			spoilKept(r, 20, func(m *record.Message) { m.Body = "ann-a1" })
		}},
		{13, "a delete dominates", func(r *record.Record) {
			spoilKept(r, 21, func(m *record.Message) { m.Body, m.Deleted = "bea-b1", false })
		}},
		{13, "reactions are those", func(r *record.Record) { spoilKept(r, 35, func(m *record.Message) { m.Reactions = nil }) }},
		{13, "what was not deleted", func(r *record.Record) { spoilKept(r, 27, func(m *record.Message) { m.Deleted, m.Body = true, "" }) }},
		{13, "a delete dominates", func(r *record.Record) {
			p := lateOp(r, 40)
			p.Messages = with(p.Messages, 21, func(m *record.Message) { m.Body = "bea-late" })
		}},
		{13, "a delete dominates", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: late(r), T: record.Posted, Channel: sample.General, Seq: 21, Body: "bea-b1"})
		}},
		{15, "logout, ban and revocation close", func(r *record.Record) { r.Told = r.Told[:len(r.Told)-1] }},
		{15, "is told nothing more", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Cid, Who: "cid", Time: late(r), T: record.Posted, Channel: sample.General, Seq: 40})
		}},
		{15, "is refused", func(r *record.Record) { lateOp(r, 3000).Outcome = record.OK }},
		{16, "nobody is let in", func(r *record.Record) { lateOp(r, 80).Outcome = record.OK }},
		{16, "a text of another workspace", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Eve, Who: "eve", Time: late(r), T: record.Posted, Channel: sample.Random, Seq: 50, Body: "ann-a4"})
		}},
		{16, "a channel of another workspace", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Eve, Who: "eve", Time: late(r), T: record.Typed, Channel: sample.Secret})
		}},
		{16, "a person of another workspace", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: late(r), T: record.Presence, User: "ueve"})
		}},
	} {
		r := sound()
		c.spoil(r)
		v := verdictOf(t, r, c.n)
		i := slices.IndexFunc(v.Shown, func(b verdict.Violation) bool { return strings.Contains(b.Rule, c.rule) })
		if i < 0 {
			t.Errorf("%d, %s: found %v", c.n, c.rule, v.Shown)
		} else if n := len(v.Shown[i].History); n == 0 || n > 4 {
			t.Errorf("%d, %s: shown in %d lines", c.n, c.rule, n)
		}
	}
}

func spoilKept(r *record.Record, seq int64, change func(*record.Message)) {
	for i := range r.Kept {
		if r.Kept[i].View == "cassandra 2" && r.Kept[i].Seq == seq {
			change(&r.Kept[i].Message)
		}
	}
}

// What is allowed is no violation: a page that says that it ends before, while something is broken; a socket that closes late on a
// machine that is late; a live post before its delete.
func TestWhatIsAllowedHolds(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		allow func(r *record.Record)
	}{
		"a page ends before, while the store is down": {10, func(r *record.Record) {
			p := lateOp(r, 50)
			p.Messages = slices.DeleteFunc(slices.Clone(p.Messages), func(m record.Message) bool { return m.Seq > 31 })
			p.Complete = 31
			r.Faults = append(r.Faults, record.Fault{Tier: "cassandra", Begin: p.Start, End: p.End})
		}},
		"one's own send is after the end that a page says": {9, func(r *record.Record) {
			p := lateOp(r, 40)
			p.Messages = slices.DeleteFunc(slices.Clone(p.Messages), func(m record.Message) bool { return m.Seq > 31 })
			p.Complete = 31
		}},
		"a socket closes late, as a timer does": {15, func(r *record.Record) {
			out := lateOp(r, 90)
			last := &r.Told[len(r.Told)-1]
			last.Time = out.End + 1700*time.Millisecond
			r.Samples = append(r.Samples, record.Sample{Time: out.End + time.Second, Name: record.Lateness, Value: float64(time.Second)})
		}},
		"an unknown mark came true": {12, func(r *record.Record) {
			for _, ms := range []int64{60, 70} {
				lateOp(r, ms).Read[0] = record.ReadAt{Channel: sample.General, Seq: 33}
			}
			lateOp(r, 30).Message = 33
		}},
	} {
		r := sound()
		c.allow(r)
		v := verdictOf(t, r, c.n)
		for _, b := range v.Shown {
			if !strings.Contains(b.Rule, "unread") {
				t.Errorf("%s: %v", name, b)
			}
		}
	}
}

// Whatever a record says, it is judged.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 1, 7, 4, 4, 0xf0, 2, 3, 4})
	f.Fuzz(func(t *testing.T, program []byte) {
		r := sound()
		sample.Spoil(r, program)
		if got := reading.Check(r, ledger.Of(r)); len(got) != 6 {
			t.Errorf("%d verdicts", len(got))
		}
		r.Run = record.Run{}
		if got := reading.Check(r, ledger.Of(r)); len(got) != 6 {
			t.Errorf("of nobody: %d verdicts", len(got))
		}
	})
}

// A page that the end of the log did not come for in time says that it ends before a delete, and then it may have the text. One that came at
// once has asked for nothing, so that there is no excuse.
func TestAPageThatEndsBeforeADelete(t *testing.T) {
	for _, c := range []struct {
		took     time.Duration
		complete int64
		holds    bool
	}{
		{2 * time.Second, 27, true},
		{20 * time.Millisecond, 27, false},
		{2 * time.Second, 28, false},
	} {
		r := sound()
		p := lateOp(r, 40)
		p.End, p.Complete = p.Start+c.took, c.complete
		p.Messages = with(p.Messages, 21, func(m *record.Message) { m.Body, m.Deleted = "bea-b1", false })
		r.End.Time, r.End.Quiet = p.Start+time.Minute, true
		broken := slices.ContainsFunc(verdictOf(t, r, 13).Shown, func(b verdict.Violation) bool { return b.Rule == "a delete dominates" })
		if broken == c.holds {
			t.Errorf("a page of %s that ends at %d: broken %t", c.took, c.complete, broken)
		}
	}
}

// Who is woken after a delete is not told the text, whatever the store knows by then; but what is on its way, or held up, may still come.
func TestAPushAfterADelete(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		body  string
		tier  string // of a fault meanwhile
		holds bool
	}{
		"on its way":                 {time.Second, "bea-b1", "", true},
		"later":                      {time.Minute, "bea-b1", "", false},
		"while nothing is persisted": {time.Minute, "bea-b1", "persist", false},
		"what tells is held":         {time.Minute, "bea-b1", "deliver-hook", true},
		"that something was deleted": {time.Minute, "", "", true},
		"before it":                  {-time.Minute, "bea-b1", "", true},
	} {
		r := sound()
		i := slices.IndexFunc(r.Ops, func(op record.Op) bool { return op.F == record.Delete && op.Message == 21 })
		at := r.Ops[i].End + c.after
		if c.tier != "" {
			r.Faults = append(r.Faults, record.Fault{Name: "hold", Tier: c.tier, Begin: r.Ops[i].End, End: at})
		}
		r.Ops = append(r.Ops, record.Op{Who: "ann", At: "hook", F: record.Notify, Workspace: sample.Space, Channel: sample.General, Message: 21, Body: c.body, Start: at, End: at, Outcome: record.OK})
		broken := slices.ContainsFunc(verdictOf(t, r, 13).Shown, func(b verdict.Violation) bool { return strings.Contains(b.What, "push") })
		if broken == c.holds {
			t.Errorf("%s: broken %t", name, broken)
		}
	}
}
