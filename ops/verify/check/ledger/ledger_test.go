package ledger_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

func TestMember(t *testing.T) {
	l := ledger.Of(sample.Sound())
	for _, c := range []struct {
		user, channel string
		seq           int64
		in            bool
	}{
		{"uann", sample.General, 10, false}, {"uann", sample.General, 11, true}, {"uann", sample.General, 1000, true},
		{"ucid", sample.General, 34, true}, {"ucid", sample.General, 35, false}, {"ucid", sample.General, 36, true},
		{"ubea", sample.Secret, 15, false}, {"ubea", sample.Secret, 29, true}, {"ubea", sample.Secret, 30, false},
		{"ucid", sample.Secret, 20, false}, {"ucid", "", 20, true},
	} {
		if in, known := l.Member(sample.Space, c.user, c.channel, c.seq); in != c.in || !known {
			t.Errorf("%s in %q at %d: %t, known %t", c.user, c.channel, c.seq, in, known)
		}
	}
	want := []ledger.Tenure{{From: 13, To: 34}, {From: 36}}
	if diff := cmp.Diff(want, l.Tenures(sample.Space, "ucid", sample.General)); diff != "" {
		t.Error(diff)
	}
}

func TestVisible(t *testing.T) {
	l := ledger.Of(sample.Sound())
	for user, want := range map[string][]int64{
		"uann": {1, 2, 3, 10, 11, 12, 13, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38},
		"ubea": {2, 3, 10, 12, 13, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 32, 33, 34, 35, 36, 37, 38},
		"ucid": {3, 10, 13, 20, 21, 22, 23, 25, 27, 28, 31, 32, 33, 34, 36, 37, 38},
		"ueve": nil,
	} {
		var seen []int64
		for _, e := range l.Events(sample.Space) {
			sees, known := l.Visible(sample.Space, user, e)
			if !known {
				t.Errorf("%s and %d: not known", user, e.Seq)
			}
			if sees {
				seen = append(seen, e.Seq)
			}
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s sees %v, want %v", user, seen, want)
		}
	}
}

func TestReads(t *testing.T) {
	l := ledger.Of(sample.Sound())
	for _, c := range []struct {
		user, channel string
		seq           int64
		may           bool
	}{
		{"ucid", sample.General, 35, true}, // it is public
		{"ubea", sample.Secret, 28, true}, {"ubea", sample.Secret, 29, false}, {"ubea", sample.Secret, 39, false},
		{"ucid", sample.Direct, 39, false}, {"ueve", sample.General, 39, false},
	} {
		if may, known := l.Reads(sample.Space, c.user, c.channel, c.seq); may != c.may || !known {
			t.Errorf("%s reads %s at %d: %t, known %t", c.user, c.channel, c.seq, may, known)
		}
	}
}

func TestMessages(t *testing.T) {
	l := ledger.Of(sample.Sound())
	for seq, want := range map[int64]record.Message{
		20: {Seq: 20, Sender: "uann", ID: "a1", Body: "ann-e1", Edited: true},
		21: {Seq: 21, Sender: "ubea", ID: "b1", Thread: 20, Deleted: true},
		35: {Seq: 35, Sender: "uann", ID: "a8", Body: "ann-a8", Reactions: []string{"eyes ucid"}},
	} {
		m, there := l.Message(sample.Space, seq)
		if !there {
			t.Errorf("no message %d", seq)
			continue
		}
		if diff := cmp.Diff(want, m.Shown()); diff != "" {
			t.Error(diff)
		}
	}
	if m, _ := l.Message(sample.Space, 20); !m.Has("ann-a1") || !m.Has("ann-e1") || m.Has("") || len(m.Edits) != 1 || m.Edits[0].Seq != 22 {
		t.Errorf("%+v", m)
	}
	if _, there := l.Message(sample.Space, 22); there {
		t.Error("an edit is no message")
	}
	if want := []int64{20, 21, 24, 25, 26, 27, 30, 31, 32, 33, 35}; !slices.Equal(l.Messages(sample.Space), want) {
		t.Errorf("messages %v", l.Messages(sample.Space))
	}
}

// What a delete took out of the log is put back as far as somebody said what it was.
func TestAHoleIsFilled(t *testing.T) {
	for name, spoil := range map[string]func(*record.Record){
		"a place": func(*record.Record) {},
		"nothing": func(r *record.Record) {
			r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == 21 })
		},
		"only what was told": func(r *record.Record) {
			r.Ops = slices.DeleteFunc(r.Ops, func(op record.Op) bool { return op.Seq == 21 })
		},
	} {
		r := sample.Sound()
		spoil(r)
		e, there := ledger.Of(r).At(sample.Space, 21)
		want := record.Event{
			Source: ledger.Stream, Space: sample.Space, Epoch: 1, Seq: 21, Channel: sample.General, Kind: "message.posted", Sender: "ubea", ID: "b1",
			Thread: 20, Erased: true,
		}
		if diff := cmp.Diff(want, e); !there || diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	r := sample.Sound()
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == 28 || e.Seq == 27 })
	l := ledger.Of(r)
	if _, there := l.At(sample.Space, 27); there {
		t.Error("a hole that no delete explains was filled")
	}
	r = sample.Sound()
	r.Ops, r.Told = nil, nil
	if m, there := ledger.Of(r).Message(sample.Space, 21); !there || !m.Nameless() || m.Deleted != 28 {
		t.Errorf("%+v", m)
	}
}

func TestBetween(t *testing.T) {
	l := ledger.Of(sample.Sound())
	for _, c := range []struct{ from, to, first, last int64 }{{19, 21, 20, 21}, {3, 10, 10, 10}, {0, 2, 1, 2}, {37, 99, 38, 38}, {5, 9, 0, 0}, {30, 20, 0, 0}} {
		var first, last int64
		for _, e := range l.Between(sample.Space, c.from, c.to) {
			if first == 0 {
				first = e.Seq
			}
			last = e.Seq
		}
		if first != c.first || last != c.last {
			t.Errorf("after %d up to %d: %d to %d", c.from, c.to, first, last)
		}
	}
	if l.Last(sample.Space) != 38 || l.Epoch(sample.Space) != 1 || l.Last("none") != 0 {
		t.Error("the end of the log")
	}
}

// A log that begins in the middle, or was cut off, does not say who was in what there.
func TestWhatIsNotKnown(t *testing.T) {
	r := sample.Sound()
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq < 29 && e.Space == sample.Space })
	l := ledger.Of(r)
	for _, c := range []struct {
		user, channel string
		seq           int64
		in, known     bool
	}{
		{"ubea", sample.Secret, 20, true, true}, {"ubea", sample.Secret, 30, false, true}, // she went out, so she was in
		{"ucid", sample.General, 30, true, true}, {"ucid", sample.General, 35, false, true},
		{"uann", sample.General, 30, false, false}, {"ucid", sample.Secret, 30, false, false},
	} {
		if in, known := l.Member(sample.Space, c.user, c.channel, c.seq); in != c.in || known != c.known {
			t.Errorf("%s in %s at %d: %t, known %t", c.user, c.channel, c.seq, in, known)
		}
	}
	r = sample.Sound()
	r.End = nil
	if _, known := ledger.Of(r).Member(sample.Space, "uann", sample.General, 1000); known {
		t.Error("known beyond the end of a log that was cut off")
	}
}

func TestWhoGoesOutOfTheWorkspaceIsInNothing(t *testing.T) {
	r := sample.Sound()
	r.Events = append(r.Events, record.Event{Source: ledger.Stream, Space: sample.Space, Epoch: 1, Seq: 50, Kind: "member.left", Sender: "uann", User: "ubea"},
		record.Event{Source: ledger.Stream, Space: sample.Space, Epoch: 1, Seq: 51, Kind: "message.posted", Channel: sample.Direct, Sender: "uann", ID: "z", Body: "z"})
	l := ledger.Of(r)
	for _, seq := range []int64{50, 51} {
		e, _ := l.At(sample.Space, seq)
		if sees, known := l.Visible(sample.Space, "ubea", e); !known || sees != (seq == 50) {
			t.Errorf("%d: sees %t, known %t", seq, sees, known)
		}
	}
	if may, known := l.Reads(sample.Space, "ubea", sample.General, 51); may || !known {
		t.Error("she reads a public channel of a workspace that she is not in")
	}
}

func TestNamesAndPositions(t *testing.T) {
	l := ledger.Of(sample.Sound())
	if l.UserID("ann") != "uann" || l.Login("ueve") != "eve" || l.Home("eve") != sample.Other || l.Login("nobody") != "" {
		t.Error("people")
	}
	if l.Type(sample.Space, sample.Direct) != "dm" || l.Type(sample.Space, "c9") != "" {
		t.Error("types")
	}
	if want := []string{sample.Space, sample.Other}; !slices.Equal(l.Spaces(), want) {
		t.Errorf("spaces %v", l.Spaces())
	}
	if epoch, seq, ok := ledger.Position("3.41"); epoch != 3 || seq != 41 || !ok {
		t.Error("a cursor")
	}
	for _, bad := range []string{"", "3", "3.", ".4", "a.b", "3.4.5"} {
		if _, _, ok := ledger.Position(bad); ok {
			t.Errorf("%q is a cursor", bad)
		}
	}
}
