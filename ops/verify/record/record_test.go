package record_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/verify/record"
)

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	var text strings.Builder
	rec := record.NewRecorder(&text)
	run := record.Run{Seed: 7, Site: "local", Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Duration: time.Minute,
		Workspaces: []record.Workspace{{ID: "w", People: []record.Person{{Login: "ann", ID: "u1", Region: "eu", Hand: "crew"}}}}}
	rec.Add(record.Line{Run: &run})
	send := record.Op{Who: "ann", Device: "ann/1", Conn: "ann/1/1", F: record.Send, Channel: "c", ID: "id1", Body: "ann-1-x"}
	rec.Begin(&send)
	send.Outcome, send.Seq = record.OK, 12
	rec.Done(send)
	rec.Tell(record.Told{Conn: "ann/1/1", Who: "ann", T: record.Posted, Channel: "c", Seq: 12, Body: "ann-1-x"})
	fault := record.Fault{Name: "kill", Tier: "hub", Targets: []string{"hub-1"}, Begin: time.Second, End: 2 * time.Second}
	event := record.Event{Source: "stream", Space: "w", Epoch: 1, Seq: 12, Channel: "c", Kind: "message.posted"}
	kept := record.Kept{View: "history", Space: "w", Channel: "c", Message: record.Message{Seq: 12, Sender: "u1", Body: "ann-1-x"}}
	sample := record.Sample{Time: time.Second, Process: "api", Name: record.Goroutines, Value: 9, When: "quiet"}
	job := record.Job{Space: "w", Channel: "c", Message: 12, Who: "bob", State: "delivered", Last: true}
	end := record.End{Time: time.Hour, Quiet: true, Silent: []string{"x"}}
	for _, l := range []record.Line{{Fault: &fault}, {Event: &event}, {Kept: &kept}, {Sample: &sample}, {Job: &job}, {End: &end}} {
		rec.Add(l)
	}
	if err := rec.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := record.Read(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if got.Ops[0].End <= got.Ops[0].Start || got.Told[0].Time < got.Ops[0].End {
		t.Errorf("times: %+v, %+v", got.Ops[0], got.Told[0])
	}
	send.End, got.Ops[0].End, got.Told[0].Time = 0, 0, 0
	want := &record.Record{
		Run: run, Ops: []record.Op{send}, Told: []record.Told{{Conn: "ann/1/1", Who: "ann", T: record.Posted, Channel: "c", Seq: 12, Body: "ann-1-x"}},
		Faults: []record.Fault{fault}, Events: []record.Event{event}, Kept: []record.Kept{kept}, Samples: []record.Sample{sample}, Jobs: []record.Job{job}, End: &end,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Ops are numbered once each, and lines lie whole, however many write at once.
func TestManyWriteAtOnce(t *testing.T) {
	var text strings.Builder
	rec := record.NewRecorder(&text)
	rec.Add(record.Line{Run: &record.Run{}})
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for range 200 {
				op := record.Op{F: record.Send}
				rec.Begin(&op)
				rec.Done(op)
				rec.Tell(record.Told{T: record.Posted})
			}
		})
	}
	writing.Wait()
	if err := rec.Flush(); err != nil {
		t.Fatal(err)
	}
	got, err := record.Read(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	numbers := make(map[int64]bool)
	for _, op := range got.Ops {
		numbers[op.N] = true
	}
	if len(numbers) != 1600 || len(got.Told) != 1600 {
		t.Errorf("%d ops with %d numbers, %d told", len(got.Ops), len(numbers), len(got.Told))
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestARecordThatCannotBeWrittenSaysSo(t *testing.T) {
	rec := record.NewRecorder(full{})
	rec.Add(record.Line{Run: &record.Run{}})
	if err := rec.Flush(); !errors.Is(err, errFull) {
		t.Errorf("the error is %v", err)
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"", "line 1"},
		"no run":            {`{"op":{}}`, "does not begin with a run"},
		"two runs":          {"{\"run\":{}}\n{\"run\":{}}", "line 2"},
		"half a line":       {"{\"run\":{}}\n{\"op\":{\"n\":", "line 2"},
		"something else":    {"{\"run\":{}}\nhello", "line 2"},
		"a seq that is not": {"{\"run\":{}}\n{\"op\":{\"seq\":\"x\"}}", "line 2"},
	} {
		if _, err := record.Read(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
