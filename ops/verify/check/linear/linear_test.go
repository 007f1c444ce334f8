package linear_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/linear"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// op happens in [from, to], in seconds.
func op(from, to int, o record.Op) record.Op {
	o.N = int64(100*from + to)
	o.Start, o.End = time.Duration(from)*time.Second, time.Duration(to)*time.Second
	if o.Outcome == "" {
		o.Outcome = record.OK
	}
	if o.Who == "" {
		o.Who = "ann"
	}
	o.Workspace = "w1"
	return o
}

func of(ops ...record.Op) *record.Record {
	people := []record.Person{{Login: "ann", ID: "uann"}, {Login: "bea", ID: "ubea"}}
	return &record.Record{Run: record.Run{Workspaces: []record.Workspace{{ID: "w1", People: people}}}, Ops: ops}
}

func send(from, to int, seq int64, duplicate bool) record.Op {
	return op(from, to, record.Op{F: record.Send, Channel: "c1", ID: "a1", Seq: seq, Duplicate: duplicate})
}

func unknown(o record.Op) record.Op { o.Outcome, o.Seq = record.Unknown, 0; return o }

func refused(o record.Op) record.Op {
	o.Outcome, o.Code, o.Seq = record.Refused, "not_found", 0
	return o
}

func mark(from, to int, asked, said int64) record.Op {
	return op(from, to, record.Op{F: record.Mark, Channel: "c1", Message: asked, Seq: said})
}

func look(from, to int, said int64) record.Op {
	return op(from, to, record.Op{F: record.Marks, Read: []record.ReadAt{{Channel: "c1", Seq: said}}})
}

func move(from, to int, f record.F) record.Op {
	return op(from, to, record.Op{F: f, Channel: "c1"})
}

func post(from, to int) record.Op {
	return op(from, to, record.Op{F: record.Send, Channel: "c1", Seq: int64(from)})
}

func signedOut(o record.Op) record.Op {
	o = refused(o)
	o.Code = "unauthenticated"
	return o
}

func TestOrdersThatFit(t *testing.T) {
	for name, ops := range map[string][]record.Op{
		"a mark whose second try was nobody's":          {mark(1, 2, 5, 5), signedOut(mark(3, 9, 8, 0)), look(10, 11, 8)},
		"a resend says the first seq":                   {send(1, 2, 5, false), send(3, 4, 5, true)},
		"an unknown send was the first":                 {unknown(send(1, 2, 0, false)), send(3, 4, 5, true), send(5, 6, 5, true)},
		"an unknown send never came":                    {unknown(send(1, 2, 0, false)), send(3, 4, 5, false)},
		"marks at once":                                 {mark(1, 4, 5, 7), mark(2, 3, 7, 7)},
		"a mark that lies behind":                       {mark(1, 2, 7, 7), mark(3, 4, 5, 7), look(5, 6, 7)},
		"an unknown mark comes late":                    {mark(1, 2, 5, 5), unknown(mark(3, 4, 9, 0)), look(5, 6, 5), look(7, 8, 9)},
		"who is out is refused":                         {move(1, 2, record.Join), post(20, 21), move(30, 31, record.Leave), refused(post(50, 51))},
		"a gateway hears of a leaving a little later":   {move(1, 2, record.Join), move(30, 31, record.Leave), post(31, 32), refused(post(50, 51))},
		"an unknown leaving may be at any time":         {move(1, 2, record.Join), unknown(move(20, 21, record.Leave)), post(30, 31), refused(post(50, 51))},
		"who was refused, and a joining on its way":     {refused(post(1, 2)), move(3, 4, record.Join), refused(post(5, 6)), post(20, 21)},
		"a refusal of a reply says nothing of a member": {move(1, 2, record.Join), op(20, 21, record.Op{F: record.Send, Channel: "c1", Thread: 9, Outcome: record.Refused, Code: "not_found"}), post(30, 31)},
	} {
		r := of(ops...)
		for n, f := range linear.Check(r, ledger.Of(r)) {
			if len(f.Violations) > 0 {
				t.Errorf("%s: %d: %v", name, n, f.Violations)
			}
		}
	}
}

// markAtOnce is refused before there was time for a second try.
func markAtOnce(asked int64) record.Op {
	o := signedOut(mark(3, 4, asked, 0))
	o.End = o.Start + 20*time.Millisecond
	return o
}

func TestOrdersThatDoNot(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		shown int // operations that are needed to show it
		ops   []record.Op
	}{
		"two seqs of one id":             {6, 2, []record.Op{send(1, 2, 5, false), send(3, 4, 6, true), send(5, 6, 5, true)}},
		"a resend is new again":          {6, 2, []record.Op{send(1, 2, 5, false), send(3, 4, 5, false)}},
		"a mark goes back":               {12, 2, []record.Op{mark(1, 2, 3, 3), mark(3, 4, 7, 7), look(5, 6, 5), look(7, 8, 7)}},
		"a mark is lost":                 {12, 2, []record.Op{look(1, 2, 0), mark(3, 4, 5, 5), look(7, 8, 0)}},
		"more than anybody marked":       {12, 2, []record.Op{look(1, 2, 0), mark(3, 4, 5, 5), look(7, 8, 6)}},
		"a mark of nobody counts":        {12, 2, []record.Op{look(1, 2, 0), mark(1, 2, 5, 5), markAtOnce(8), look(10, 11, 8)}},
		"a member is refused":            {14, 2, []record.Op{move(1, 2, record.Join), post(20, 21), refused(post(30, 31)), post(40, 41)}},
		"who left goes on sending":       {14, 3, []record.Op{move(1, 2, record.Join), post(20, 21), move(30, 31, record.Leave), post(50, 51)}},
		"who was taken out goes on, too": {14, 2, []record.Op{post(1, 2), op(30, 31, record.Op{Who: "bea", F: record.Kick, Target: "ann", Channel: "c1"}), post(50, 51)}},
	} {
		r := of(c.ops...)
		f := linear.Check(r, ledger.Of(r))[c.n]
		if len(f.Violations) != 1 || f.Cases == 0 {
			t.Errorf("%s: %d cases, %v", name, f.Cases, f.Violations)
		} else if got := len(f.Violations[0].History); got == 0 || got > c.shown {
			t.Errorf("%s: shown in %d operations: %+v", name, got, f.Violations[0].History)
		}
	}
}

func TestASoundRecordHasOrders(t *testing.T) {
	r := sample.Sound()
	for n, f := range linear.Check(r, ledger.Of(r)) {
		if len(f.Violations) > 0 {
			t.Errorf("%d: %v", n, f.Violations)
		}
	}
}

// A key with thousands of operations is searched in no time, as long as few of them are at once.
func TestALongHistory(t *testing.T) {
	var ops []record.Op
	for i := range 3000 {
		ops = append(ops, mark(3*i+1, 3*i+2, int64(i+1), int64(i+1)))
	}
	r := of(ops...)
	if f := linear.Check(r, ledger.Of(r))[12]; f.Cases != 3000 || len(f.Violations) > 0 || f.Notes != "1 in an order that fits" {
		t.Errorf("%+v", f)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 1, 7, 4, 4, 0xf0, 2, 3, 4})
	f.Fuzz(func(t *testing.T, program []byte) {
		r := sample.Sound()
		sample.Spoil(r, program)
		if got := linear.Check(r, ledger.Of(r)); len(got) != 3 {
			t.Errorf("%d verdicts", len(got))
		}
		r.Run = record.Run{}
		if got := linear.Check(r, ledger.Of(r)); len(got) != 3 {
			t.Errorf("of nobody: %d verdicts", len(got))
		}
	})
}
