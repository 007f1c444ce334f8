package messages_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// What is not right about a log that began anew is found, under its invariant.
func TestARenewalThatBreaksSomething(t *testing.T) {
	for name, c := range map[string]struct {
		spoil     func(*record.Record)
		invariant int
		rule      string
		seqs      []int64
	}{
		"it loses what was acknowledged": {func(r *record.Record) {
			r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == 31 })
		}, 1, "what was acknowledged is in the log", []int64{31}},
		"history forgets the lost stream": {func(r *record.Record) { miss(r, historyOfAnn, 31) }, 1, "every stored message is in every history", []int64{31}},
		"a replay lacks what the new stream has": {func(r *record.Record) { miss(r, replayOfBea, sample.Far+6) },
			1, "every stored message is in every replay", []int64{sample.Far + 6}},
		"a seq is given again": {func(r *record.Record) {
			add(r, record.Event{Space: sample.Space, Epoch: 2, Seq: 31, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b5", Body: "bea-b5"})
		}, 4, "a seq is never used twice", []int64{31}},
		"a hole behind the resync": {func(r *record.Record) { drop(r, sample.Cid, sample.Far+1) }, 5, "a reader misses nothing", []int64{sample.Far + 1, sample.Far + 2}},
		"an id is stored again": {func(r *record.Record) {
			add(r, record.Event{Space: sample.Space, Epoch: 2, Seq: sample.Far + 9, Kind: "message.posted", Channel: sample.General, Sender: "uann", ID: "a7", Body: "ann-a7"})
		}, 6, "an id is stored once", []int64{33, sample.Far + 9}},
		"a replica lacks what its stream held": {func(r *record.Record) { lack(r, "hub-1", 31) }, 8, "every replica has the log", []int64{31}},
		"a replica lacks what the new one holds": {func(r *record.Record) { lack(r, "hub-1", sample.Far+1) },
			8, "every replica has the log", []int64{sample.Far + 1}},
		"an edit of the other epoch is not shown": {func(r *record.Record) { kept(r, historyOfAnn, 35).Body = "ann-a8" }, 8, "every view has what the log has", []int64{35}},
		"a socket goes on as if nothing had been": {func(r *record.Record) {
			*hello(r, sample.Ann) = record.Told{T: record.Hello, Conn: sample.Ann, Who: "ann", Space: sample.Space, Cursor: "2.38", Resumed: true}
		},
			11, "nothing resumes in another epoch", []int64{38, 38}},
		"nobody says resync": {func(r *record.Record) {
			r.Told = slices.DeleteFunc(r.Told, func(t record.Told) bool { return t.Conn == sample.Ann && t.Code == "epoch" })
		}, 11, "a socket that does not resume says resync", []int64{sample.Far, sample.Far + 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample.Renewed()
			c.spoil(r)
			v := of(t, check(r), c.invariant)
			for _, b := range v.Shown {
				if b.Rule == c.rule && slices.Equal(b.Seqs, c.seqs) && len(b.History) > 0 {
					return
				}
			}
			t.Errorf("%d: found %d: %v, want %q with %v", c.invariant, v.Broken, v.Shown, c.rule, c.seqs)
		})
	}
	if v := of(t, check(sample.Renewed()), 11); !strings.Contains(v.Notes, "told to resync: epoch:4 gap:1") {
		t.Errorf("it notes %q", v.Notes)
	}
}

// An id of the lost stream whose message was edited since may be answered whatever is sent under it: the store has the new text alone (ADR 9).
func TestWhatCannotBeComparedAnyMore(t *testing.T) {
	r := sample.Renewed()
	did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a8", Body: "ann-new", Again: true, Seq: 35, Duplicate: true})
	for _, invariant := range []int{1, 6} {
		if v := of(t, check(r), invariant); v.Broken > 0 {
			t.Errorf("%d: %v", invariant, v.Shown)
		}
	}
	did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a6", Body: "ann-new", Again: true, Seq: 31, Duplicate: true})
	for _, invariant := range []int{1, 6} {
		if v := of(t, check(r), invariant); v.Broken != 1 {
			t.Errorf("%d: what was not edited is compared, and %d are broken", invariant, v.Broken)
		}
	}
}

// hello is the last that a conn was told.
func hello(r *record.Record, conn string) *record.Told {
	i := len(r.Told) - 1
	for r.Told[i].Conn != conn || r.Told[i].T != record.Hello {
		i--
	}
	return &r.Told[i]
}
