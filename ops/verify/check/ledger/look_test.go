package ledger_test

import (
	"testing"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// A log whose stream was lost is what all its streams held.
func TestARenewedLogGoesOn(t *testing.T) {
	l := ledger.Of(sample.Renewed())
	if l.Ended(sample.Space) != 38 || l.Ended(sample.Other) != 39 || l.Epoch(sample.Space) != 2 || l.Last(sample.Space) != sample.Far+6 {
		t.Errorf("it ended at %d and %d, and goes on to %d in epoch %d", l.Ended(sample.Space), l.Ended(sample.Other), l.Last(sample.Space), l.Epoch(sample.Space))
	}
	if m, _ := l.Message(sample.Space, 35); m.Shown().Body != "ann-e2" || m.Epoch != 1 {
		t.Errorf("what was edited in another epoch is %+v", m)
	}
	if m, _ := l.Message(sample.Space, 33); m.Deleted != sample.Far+3 || m.Erased {
		t.Errorf("what was deleted in another epoch is %+v", m)
	}
	if in, known := l.Member(sample.Space, "ubea", sample.General, sample.Far+6); !in || !known {
		t.Error("she came in in another epoch, and is out")
	}
	told := l.Replayed(sample.Space, "uann")[sample.General]
	if len(told) != 2 || told[0].Seq != sample.Far+1 || told[1].Seq != sample.Far+6 {
		t.Errorf("a replay of the new stream tells %+v", told)
	}
	if all := l.Stated(sample.Space)[sample.General]; len(all) != 10 || all[0].Seq != 20 {
		t.Errorf("a history has %d messages, the first is %d", len(all), all[0].Seq)
	}
}

// A stream that was looked at, and then was not lost, is found again at the end: that look counts, which knows what was erased since.
func TestALookAtAStreamThatGoesOn(t *testing.T) {
	r := sample.Sound()
	for _, e := range r.Events {
		if e.Seq < 30 {
			e.Look = 1
			if e.Seq == 21 {
				e = record.Event{Source: e.Source, Look: 1, Space: e.Space, Epoch: 1, Seq: 21, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b1", Body: "bea-b1", Thread: 20}
			}
			r.Events = append(r.Events, e)
		}
	}
	l := ledger.Of(r)
	if e, _ := l.At(sample.Space, 21); !e.Erased || l.Ended(sample.Space) != 0 || len(l.Events(sample.Space)) != len(ledger.Of(sample.Sound()).Events(sample.Space)) {
		t.Errorf("ended at %d, %d events, and %+v", l.Ended(sample.Space), len(l.Events(sample.Space)), e)
	}
}

// Of a record that breaks off there is what was looked at before.
func TestOnlyWhatWasLost(t *testing.T) {
	r := sample.Renewed()
	r.End = nil
	var before []record.Event
	for _, e := range r.Events {
		if e.Look == 1 {
			before = append(before, e)
		}
	}
	r.Events = before
	if l := ledger.Of(r); l.Last(sample.Space) != 38 || !l.Told(sample.Space) {
		t.Errorf("it goes up to %d", l.Last(sample.Space))
	}
}
